from __future__ import annotations

import numpy as np

from forecasting.calibration import (
    HALF_SHARED,
    NARROWEST_OFFSET,
    RATE,
    SHARED_RATE,
    WIDEST_OFFSET,
    Calibration,
    corrected,
    issued,
    observed,
    selected,
    uncalibrated,
)
from forecasting.forecast import LEVELS, Floats
from forecasting.quantiles import MEDIAN, NORMAL_SCORES

STEP_S = 15.0
P10, P90, P98 = (LEVELS.index(level) for level in (0.10, 0.90, 0.98))


def _normal(rows: int, deviation: float) -> Floats:
    return np.broadcast_to(deviation * NORMAL_SCORES, (rows, 4, len(LEVELS))).copy()


def _run(outcomes: Floats, deviation: float, censored: bool = False) -> Calibration:
    """Calibration after forecasts N(0, deviation) of every outcome, one step ahead; naive is twice as wide."""
    calibration = uncalibrated(1, (1, 4))
    for tick, outcome in enumerate(outcomes):
        quantiles = corrected(_normal(1, deviation), calibration)
        naive = np.broadcast_to(2.0 * deviation * NORMAL_SCORES, (1, 2, len(LEVELS)))
        calibration = issued(calibration, quantiles, naive, tick * STEP_S, STEP_S)
        row = np.full((1, 8), outcome)
        marks = np.full((1, 8), censored)
        calibration = observed(calibration, row, np.ones((1, 8), dtype=bool), (tick + 1) * STEP_S, STEP_S, marks)
    return calibration


def test_nothing_learned_changes_nothing() -> None:
    quantiles = _normal(2, 3.0)

    assert corrected(quantiles, uncalibrated(2, (1, 4))) is quantiles


def test_one_outcome_above_raises_the_upper_offsets_by_hand_computed_steps() -> None:
    calibration = _run(np.asarray([100.0]), deviation=1.0)

    lower02, lower10, upper90, upper98 = calibration.offsets[0, 0]
    # A single series: its own rate, and what the shared one leaves to a batch of one.
    rate = RATE + SHARED_RATE / (1.0 + HALF_SHARED)
    assert np.isclose(upper90, rate * 0.9)
    assert np.isclose(upper98, rate * 0.98)
    assert np.isclose(lower10, -rate * 0.1)
    assert np.isclose(lower02, -rate * 0.02)


def test_feedback_comes_only_when_the_outcome_is_due() -> None:
    calibration = issued(uncalibrated(1, (1, 4)), _normal(1, 1.0), np.zeros((1, 2, len(LEVELS))), 0.0, STEP_S)
    row, known = np.full((1, 8), 50.0), np.ones((1, 8), dtype=bool)

    after_one = observed(calibration, row, known, STEP_S, STEP_S)
    after_four = observed(after_one, row, known, 4 * STEP_S, STEP_S)

    assert after_one.offsets[0, 0].any()
    assert not after_one.offsets[0, 1].any()
    assert after_one.waiting_at_s.tolist() == [60.0]
    assert after_four.offsets[0, 1].any()
    assert after_four.waiting_at_s.size == 0


def test_too_narrow_forecasts_are_widened_until_they_cover() -> None:
    outcomes = np.random.default_rng(5).normal(scale=2.0, size=1500)

    calibration = _run(outcomes, deviation=1.0)

    # Twice the spread is needed: offset 1.
    assert np.isclose(calibration.offsets[0, 0, 2], 1.0, atol=0.35)
    assert 0.72 < calibration.coverage()[0] < 0.88


def test_offsets_are_capped_on_both_sides() -> None:
    always_out = _run(np.full(400, 1e6), deviation=1.0)
    never_out = _run(np.zeros(400), deviation=1.0)

    assert always_out.offsets[0, 0, 2] == WIDEST_OFFSET
    assert never_out.offsets[0, 0, 2] == NARROWEST_OFFSET


def test_censored_outcomes_do_not_count() -> None:
    calibration = _run(np.full(50, 1e6), deviation=1.0, censored=True)

    assert not calibration.offsets.any()
    assert calibration.outcomes[0] == 0.0
    assert np.isnan(calibration.coverage()[0])
    assert np.isnan(calibration.skill()[0])


def test_skill_is_positive_against_a_naive_twice_as_wide() -> None:
    calibration = _run(np.random.default_rng(2).normal(size=300), deviation=1.0)

    assert 0.0 < calibration.skill()[0] < 0.6


def test_correction_stretches_one_side_and_keeps_the_median() -> None:
    calibration = _run(np.asarray([100.0] * 10), deviation=1.0)
    quantiles = _normal(1, 1.0)

    stretched = corrected(quantiles, calibration)

    assert (stretched[0, :, MEDIAN] == quantiles[0, :, MEDIAN]).all()
    assert stretched[0, 0, P90] > quantiles[0, 0, P90]
    assert stretched[0, 0, P98] > quantiles[0, 0, P98]
    assert stretched[0, 0, P10] >= quantiles[0, 0, P10]


def test_series_of_one_batch_learn_from_each_other() -> None:
    calibration = issued(uncalibrated(2, (1, 4)), _normal(2, 1.0), np.zeros((2, 2, len(LEVELS))), 0.0, STEP_S)
    row, known = np.zeros((2, 8)), np.ones((2, 8), dtype=bool)
    row[0] = 100.0

    offsets = observed(calibration, row, known, STEP_S, STEP_S).offsets[:, 0, 2]

    # Missed by 0.9 and by -0.1: 0.4 on average, of which two series share two sixths of the rate.
    shared = SHARED_RATE * 2.0 / (2.0 + HALF_SHARED) * 0.4
    assert np.allclose(offsets, [RATE * 0.9 + shared, -RATE * 0.1 + shared])


def test_series_without_outcome_are_not_moved_by_the_others() -> None:
    calibration = issued(uncalibrated(2, (1, 4)), _normal(2, 1.0), np.zeros((2, 2, len(LEVELS))), 0.0, STEP_S)
    known = np.ones((2, 8), dtype=bool)
    known[1] = False

    offsets = observed(calibration, np.full((2, 8), 100.0), known, STEP_S, STEP_S).offsets

    assert offsets[0].any()
    assert not offsets[1].any()


def test_new_series_start_from_the_others_and_ignore_what_waits() -> None:
    calibration = _run(np.asarray([100.0] * 30), deviation=1.0)

    rows = selected(calibration, [-1, 0])
    later = observed(rows, np.full((2, 8), 100.0), np.ones((2, 8), dtype=bool), 40 * STEP_S, STEP_S)

    assert np.array_equal(rows.offsets[0], calibration.offsets[0])
    assert np.array_equal(later.offsets[0], rows.offsets[0])
    assert later.outcomes[0] == 0.0
    assert later.outcomes[1] > calibration.outcomes[0]


def test_the_first_series_of_all_start_from_nothing() -> None:
    assert not selected(uncalibrated(1, (1, 4)), [-1, 0]).offsets.any()
