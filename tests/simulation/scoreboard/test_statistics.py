from __future__ import annotations

import numpy as np
import pytest

from simulation.scoring.statistics import compare, estimate, resample_weights


@pytest.fixture
def weights():
    return resample_weights(["a"] * 4, np.random.default_rng(1))


def test_every_resample_draws_as_many_runs_as_there_are(weights):
    assert weights.shape == (2000, 4)
    assert (weights.sum(axis=1) == 4).all()


def test_scenarios_are_drawn_before_seeds():
    # with 2 scenarios, both draws hit the same one in half of the resamples
    weights = resample_weights(["a", "a", "b", "b"], np.random.default_rng(1))

    only_a = weights[:, :2].sum(axis=1) == 4
    only_b = weights[:, 2:].sum(axis=1) == 4
    assert (weights.sum(axis=1) == 4).all()
    # binomial: 1000 ± 4 × 22
    assert abs((only_a | only_b).sum() - 1000) < 90


def test_the_interval_of_equal_runs_has_no_width(weights):
    value = estimate(np.full(4, 3.0), weights)

    assert (value.mean, value.low, value.high) == (3.0, 3.0, 3.0)


def test_the_interval_holds_the_mean_and_stays_within_the_data(weights):
    value = estimate(np.array([1.0, 2.0, 3.0, 10.0]), weights)

    assert value.mean == 4.0
    assert 1.0 <= value.low < 4.0 < value.high <= 10.0


def test_the_interval_of_many_runs_agrees_with_the_normal_one():
    # mean of 400 draws of N(10, 2): standard error 0.1, so ± 0.196 (the sample's own sd within 15 %)
    values = np.random.default_rng(5).normal(10.0, 2.0, 400)

    value = estimate(values, resample_weights(["a"] * 400, np.random.default_rng(1)))

    assert value.high - value.low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.15)


def test_one_run_has_no_interval():
    value = estimate(np.array([5.0]), resample_weights(["a"], np.random.default_rng(1)))

    assert (value.mean, value.low, value.high) == (5.0, None, None)


def test_runs_that_cannot_tell_are_left_out(weights):
    assert estimate(np.array([1.0, np.nan, 3.0, np.nan]), weights).mean == 2.0
    assert estimate(np.full(4, np.nan), weights).mean is None


def test_a_ratio_is_of_sums_and_not_a_mean_of_ratios(weights):
    # (10 + 0 + 5 + 5) / (100 + 20 + 40 + 40) = 0.1; the mean of ratios would be 0.0875
    value = compare(np.array([10.0, 0, 5, 5]), np.array([100.0, 20, 40, 40]), weights)

    assert value.ratio == pytest.approx(0.1)
    assert 0.0 <= value.ratio_low <= 0.1 <= value.ratio_high <= 0.125
    assert value.difference == -45.0


def test_a_ratio_of_times_needs_thirty_seconds_of_baseline(weights):
    left, right = np.array([1.0, 1, 1, 1]), np.array([7.0, 7, 7, 8])

    assert compare(left, right, weights, least=30.0).ratio is None
    assert compare(left, right, weights, least=30.0).difference == -6.25
    assert compare(left, right, weights, least=29.0).ratio == pytest.approx(4 / 29)


def test_a_ratio_to_nothing_is_unknown(weights):
    value = compare(np.ones(4), np.zeros(4), weights)

    assert (value.ratio, value.difference) == (None, 1.0)


def test_signed_figures_are_only_subtracted(weights):
    value = compare(np.full(4, -30.0), np.full(4, 20.0), weights, signed=True)

    assert (value.ratio, value.difference) == (None, -50.0)


def test_only_runs_known_on_both_sides_are_compared(weights):
    value = compare(np.array([1.0, np.nan, 2.0, 50.0]), np.array([2.0, 9.0, 4.0, np.nan]), weights)

    assert value.ratio == pytest.approx(0.5)


def test_a_baseline_that_may_be_nothing_has_no_upper_end():
    # one of two runs has a baseline of 0: a quarter of the resamples divide by zero
    value = compare(np.array([1.0, 1.0]), np.array([0.0, 4.0]), resample_weights(["a"] * 2, np.random.default_rng(1)))

    assert value.ratio == pytest.approx(0.5)
    assert value.ratio_high is None
