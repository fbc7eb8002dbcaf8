"""Calibration: offsets move by hand-computed steps, coverage converges whatever the forecaster's mistake is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.calibration import (
    AFTER_DRIFT,
    APART_STEPS,
    FEWEST_OUTCOMES,
    KEPT_LEVELS,
    Calibration,
    corrected,
    forgetting,
    issued,
    observed,
    rejoined,
    selected,
    uncalibrated,
)
from forecasting.forecast import LEVELS, Floats
from forecasting.offsets import (
    DENSITY,
    HALF_SHARED,
    INDEPENDENT_SERIES,
    LARGEST_STEP,
    NARROWEST_OFFSET,
    NOMINAL,
    OWN_PRIOR,
    SHARED_PRIOR,
    TRACKED_LEVELS,
    WIDEST_OFFSET,
)
from forecasting.quantiles import MEDIAN, NORMAL_SCORES

STEP_S = 15.0
LEADS = (1, 4)
P01, P10, P90, P99 = (LEVELS.index(level) for level in TRACKED_LEVELS)
NAIVE = 2.0 * NORMAL_SCORES


def _normal(rows: int, deviation: float = 1.0, bias: float = 0.0) -> Floats:
    return np.broadcast_to(bias + deviation * NORMAL_SCORES, (rows, 4, len(LEVELS))).copy()


def _issue(calibration: Calibration, quantiles: Floats, at_s: float = 0.0, linear: Floats | None = None) -> Calibration:
    rows = quantiles.shape[0]
    naive = np.broadcast_to(NAIVE, (rows, len(LEADS), len(LEVELS)))
    line = None if linear is None else np.broadcast_to(linear, naive.shape)
    return issued(calibration, quantiles, naive, at_s, STEP_S, line)


def _observe(calibration: Calibration, outcome: Floats, at_s: float, censored: bool = False) -> Calibration:
    """All of the last eight points were `outcome` `(rows,)`."""
    values = np.repeat(np.asarray(outcome, dtype=np.float64)[:, None], 8, axis=1)
    known = np.ones(values.shape, dtype=bool)
    return observed(calibration, values, known, at_s, STEP_S, np.full(values.shape, censored))


def _run(outcomes: Floats, deviation: float = 1.0, bias: float = 0.0, linear: Floats | None = None) -> Calibration:
    """Calibration after forecasts N(bias, deviation) of `outcomes` `(rows, ticks)`, each one step ahead and so far
    apart that all count fully."""
    calibration = uncalibrated(outcomes.shape[0], LEADS)
    for tick, outcome in enumerate(outcomes.T):
        quantiles = corrected(_normal(outcomes.shape[0], deviation, bias), calibration)
        at_s = tick * APART_STEPS * STEP_S
        calibration = _issue(calibration, quantiles, at_s, linear)
        calibration = _observe(calibration, outcome, at_s + STEP_S)
    return calibration


def _covered(
    rows: int, origins: int, seed: int, truth: float = 1.0, bias: float = 0.0, growth: float = 1.0
) -> tuple[float, float, float]:
    """Shares of outcomes of N(0, truth) inside the bands of forecasts N(bias, 1), the 80 % and the 98 % one, and the
    latter over the second half. Forecasts of steps 1 and 4 come every 16 steps; in all the truth grows by `growth`."""
    rng = np.random.default_rng(seed)
    calibration = uncalibrated(rows, LEADS)
    inside80, inside98 = [], []
    for origin in range(origins):
        deviation = truth * growth ** (origin / origins)
        quantiles = corrected(_normal(rows, 1.0, bias), calibration)
        at_s = APART_STEPS * origin * STEP_S
        calibration = _issue(calibration, quantiles, at_s)
        outcomes = deviation * rng.normal(size=(rows, 4))
        for lead in (1, 4):
            low98, low80, high80, high98 = quantiles[:, lead - 1][:, [P01, P10, P90, P99]].T
            outcome = outcomes[:, lead - 1]
            inside80.append((outcome >= low80) & (outcome <= high80))
            inside98.append((outcome >= low98) & (outcome <= high98))
        history = np.concatenate([np.zeros((rows, 1)), outcomes], axis=1)
        calibration = observed(calibration, history, np.ones(history.shape, dtype=bool), at_s + 4 * STEP_S, STEP_S)
    wide = np.asarray(inside98, dtype=np.float64)
    return float(np.mean(inside80)), float(wide.mean()), float(wide[origins:].mean())


def test_nothing_learned_changes_nothing() -> None:
    quantiles = _normal(2, 3.0)

    assert corrected(quantiles, uncalibrated(2, LEADS)) is quantiles


def test_one_outcome_above_moves_the_offsets_by_hand_computed_steps() -> None:
    calibration = _run(np.full((1, 1), 100.0))

    # One series is 1 / (1 + 1/32) of an independent one; what it shares with itself of the miss is 1 of 5.
    news = 1.0 / (1.0 + 1.0 / INDEPENDENT_SERIES)
    shared, own = news / (SHARED_PRIOR + news), (1.0 - 1.0 / (1.0 + HALF_SHARED)) / OWN_PRIOR
    missed = np.asarray([-0.01, -0.10, 0.90, 0.99])
    steps = np.minimum(shared * missed / DENSITY, LARGEST_STEP) + np.minimum(own * missed / DENSITY, LARGEST_STEP)
    assert np.allclose(calibration.offsets[0, 0], steps, rtol=1e-5)
    assert np.allclose(NOMINAL, [0.01, 0.10, 0.10, 0.01])
    # φ(1.2816) · 1.2816 = 0.1755 · 1.2816 and φ(2.3263) · 2.3263 = 0.02665 · 2.3263.
    assert np.allclose(DENSITY, [0.0620, 0.2249, 0.2249, 0.0620], atol=1e-4)


def test_feedback_comes_only_when_the_outcome_is_due() -> None:
    calibration = _issue(uncalibrated(1, LEADS), _normal(1))

    after_one = _observe(calibration, np.full(1, 50.0), STEP_S)
    after_four = _observe(after_one, np.full(1, 50.0), 4 * STEP_S)

    assert after_one.offsets[0, 0].any()
    assert not after_one.offsets[0, 1].any()
    assert after_one.waiting_at_s.tolist() == [60.0]
    assert after_four.offsets[0, 1].any()
    assert after_four.waiting_at_s.size == 0


def test_a_lead_of_many_steps_keeps_only_forecasts_a_quarter_of_it_apart() -> None:
    leads = (1, 16)
    calibration, quantiles = uncalibrated(1, leads), np.broadcast_to(NORMAL_SCORES, (1, 16, len(LEVELS)))
    naive = np.broadcast_to(NAIVE, (1, 2, len(LEVELS)))

    for tick in range(9):
        calibration = issued(calibration, quantiles, naive, tick * STEP_S, STEP_S)

    # Lead 1 at every tick; lead 16 at ticks 0, 4 and 8.
    assert sorted(calibration.waiting_at_s[calibration.waiting_lead == 1]) == [16 * 15.0, 20 * 15.0, 24 * 15.0]
    assert (calibration.waiting_lead == 0).sum() == 9
    # The first counts fully; the others share three quarters of their window with the one before, or come so soon
    # after it that they see the same jump.
    assert np.allclose(calibration.waiting_weight[calibration.waiting_lead == 1], [1.0, 0.25, 0.25])
    assert np.allclose(calibration.waiting_weight[calibration.waiting_lead == 0], [1.0] + [1.0 / APART_STEPS] * 8)


@pytest.mark.parametrize(
    ("truth", "bias"),
    [
        pytest.param(1.0, 0.0, id="right"),
        pytest.param(1.6, 0.0, id="too-narrow"),
        pytest.param(2.5, 0.0, id="far-too-narrow"),
        pytest.param(0.6, 0.0, id="too-wide"),
        pytest.param(1.0, 0.7, id="biased"),
    ],
)
def test_bands_cover_in_the_end_what_they_promise_whatever_the_mistake(truth: float, bias: float) -> None:
    found = np.mean([_covered(8, 600, seed, truth, bias) for seed in range(2)], axis=0)

    assert np.isclose(found[0], 0.80, atol=0.035)
    assert np.isclose(found[2], 0.98, atol=0.0075)


def test_bands_follow_a_truth_that_doubles() -> None:
    """From 1 to 2 over 600 origins. Without calibration the second half, 1.41 to 2, is covered to 0.83."""
    _, _, later = np.mean([_covered(8, 600, seed, growth=2.0) for seed in range(2)], axis=0)

    assert later > 0.968


@pytest.mark.parametrize("truth", [1.3, 1.6, 2.0])
def test_thirty_origins_of_a_fleet_are_enough(truth: float) -> None:
    _, whole, later = np.mean([_covered(30, 30, seed, truth) for seed in range(3)], axis=0)

    assert whole > 0.957  # 0.925, 0.854 and 0.756 without calibration
    assert 0.972 < later < 0.988


def test_what_is_right_already_stays_right() -> None:
    narrow, wide, _ = np.mean([_covered(20, 40, seed) for seed in range(3)], axis=0)

    assert np.isclose(narrow, 0.80, atol=0.015)
    assert np.isclose(wide, 0.98, atol=0.004)


def test_each_side_learns_by_itself() -> None:
    """Outcomes never lie below the median and often far above it."""
    outcomes = np.abs(np.random.default_rng(3).normal(scale=2.5, size=(4, 400)))

    lower01, lower10, upper90, upper99 = _run(outcomes).offsets[0, 0]

    assert lower01 < -0.3 and lower10 < -0.3
    assert upper90 > 0.5 and upper99 > 0.5


def test_offsets_are_capped_on_both_sides() -> None:
    always_out = _run(np.full((1, 300), 1e6))
    never_out = _run(np.zeros((6, 800)))

    assert np.isclose(always_out.offsets[0, 0, 2], WIDEST_OFFSET)
    assert np.isclose(never_out.offsets[0, 0, 2], NARROWEST_OFFSET)


def test_offsets_multiply_distances_from_the_median_on_their_side() -> None:
    calibration = replace(
        uncalibrated(1, LEADS, prior=np.asarray([[0.0, 0.0, np.log(2.0), np.log(3.0)]] * 2)),
    )

    stretched = corrected(_normal(1), calibration)[0, 0]

    assert stretched[MEDIAN] == 0.0
    assert np.isclose(stretched[P90], 2.0 * NORMAL_SCORES[P90])
    assert np.isclose(stretched[P99], 3.0 * NORMAL_SCORES[P99])
    assert np.isclose(stretched[-1], 3.0 * NORMAL_SCORES[-1])  # beyond the outermost tracked level as at it
    assert np.allclose(stretched[:MEDIAN], NORMAL_SCORES[:MEDIAN])


def test_censored_outcomes_do_not_count() -> None:
    calibration = _observe(_issue(uncalibrated(1, LEADS), _normal(1)), np.full(1, 1e6), 4 * STEP_S, censored=True)

    assert not calibration.offsets.any()
    assert calibration.outcomes[0] == 0.0
    assert np.isnan(calibration.coverage()[0])
    assert np.isnan(calibration.skill()[0])


def test_a_forecast_without_width_teaches_nothing_but_is_measured() -> None:
    flat = _normal(2)
    flat[1] = 7.0

    calibration = _observe(_issue(uncalibrated(2, LEADS), flat), np.full(2, 7.0), STEP_S)

    alone = _observe(_issue(uncalibrated(1, LEADS), flat[:1]), np.full(1, 7.0), STEP_S)
    assert np.array_equal(calibration.shared, alone.shared)
    assert not calibration.own[1].any()
    assert calibration.outcomes.tolist() == [1.0, 1.0]
    assert calibration.inside98.tolist() == [0.0, 1.0]


def test_measured_coverage_and_skill_are_those_of_what_was_issued() -> None:
    outcomes = np.random.default_rng(2).normal(size=(1, 300))

    calibration = _run(outcomes, linear=4.0 * NORMAL_SCORES)

    assert np.isclose(calibration.coverage()[0], 0.80, atol=0.06)
    assert np.isclose(calibration.coverage98()[0], 0.98, atol=0.02)
    # Pinball at 10, 50 and 90 % of N(0, s) for outcomes N(0, 1): a wider claim costs more.
    assert 0.0 < calibration.skill()[0] < calibration.skill_linear()[0] < 0.7


def test_outcomes_above_the_band_still_reached_it() -> None:
    above, below = _run(np.full((1, 30), 50.0)), _run(np.full((1, 30), -50.0))

    assert above.coverage()[0] < 0.5 and above.reached()[0] == pytest.approx(1.0)
    assert below.coverage()[0] == pytest.approx(below.reached()[0])
    assert np.isnan(_run(np.zeros((1, 5))).reached()[0])


def test_nothing_is_told_before_there_is_enough_to_tell() -> None:
    twenty, sixty = _run(np.zeros((1, 21))), _run(np.zeros((1, 70)))

    assert np.isfinite(twenty.coverage()[0]) and np.isnan(twenty.coverage98()[0])
    assert np.isfinite(sixty.coverage98()[0])
    assert np.isnan(sixty.skill_linear()[0])  # nobody gave a line


def test_series_of_one_batch_learn_from_each_other() -> None:
    calibration = _issue(uncalibrated(2, LEADS), _normal(2))

    own, shared = calibration.own, calibration.shared
    after = _observe(calibration, np.asarray([100.0, 0.0]), STEP_S)

    # Missed by 0.9 and by -0.1: 0.4 on average, of which each leaves two sixths to both.
    news = 2.0 / (1.0 + 2.0 / INDEPENDENT_SERIES)
    expected = news / (SHARED_PRIOR + news) * 0.4 / DENSITY[2]
    assert not own.any() and not shared.any()
    assert np.isclose(after.shared[0, 2], expected, rtol=1e-5)
    differing = (np.asarray([0.9, -0.1]) - 0.4 * 2.0 / 6.0) / OWN_PRIOR / DENSITY[2]
    assert np.allclose(after.own[:, 0, 2], differing, rtol=1e-5)


def test_what_waits_is_judged_by_what_was_learned_meanwhile() -> None:
    """A forecast too narrow, issued before that was learned, does not teach it once more."""
    wide = uncalibrated(1, LEADS, prior=np.full((2, len(TRACKED_LEVELS)), np.log(3.0)))
    then = _issue(uncalibrated(1, LEADS), _normal(1))

    twice = _observe(then, np.full(1, 2.0), STEP_S)
    learned = _observe(replace(then, shared=wide.shared), np.full(1, 2.0), STEP_S)

    assert twice.shared[0, 2] > 0.0  # 2.0 is beyond 1.28
    assert learned.shared[0, 2] < np.log(3.0)  # but not beyond 3.84
    assert twice.inside80[0] == learned.inside80[0] == 0.0


def test_new_series_start_from_what_all_share_and_ignore_what_waits() -> None:
    calibration = _run(np.full((1, 30), 100.0))

    rows = selected(_issue(calibration, _normal(1), 1000 * STEP_S), [-1, 0])
    later = _observe(rows, np.full(2, 100.0), 1001 * STEP_S)

    assert np.allclose(rows.offsets[0], np.minimum(calibration.shared, WIDEST_OFFSET))
    assert np.array_equal(rows.offsets[1], calibration.offsets[0])
    assert later.outcomes[0] == 0.0
    assert later.outcomes[1] > calibration.outcomes[0]


def test_the_first_series_of_all_start_from_the_models_own_backtest() -> None:
    prior = np.full((len(LEADS), len(TRACKED_LEVELS)), 0.25)

    assert np.allclose(selected(uncalibrated(1, LEADS, prior), [-1, 0]).offsets, 0.25)
    assert not selected(uncalibrated(1, LEADS), [-1, 0]).offsets.any()


def test_rows_that_were_away_keep_what_they_had_learned() -> None:
    calibration = _run(np.random.default_rng(1).normal(size=(2, 40)) * [[1.0], [3.0]])

    back = rejoined(selected(calibration, [0, -1]), 1, selected(calibration, [1]))

    assert np.array_equal(back.own, calibration.own)
    assert np.array_equal(back.outcomes, calibration.outcomes)


def test_a_drifted_series_forgets_and_learns_faster_while_the_others_do_not() -> None:
    calibration = _run(np.random.default_rng(4).normal(size=(2, 400)))

    after = forgetting(calibration, np.asarray([True, False]))
    moved = [
        _observe(_issue(one, _normal(2), 1e4 * STEP_S), np.full(2, 50.0), (1e4 + 1) * STEP_S)
        for one in (calibration, after)
    ]

    assert np.isclose(after.outcomes[0], AFTER_DRIFT * calibration.outcomes[0])
    assert np.allclose(after.coverage(), calibration.coverage())  # told from fewer outcomes, but as it was
    assert after.outcomes[1] == calibration.outcomes[1]
    steps = [one.own[:, 0, 2] - calibration.own[:, 0, 2] for one in moved]
    assert steps[1][0] > 1.25 * steps[0][0]
    assert np.isclose(steps[1][1], steps[0][1])


def test_a_forecaster_that_keeps_losing_its_series_is_still_judged() -> None:
    calibration = _run(np.random.default_rng(4).normal(size=(1, 100)))

    for _ in range(5):
        calibration = forgetting(calibration, np.ones(1, dtype=bool))

    assert np.isclose(calibration.outcomes[0], FEWEST_OUTCOMES + 0.5)
    assert np.isfinite(calibration.coverage()[0])


def test_nothing_drifted_changes_nothing() -> None:
    calibration = _run(np.zeros((2, 3)))

    assert forgetting(calibration, np.zeros(2, dtype=bool)) is calibration


def test_kept_levels_hold_the_tracked_ones_and_the_median() -> None:
    assert set(TRACKED_LEVELS) | {0.50} == set(KEPT_LEVELS)
