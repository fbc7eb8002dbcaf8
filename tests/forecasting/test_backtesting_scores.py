from __future__ import annotations

import numpy as np
import pytest

from forecasting.backtesting.facts import Facts, base_rates, naive_errors
from forecasting.backtesting.reliability import reliability
from forecasting.backtesting.scores import LEVEL_WIDTHS, joined, sample_crps, scored
from forecasting.backtesting.summary import FIGURES, RATIOS, group_values, over_groups, paired_ratio, two_stage_counts
from forecasting.forecast import LEVELS
from forecasting.quantiles import NORMAL_SCORES

NAN = np.nan
FIGURE = {figure.name: figure for figure in FIGURES}


def _facts(outcomes, scale=1.0, naive_error=1.0, threshold=0.0, base_rate=0.5):
    outcomes = np.asarray(outcomes, dtype=float)
    rows = outcomes.shape[0]
    hit = (outcomes[:, :30] > threshold).any(axis=1).astype(float)
    return Facts(
        rows=np.arange(rows),
        outcomes=outcomes,
        scale=np.full(rows, scale),
        naive_error=np.full(rows, naive_error),
        threshold=np.full(rows, threshold),
        hit=hit,
        base_rate=np.full(rows, base_rate),
    )


def _scores(quantiles, paths, facts, horizons=(2,)):
    answered = np.ones(facts.rows.size, dtype=bool)
    return scored(np.asarray(quantiles, float), np.asarray(paths, float), facts, horizons, answered, False)


def _flat(value, rows=1, steps=2):
    """Every quantile and every path is `value`."""
    return np.full((rows, steps, len(LEVELS)), float(value)), np.full((rows, 4, steps), float(value))


def test_quantile_losses_of_a_constant_forecast_are_those_worked_out_by_hand():
    scores = _scores(*_flat(10.0), _facts([[12.0, 9.0]]))

    # errors 2 and -1. Twice the pinball, mean over 0.1 … 0.9: |error| each, since level and 1 - level even out.
    assert scores.wql == pytest.approx([2.0 + 1.0])
    # 0.9 * 2 above, 0.1 * 1 below; likewise at 0.99
    assert scores.p90 == pytest.approx([1.8 + 0.1])
    assert scores.p99 == pytest.approx([1.98 + 0.01])
    assert scores.size == pytest.approx([21.0])
    # CRPS of a single point is its absolute error
    assert scores.crps == pytest.approx([3.0])


def test_weighted_quantile_loss_divides_by_the_size_of_what_came():
    scores = _scores(*_flat(10.0), _facts([[12.0, 9.0]]))

    value = group_values(FIGURE["wql"], scores, _scores(*_flat(11.0), _facts([[12.0, 9.0]])), np.ones((1, 1)))

    # ours 3 / 21, the reference's errors are 1 and -2: 3 / 21 too
    assert value == pytest.approx([1.0])
    assert FIGURE["wql"].above(scores) / FIGURE["wql"].below(scores) == pytest.approx([3.0 / 21.0])


def test_unknown_outcomes_count_nowhere():
    whole = _scores(*_flat(10.0, steps=1), _facts([[12.0]]), horizons=(1,))

    gap = _scores(*_flat(10.0), _facts([[12.0, NAN]]))

    for name in ("size", "steps", "wql", "p90", "p99", "crps", "mase", "inside80", "peak_crps", "probability"):
        assert getattr(gap, name) == pytest.approx(getattr(whole, name)), name


def test_scaled_error_is_that_of_the_median_over_the_naive_error():
    scores = _scores(*_flat(10.0), _facts([[12.0, 9.0]], naive_error=3.0))

    assert scores.mase == pytest.approx([1.5 / 3.0])


def test_losses_are_divided_by_the_scale_of_their_series():
    small = _scores(*_flat(10.0), _facts([[12.0, 9.0]]))

    large = _scores(*_flat(10e9), _facts([[12e9, 9e9]], scale=1e9))

    for name in ("size", "wql", "p90", "p99", "crps", "wql_within", "peak_crps"):
        assert getattr(large, name) == pytest.approx(getattr(small, name)), name


