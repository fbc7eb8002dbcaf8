"""Surprise and drift: levels worked out by hand, and false alarms as often as promised."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import ndtr

from forecasting.drift import (
    LEAST_TAIL,
    STANDS_POINTS,
    DriftState,
    expecting,
    noticed,
    selected,
    transformed,
    undrifted,
    units,
)
from forecasting.forecast import LEVELS, Floats
from forecasting.packing import packed, unpacked
from forecasting.quantiles import NORMAL_SCORES

STEP_S = 15.0


def _level(outcome: float, quantiles: Floats = NORMAL_SCORES, draw: float = 0.5, half_unit: float = 0.0) -> float:
    given = (np.asarray([value]) for value in (outcome, half_unit, draw))
    return float(transformed(quantiles[None], *given)[0])


def _run(outcomes: Floats, quantiles: Floats = NORMAL_SCORES, seed: int = 0) -> DriftState:
    """After `outcomes` `(rows, points)`, each forecast one step before as `quantiles`."""
    rng = np.random.default_rng(seed)
    rows = outcomes.shape[0]
    state = undrifted(rows)
    for point, newest in enumerate(outcomes.T):
        state = expecting(state, np.broadcast_to(quantiles, (rows, len(LEVELS))), point * STEP_S)
        state = noticed(state, newest, np.ones(rows, dtype=bool), point * STEP_S, STEP_S, rng)
    return state


def _alarms(outcomes: Floats, quantiles: Floats = NORMAL_SCORES) -> int:
    rng = np.random.default_rng(0)
    rows = outcomes.shape[0]
    state, alarms = undrifted(rows), 0
    for point, newest in enumerate(outcomes.T):
        state = expecting(state, np.broadcast_to(quantiles, (rows, len(LEVELS))), point * STEP_S)
        state = noticed(state, newest, np.ones(rows, dtype=bool), point * STEP_S, STEP_S, rng)
        alarms += int(state.alarmed().sum())
    return alarms


@pytest.mark.parametrize(
    ("outcome", "level"),
    [
        pytest.param(0.0, 0.5, id="median"),
        pytest.param(float(NORMAL_SCORES[LEVELS.index(0.90)]), 0.90, id="on-a-level"),
        pytest.param((1.28155 + 1.64485) / 2.0, 0.925, id="between-levels"),
        # The outermost level and the one two inside are log(0.02 / 0.005) = 1.386 scales apart: one scale further out
        # is e times less likely.
        pytest.param(2.5758 + (2.5758 - 2.0537) / 1.3863, 1.0 - 0.005 / np.e, id="above-all"),
        pytest.param(-2.5758 - (2.5758 - 2.0537) / 1.3863, 0.005 / np.e, id="below-all"),
        pytest.param(1e9, 1.0 - LEAST_TAIL, id="far-above"),
    ],
)  # fmt: skip
def test_an_outcome_has_its_level_in_the_forecast(outcome: float, level: float) -> None:
    assert _level(outcome) == pytest.approx(level, abs=2e-4)


def test_an_outcome_on_several_levels_lies_anywhere_between_them() -> None:
    """Zero has probability 0.3: all quantiles up to that level are zero."""
    zeros = np.where(np.asarray(LEVELS) <= 0.30, 0.0, np.asarray(LEVELS))

    assert _level(0.0, zeros, draw=0.0) == pytest.approx(LEAST_TAIL)
    assert _level(0.0, zeros, draw=0.5) == pytest.approx(0.15)
    assert _level(0.0, zeros, draw=0.99) == pytest.approx(0.297)


def test_a_whole_number_stands_for_all_that_it_may_have_been_rounded_from() -> None:
    """One of N(0, 1), counted in ones: between 0.5 and 1.5, levels 0.691 and 0.933."""
    assert _level(1.0, half_unit=0.5, draw=0.0) == pytest.approx(0.691, abs=4e-3)
    assert _level(1.0, half_unit=0.5, draw=1.0) == pytest.approx(0.933, abs=4e-3)


def test_units_are_found_where_values_are_counted_and_not_where_they_are_measured() -> None:
    rng = np.random.default_rng(6)
    counted = rng.integers(0, 3, size=100) / 15.0
    measured = rng.normal(size=100)
    once = np.concatenate([np.zeros(60), np.full(40, 500.0)])  # one jump is no unit
    still = np.full(100, 3.0)

    assert np.allclose(units(np.stack([counted, measured, once, still])), [1.0 / 15.0, 0.0, 0.0, 0.0])
    assert units(np.zeros((2, 1))).tolist() == [0.0, 0.0]


def test_idle_connections_do_not_drift_from_a_forecast_of_fractions() -> None:
    """Mostly none, now and then one, forecast as if fractions could be: zero is all below a half."""
    quantiles = np.where(NORMAL_SCORES > 0.0, 0.25 * NORMAL_SCORES**2, 0.0)  # a half beyond level 0.92
    counts = (np.random.default_rng(7).random((30, 500)) > 0.92).astype(np.float64)
    rng = np.random.default_rng(8)
    state, drifting = undrifted(30), []
    for point in range(300, 500):
        state = expecting(state, np.broadcast_to(quantiles, (30, len(LEVELS))), point * STEP_S)
        unit = units(counts[:, point - 280 : point])
        state = noticed(state, counts[:, point], np.ones(30, dtype=bool), point * STEP_S, STEP_S, rng, unit)
        drifting.append(state.drifting().mean())

    assert np.mean(drifting) < 0.02


def test_a_constant_that_stays_is_no_surprise_and_rounding_is_none_either() -> None:
    constant = np.full(len(LEVELS), 1e6)

    state = _run(np.full((40, 200), 1e6 + 1e-3), constant)

    assert not state.drifting().any()
    assert (state.surprise() > 1e-3).all()


def test_a_constant_that_moves_is_as_surprising_as_anything_can_be() -> None:
    constant = np.full(len(LEVELS), 7.0)

    assert _run(np.asarray([[7.0, 7.0, 8.0]]), constant).surprise()[0] == pytest.approx(4.0 * LEAST_TAIL, rel=1e-3)


def test_surprise_of_one_point_is_twice_its_two_sided_probability() -> None:
    # Two looks, at the point and at the run: 2 · 2 · (1 - Φ(2.5)) = 4 · 0.00621, between levels a little less exact.
    assert _run(np.asarray([[2.5]])).surprise()[0] == pytest.approx(4.0 * 0.00621, rel=0.05)


def test_a_run_to_one_side_is_more_surprising_than_each_of_its_points() -> None:
    one, run = _run(np.asarray([[1.6]])), _run(np.asarray([[1.6, 1.6, 1.6, 1.6]]))
    mixed = _run(np.asarray([[1.6, -1.6, 1.6, -1.6]]))

    assert run.surprise()[0] == pytest.approx(4.0 * ndtr(-3.2), rel=0.1)  # the mean of four has half the deviation
    assert run.surprise()[0] < 0.1 * one.surprise()[0]
    assert mixed.surprise()[0] == pytest.approx(one.surprise()[0], rel=1e-4)


@pytest.mark.parametrize("level", [0.05, 0.01, 0.001])
def test_surprise_is_no_smaller_than_promised_more_often_than_promised(level: float) -> None:
    rng = np.random.default_rng(8)
    outcomes = rng.normal(size=(20000, 5))

    found = float((_run(outcomes).surprise() < level).mean())

    # Two looks at overlapping points, of which the smaller p-value is doubled, and tails taken for exponential ones,
    # which are heavier than these: at most the level (three deviations at 0.001 aside), and not far below.
    assert 0.3 * level < found <= 1.1 * level + 0.0003


def test_a_right_forecaster_raises_one_false_alarm_in_forty_thousand_points() -> None:
    rng = np.random.default_rng(9)
    rows, points = 2000, 400

    alarms = _alarms(rng.normal(size=(rows, points)))

    # 800,000 points: 20 expected, a little fewer since sums begin at zero; three deviations are 13.
    assert 6 <= alarms <= 33


@pytest.mark.parametrize(
    ("mean", "deviation", "within_points"),
    [
        pytest.param(1.5, 1.0, 16, id="moved-up"),
        pytest.param(-1.5, 1.0, 16, id="moved-down"),
        pytest.param(0.0, 3.0, 30, id="three-times-the-scatter"),
    ],
)
def test_a_change_is_noticed_soon(mean: float, deviation: float, within_points: int) -> None:
    """Sums grow by 1.5 - 0.5 a point against a threshold of 9.7, so about ten points."""
    rng = np.random.default_rng(5)
    rows = 200

    alarms = np.asarray(_run(rng.normal(mean, deviation, size=(rows, within_points))).drifting())

    assert alarms.mean() > 0.9


def test_one_spike_is_no_drift() -> None:
    spiked = np.zeros((1, 40))
    spiked[0, 20] = 1e6

    # It counts as three deviations: 2.5 beside a threshold of 9.7.
    assert not _run(spiked).drifting()[0]


def test_an_alarm_stands_for_a_while_and_starts_the_sums_anew() -> None:
    moved = np.full((1, 5), 2.9)

    alarmed = _run(moved)
    later = alarmed
    for point in range(5, 5 + int(STANDS_POINTS)):
        later = expecting(later, NORMAL_SCORES[None], point * STEP_S)
        later = noticed(later, np.zeros(1), np.ones(1, dtype=bool), point * STEP_S, STEP_S, np.random.default_rng(0))

    # 2.4 a point: beyond 9.7 with the fifth.
    assert alarmed.alarmed()[0] and alarmed.drifting()[0]
    assert not alarmed.sums.any()
    assert not later.drifting()[0]


def test_what_nobody_forecast_or_measured_is_unknown() -> None:
    never = noticed(undrifted(1), np.ones(1), np.ones(1, dtype=bool), 0.0, STEP_S, np.random.default_rng(0))
    skipped = noticed(
        expecting(undrifted(1), NORMAL_SCORES[None], 0.0),
        np.full(1, 50.0), np.ones(1, dtype=bool), 2 * STEP_S, STEP_S, np.random.default_rng(0),
    )  # fmt: skip
    missing = noticed(
        expecting(undrifted(1), NORMAL_SCORES[None], 0.0),
        np.full(1, 50.0), np.zeros(1, dtype=bool), 0.0, STEP_S, np.random.default_rng(0),
    )  # fmt: skip

    for state in (never, skipped, missing):
        assert np.isnan(state.surprise()[0])
        assert not state.sums.any()
        assert not state.drifting()[0]


def test_the_same_point_seen_twice_counts_once() -> None:
    state = expecting(_run(np.asarray([[2.0]])), NORMAL_SCORES[None], STEP_S)

    again = noticed(state, np.full(1, 2.0), np.ones(1, dtype=bool), 0.0, STEP_S, np.random.default_rng(0))

    assert again is state


def test_rows_come_and_go_by_themselves() -> None:
    state = _run(np.asarray([[2.9] * 3, [0.0] * 3]))

    chosen = selected(state, [1, -1, 0])

    assert np.array_equal(chosen.sums[2], state.sums[0])
    assert np.array_equal(chosen.scores[0], state.scores[1], equal_nan=True)
    assert np.isnan(chosen.surprise()[1]) and not chosen.drifting()[1]
    assert selected(undrifted(0), [-1, -1]).sums.shape == (2, 3)


def test_the_state_survives_json() -> None:
    state = _run(np.random.default_rng(3).normal(size=(3, 20)))

    again = DriftState(**unpacked(packed(state)))

    assert packed(again) == packed(state)
    assert np.array_equal(again.surprise(), state.surprise())
