from __future__ import annotations

import pytest

from simulation.streams import between, generator, lognormal, uniform


def test_a_draw_depends_only_on_what_it_is_for() -> None:
    first = uniform(7, "startup", "web", 3)
    generator(7, "arrivals", 0).random(1000)
    uniform(7, "startup", "web", 4)

    assert uniform(7, "startup", "web", 3) == first


def test_seed_purpose_and_entity_all_count() -> None:
    draws = {
        uniform(1, "a", "x"),
        uniform(2, "a", "x"),
        uniform(1, "b", "x"),
        uniform(1, "a", "y"),
        uniform(1, "a", "x", 0),
        uniform(1, "a", "x", 1),
    }

    assert len(draws) == 6


def test_draws_have_the_moments_they_promise() -> None:
    draws = [between(2.0, 4.0, 1, "test", i) for i in range(2000)]
    # mean 3, standard deviation 2/√12 = 0.577, so the mean of 2000 has a standard error of 0.013
    assert sum(draws) / len(draws) == pytest.approx(3.0, abs=0.05)
    assert min(draws) > 2.0 and max(draws) < 4.0

    medians = sorted(lognormal(15.0, 0.5, 1, "test", i) for i in range(2001))
    # the median's standard error is 15 × 0.5 × 1.25 / √2001 = 0.21
    assert medians[1000] == pytest.approx(15.0, abs=0.85)


def test_a_lognormal_without_spread_is_its_median() -> None:
    assert lognormal(15.0, 0.0, 1, "test") == 15.0