def test_bands_count_the_outcomes_inside():
    quantiles = np.broadcast_to(np.asarray(LEVELS), (1, 4, len(LEVELS)))  # the quantile at p is p

    scores = _scores(quantiles, np.zeros((1, 4, 4)), _facts([[0.5, 0.95, 0.005, NAN]]))

    assert scores.inside80 == [1.0]  # 0.5
    assert scores.inside98 == [2.0]  # 0.5 and 0.95
    assert scores.steps == [3.0]


def test_partial_losses_read_the_first_steps_only():
    scores = _scores(*_flat(0.0, steps=3), _facts([[1.0, 2.0, 4.0]]), horizons=(1, 3))

    assert scores.wql_within.tolist() == [[1.0, 7.0]]
    assert scores.peak_crps.tolist() == [[1.0, 4.0]]


def test_crps_of_samples_is_that_of_their_steps():
    # For samples 0 and 2 and outcome 1: E|X - y| = 1, E|X - X'| = (0 + 2 + 2 + 0) / 4 = 1, CRPS 1 - 1/2.
    assert sample_crps(np.asarray([[2.0, 0.0]]), np.asarray([1.0])) == pytest.approx([0.5])


def test_peak_crps_takes_the_maximum_of_each_path():
    # Paths peak at 3 and 5, the outcome at 4: 1 - (2 / 2) / 2 = 0.5. Their quantiles per step would say otherwise.
    paths = [[[3.0, 1.0], [0.0, 5.0]]]

    scores = _scores(_flat(0.0)[0], paths, _facts([[4.0, 2.0]]))

    assert scores.peak_crps.tolist() == [[0.5]]


def test_peaks_of_paths_leave_out_steps_without_an_outcome():
    paths = [[[3.0, 100.0], [5.0, 100.0]]]

    scores = _scores(_flat(0.0)[0], paths, _facts([[4.0, NAN]], threshold=50.0))

    assert scores.peak_crps.tolist() == [[0.5]]
    assert scores.probability == [0.0]


def test_brier_score_is_the_squared_miss_of_the_share_of_paths_that_cross():
    paths = [[[1.0, 0.0], [0.0, 1.0], [0.0, 0.0], [0.0, 0.0]]] * 2  # two of four cross 0.5

    scores = _scores(_flat(0.0, rows=2)[0], paths, _facts([[0.0, 0.9], [0.0, 0.0]], threshold=0.5, base_rate=0.1))

    assert scores.probability.tolist() == [0.5, 0.5]
    assert FIGURE["hit_brier"].above(scores).tolist() == [0.25, 0.25]
    assert FIGURE["hit_brier_climatology"].above(scores) == pytest.approx([0.81, 0.01])


def test_levels_share_out_the_whole_probability():
    assert LEVEL_WIDTHS.sum() == pytest.approx(1.0)
    assert (LEVEL_WIDTHS > 0).all()


def test_scores_of_the_true_gaussian_are_those_of_theory():
    rng = np.random.default_rng(4)
    outcomes = rng.normal(size=(400, 50))
    quantiles = np.broadcast_to(NORMAL_SCORES, (400, 50, len(LEVELS)))
    paths = rng.normal(size=(400, 100, 50))

    scores = _scores(quantiles, paths, _facts(outcomes), horizons=(1,))

    # 20,000 outcomes: standard errors 0.003, 0.001 and 0.003
    assert scores.inside80.sum() / 20_000 == pytest.approx(0.80, abs=0.012)
    assert scores.inside98.sum() / 20_000 == pytest.approx(0.98, abs=0.004)
    # CRPS of the true standard normal is 1 / sqrt(pi)
    assert scores.crps.sum() / 20_000 == pytest.approx(1 / np.sqrt(np.pi), rel=0.02)
    # of a sample of n it is larger by 1 / n: E|X - X'| over distinct pairs only
    assert scores.peak_crps.mean() == pytest.approx(1.01 / np.sqrt(np.pi), rel=0.1)


