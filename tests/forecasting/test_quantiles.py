from __future__ import annotations

import numpy as np
import pytest

from forecasting.forecast import LEVELS
from forecasting.quantiles import empirical_quantiles, lead_interpolation, monotone, pinball, sampling_weights

P50, P90, P95, P995 = (LEVELS.index(level) for level in (0.50, 0.90, 0.95, 0.995))


def test_quantiles_of_99_points_are_those_points() -> None:
    # Level p of 99 points lies at rank 100 p: the 50th and the 90th of 1 … 99.
    quantiles = empirical_quantiles(np.arange(1.0, 100.0)[None])[0]

    assert quantiles[P50] == 50.0
    assert np.isclose(quantiles[P90], 90.0)


def test_points_worth_fewer_lie_further_out() -> None:
    # 99 points worth 33: level 0.9 is their rank 0.9 · 34 = 30.6, the share (30.6 - 0.5) / 33 = 0.912 of all; that lies
    # at 0.912 · 99 + 0.5 = 90.8 of the 99.
    quantiles = empirical_quantiles(np.arange(1.0, 100.0)[None], 1.0 / 3.0)[0]

    assert quantiles[P50] == 50.0
    assert np.isclose(quantiles[P90], 90.8)


def test_unknown_residuals_are_left_out() -> None:
    with_gaps = np.r_[np.arange(1.0, 100.0), np.full(40, np.nan)][None]

    assert np.allclose(empirical_quantiles(with_gaps), empirical_quantiles(np.arange(1.0, 100.0)[None]))


def test_nothing_known_means_no_spread() -> None:
    assert not empirical_quantiles(np.full((2, 5), np.nan)).any()
    assert not empirical_quantiles(np.empty((2, 0))).any()


def test_tail_reaches_beyond_few_points_but_is_capped() -> None:
    nineteen = np.arange(-9.0, 10.0)[None]  # ends at 9, rank 20 p: the 0.9 quantile is 8

    quantiles = empirical_quantiles(nineteen)[0]

    assert quantiles[P995] > 9.0
    assert quantiles[P995] <= 9.0 + 2.0 * 8.0
    assert np.isclose(quantiles[0], -quantiles[-1])


def test_normal_points_give_normal_tails() -> None:
    draws = np.random.default_rng(3).normal(size=(1, 20_000))

    quantiles = empirical_quantiles(draws)[0]

    assert np.isclose(quantiles[P995], 2.576, atol=0.15)
    assert np.isclose(quantiles[P95], 1.645, atol=0.05)


def test_monotone_sorts_only_what_falls() -> None:
    rows = np.asarray([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0]])

    assert monotone(rows).tolist() == [[1.0, 2.0, 3.0], [1.0, 2.0, 3.0]]


@pytest.mark.parametrize("samples", [1, 10, 100, 1000])
def test_samples_rise_and_keep_a_constant(samples: int) -> None:
    weights = sampling_weights(samples)

    assert np.allclose(weights.sum(axis=0), 1.0)
    assert (np.diff(np.asarray(LEVELS) @ weights) > -1e-12).all()


def test_samples_of_uniform_quantiles_are_uniform() -> None:
    samples = np.asarray(LEVELS) @ sampling_weights(100)

    # Sample k stands for level (k + 0.5) / 100.
    assert np.allclose(samples, (np.arange(100) + 0.5) / 100, atol=1e-9)


def test_pinball_weighs_both_sides_by_the_level() -> None:
    # Outcome 10 against a 0.9 quantile of 8: 0.9 · 2; against 12: 0.1 · 2.
    assert np.isclose(pinball(np.asarray([[8.0]]), np.asarray([0.9]), np.asarray([10.0]))[0], 1.8)
    assert np.isclose(pinball(np.asarray([[12.0]]), np.asarray([0.9]), np.asarray([10.0]))[0], 0.2)


def test_leads_are_interpolated_on_a_logarithmic_axis() -> None:
    carried = lead_interpolation((1, 4, 16), 16) @ np.asarray([0.0, 1.0, 2.0])

    assert np.isclose(carried[1], 0.5)  # lead 2 lies midway between 1 and 4
    assert np.isclose(carried[7], 1.5)  # lead 8 between 4 and 16
    assert carried[[0, 3, 15]].tolist() == [0.0, 1.0, 2.0]
