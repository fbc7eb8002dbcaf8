import numpy as np
import pytest

from chaos.load.arrivals import expected_arrivals, poisson_arrivals


def rng(seed=7):
    return np.random.default_rng(seed)


def test_a_constant_rate_is_expected_to_bring_rate_times_duration():
    assert expected_arrivals(lambda t: np.full(t.shape, 20.0), 30.0) == pytest.approx(600.0)


def test_a_ramp_is_expected_to_bring_the_area_of_its_triangle():
    # 0 to 10 per second over 60 s: 60 * 10 / 2.
    assert expected_arrivals(lambda t: t / 6.0, 60.0) == pytest.approx(300.0)


def test_as_many_come_as_the_rate_integrates_to():
    # 2000 s at 5/s: 10 000 expected, standard deviation 100; four of them.
    times_s = poisson_arrivals(lambda t: np.full(t.shape, 5.0), 2000.0, rng())

    assert abs(times_s.size - 10_000) < 400


def test_the_crowd_comes_when_the_rate_says():
    # 10/s for 100 s, then 40/s for 100 s: four fifths of the arrivals lie in the second half.
    times_s = poisson_arrivals(lambda t: np.where(t < 100.0, 10.0, 40.0), 200.0, rng())

    late = np.count_nonzero(times_s >= 100.0) / times_s.size
    assert late == pytest.approx(0.8, abs=0.03)


def test_gaps_between_arrivals_are_exponential():
    gaps_s = np.diff(poisson_arrivals(lambda t: np.full(t.shape, 10.0), 1000.0, rng()))

    # An exponential's standard deviation is its mean, and 1 - 1/e of it lies below the mean.
    assert gaps_s.std() == pytest.approx(gaps_s.mean(), rel=0.05)
    assert np.mean(gaps_s < gaps_s.mean()) == pytest.approx(0.632, abs=0.015)


def test_nobody_comes_where_the_rate_is_zero():
    # Nothing in [10, 20): the rate is 0 there, and a line between grid points 0.05 s apart at its ends.
    times_s = poisson_arrivals(lambda t: np.where((t >= 10.0) & (t < 20.0), 0.0, 50.0), 30.0, rng())

    assert times_s.size > 800
    assert not np.any((times_s > 10.05) & (times_s < 19.95))


def test_a_rate_of_zero_brings_nobody():
    assert poisson_arrivals(lambda t: np.zeros(t.shape), 30.0, rng()).size == 0


def test_the_same_seed_gives_the_same_times_and_another_seed_others():
    rate = lambda t: 5.0 + np.sin(t)  # noqa: E731

    first, again, other = (poisson_arrivals(rate, 60.0, rng(seed)) for seed in (1, 1, 2))

    assert np.array_equal(first, again)
    assert not np.array_equal(first[:50], other[:50])


def test_times_are_sorted_and_within_the_run():
    times_s = poisson_arrivals(lambda t: np.full(t.shape, 100.0), 0.7, rng())

    assert np.all(np.diff(times_s) >= 0.0)
    assert times_s.size > 0 and times_s[0] >= 0.0 and times_s[-1] < 0.7