def test_naive_error_repeats_the_cycle_that_the_context_has():
    cycle = np.tile([0.0, 0.0, 0.0, 8.0, 4.0, 0.0], 40)
    walk = np.arange(240.0)
    still = np.full(240, 3.0)

    errors = naive_errors(np.stack([cycle + 0.01 * np.arange(240), walk, still]), 7.0)

    # 6 steps of 0.01, but not less than a hundredth of the mean absolute deviation (median 1.2: about 2.6)
    assert errors[0] == pytest.approx(0.06, rel=1e-6)
    assert errors[1] == pytest.approx(1.0)
    assert np.isnan(errors[2])


def test_base_rate_counts_past_windows_that_crossed():
    context = np.zeros((1, 12))
    context[0, 5] = 1.0

    rate = base_rates(context, np.asarray([0.5]), steps=3)

    # 10 windows of 3, of which 3 hold the peak; they are worth 10 / 3 windows beside the 2 of the prior
    assert rate == pytest.approx([(0.3 * 10 / 3 + 1.0) / (10 / 3 + 2.0)])


def test_reliability_bins_hold_mean_forecast_and_share():
    bins = reliability(np.asarray([0.0, 0.05, 0.55, 1.0]), np.asarray([0.0, 1.0, 1.0, 1.0]))

    assert (bins[0].forecast, bins[0].observed, bins[0].windows) == (pytest.approx(0.025), 0.5, 2)
    assert (bins[5].forecast, bins[5].observed, bins[5].windows) == (pytest.approx(0.55), 1.0, 1)
    assert (bins[9].forecast, bins[9].observed, bins[9].windows) == (1.0, 1.0, 1)
    assert bins[3].forecast is None


def test_ratios_average_geometrically_over_groups_and_leave_out_those_without_a_reference():
    by_group = [np.asarray([0.5]), np.asarray([2.0]), np.asarray([NAN])]

    assert over_groups(FIGURE["wql"], by_group) == pytest.approx([1.0])
    assert over_groups(FIGURE["cover80"], by_group) == pytest.approx([1.25])
    assert np.isnan(over_groups(FIGURE["wql"], by_group[2:])).all()


def test_resamples_draw_as_many_windows_as_there_are_on_average():
    series = np.asarray([0, 0, 0, 1, 2, 2])

    counts = two_stage_counts(series, 4000, np.random.default_rng(1))

    assert counts.mean(axis=0) == pytest.approx(np.ones(6), abs=0.1)
    # whole series come and go together: 0 has three windows or none of them in (2/3)^3 = 30 % of the resamples
    assert np.mean(counts[:, :3].sum(axis=1) == 0) == pytest.approx((2 / 3) ** 3, abs=0.03)


def test_paired_ratio_tells_a_better_model_from_an_equal_one():
    rng = np.random.default_rng(3)
    outcomes = rng.normal(size=(60, 8))
    facts = _facts(outcomes)
    series = np.repeat(np.arange(6), 10)
    paths = np.zeros((60, 4, 8))
    sharp = _scores(np.broadcast_to(NORMAL_SCORES, (60, 8, 25)), paths, facts)
    wide = _scores(np.broadcast_to(3 * NORMAL_SCORES, (60, 8, 25)), paths, facts)

    better = paired_ratio(sharp, wide, series, seed=0)
    equal = paired_ratio(sharp, sharp, series, seed=0)

    assert better.high < 1.0
    assert (equal.value, equal.low, equal.high) == (1.0, 1.0, 1.0)


def test_joined_scores_keep_the_order_of_their_parts():
    first, second = _scores(*_flat(1.0), _facts([[2.0, 2.0]])), _scores(*_flat(1.0), _facts([[4.0, 4.0]]))

    assert joined([first, second]).size.tolist() == [4.0, 8.0]


@pytest.mark.parametrize("figure", RATIOS, ids=lambda figure: figure.name)
def test_a_perfect_forecast_loses_nothing(figure):
    outcomes = np.random.default_rng(0).normal(size=(5, 6))
    perfect = _scores(
        np.repeat(outcomes[:, :, None], 25, axis=2), np.repeat(outcomes[:, None], 4, axis=1), _facts(outcomes)
    )
    naive = _scores(*_flat(0.0, rows=5, steps=6), _facts(outcomes))

    assert group_values(figure, perfect, naive, np.ones((1, 5))) == pytest.approx([0.0], abs=1e-12)
