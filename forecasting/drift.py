"""How surprising the newest points are to the forecast issued before them, and whether a series has drifted from it.

The probability-integral transform of a point (its level in the forecast of one step ago) is uniform while the
forecaster is right. As a normal score it gives two things: a p-value of the newest points, the anomaly score, and
cumulative sums (Page's CUSUM) that raise an alarm when scores stay high, stay low or scatter too much. Both have known
rates of false alarms as long as the one-step forecasts are calibrated; where they are not, an alarm says just that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools
from forecasting.normal import normal_scores, probability_below
from forecasting.quantiles import LEVEL_ROW

#: Points of a short run, whose mean score is judged beside the newest one alone: a minute of demand.
RUN_POINTS = 4
#: A point is not called less likely than this: nobody has seen that far into a tail.
LEAST_TAIL = 1e-5
#: Points closer to a quantile than this share of it lie on it: numbers are rounded.
ROUNDING = 1e-6
#: A series is read in whole units (connections, requests per scrape) where this many of so many newest steps changed
#: it, and the smallest change is at least this share of the mean one.
UNIT_POINTS, UNIT_CHANGES, UNIT_SHARE = 256, 6, 0.25
#: Scores beyond count as this in sums, so that one spike is no drift.
LARGEST_SCORE = 3.0
#: Half of the shift that sums are made for, in deviations.
SLACK = 0.5
#: Alarm thresholds of the sums (high, low, scattered), each for one false alarm in 120,000 points: together one a week
#: and series at 15 s. Found by simulation (`tests/forecasting/test_drift.py` repeats it on a smaller scale).
THRESHOLDS: Floats = np.asarray([9.7, 9.7, 12.0])
#: An alarm stands for so many points.
STANDS_POINTS = 20.0

#: Mean and deviation of the magnitude of a normal score.
_MAGNITUDE, _MAGNITUDE_DEVIATION = float(np.sqrt(2.0 / np.pi)), float(np.sqrt(1.0 - 2.0 / np.pi))
_LAST = len(LEVELS) - 1


@dataclass(frozen=True, slots=True)
class DriftState:
    """`expected` `(rows, levels)` are the quantiles of the point at `expected_at_s`, NaN where none was forecast.

    `scores` `(rows, RUN_POINTS)` are normal scores of the newest points, NaN where unknown; `sums` `(rows, 3)` the
    cumulative sums; `since_alarm` `(rows,)` the points since the last alarm.
    """

    expected_at_s: float
    expected: Floats
    scores: Floats
    sums: Floats
    since_alarm: Floats

    def surprise(self) -> Floats:
        """Probability of a newest point, or of a run of the newest ones, at least as far out as these, `(rows,)`.

        Small is surprising; NaN where the newest point or its forecast is unknown.
        """
        known = ~np.isnan(self.scores)
        count = np.maximum(known.sum(axis=1), 1)
        run = np.where(known, self.scores, 0.0).sum(axis=1) / np.sqrt(count)
        # Two looks at the same points: the smaller p-value is doubled.
        farthest = np.maximum(np.abs(self.scores[:, -1]), np.abs(run))
        return np.where(
            known[:, -1], np.minimum(1.0, 4.0 * probability_below(-np.where(known[:, -1], farthest, 0.0))), np.nan
        )

    def drifting(self) -> Bools:
        """Whether an alarm stands, `(rows,)`."""
        return np.asarray(self.since_alarm < STANDS_POINTS)

    def alarmed(self) -> Bools:
        """Whether the newest point raised an alarm, `(rows,)`."""
        return np.asarray(self.since_alarm == 0.0)


def undrifted(rows: int) -> DriftState:
    """Nothing expected, nothing seen."""
    return DriftState(
        expected_at_s=-np.inf,
        expected=np.full((rows, len(LEVELS)), np.nan),
        scores=np.full((rows, RUN_POINTS), np.nan),
        sums=np.zeros((rows, len(THRESHOLDS))),
        since_alarm=np.full(rows, STANDS_POINTS),
    )


def expecting(state: DriftState, quantiles: Floats, at_s: float) -> DriftState:
    """With the quantiles `(rows, levels)` that were forecast of the point at `at_s`."""
    return replace(state, expected_at_s=at_s, expected=_small(quantiles))


def noticed(
    state: DriftState,
    newest: Floats,
    known: Bools,
    at_s: float,
    step_s: float,
    rng: np.random.Generator,
    unit: Floats | None = None,
) -> DriftState:
    """After the point measured at `at_s`, both `(rows,)`. Points that nobody forecast one step before are unknown.

    `unit` `(rows,)` is what each series is counted in, 0 or None where it is measured (`units` finds it). `rng` places
    points that stand for a range of values, such as zeros and other whole numbers.
    """
    if at_s < state.expected_at_s - 0.5 * step_s:
        return state  # seen before
    scores: Floats = np.full(newest.shape, np.nan)
    if abs(at_s - state.expected_at_s) < 0.5 * step_s:
        draws = rng.random(newest.size)
        rows = np.flatnonzero(known & np.isfinite(state.expected).all(axis=1))
        half_unit = np.zeros(rows.size) if unit is None else 0.5 * unit[rows]
        scores[rows] = normal_scores(transformed(state.expected[rows], newest[rows], half_unit, draws[rows]))
    judged = ~np.isnan(scores)
    bounded = np.clip(np.where(judged, scores, 0.0), -LARGEST_SCORE, LARGEST_SCORE)
    scatter = (np.abs(bounded) - _MAGNITUDE) / _MAGNITUDE_DEVIATION
    news = np.stack([bounded, -bounded, scatter], axis=1) - SLACK
    sums = np.where(judged[:, None], np.maximum(state.sums + news, 0.0), state.sums)
    alarm = np.asarray((sums > THRESHOLDS).any(axis=1))
    return replace(
        state,
        scores=_small(np.concatenate([state.scores[:, 1:], scores[:, None]], axis=1)),
        sums=_small(np.where(alarm[:, None], 0.0, sums)),
        since_alarm=np.where(alarm, 0.0, np.minimum(state.since_alarm + 1.0, STANDS_POINTS)),
    )


def transformed(quantiles: Floats, outcomes: Floats, half_unit: Floats, draws: Floats) -> Floats:
    """The level of each outcome in its forecast, in (0, 1), `(rows,)`.

    `quantiles` `(rows, levels)`. An outcome stands for all values within `half_unit` of it; `draws`, in [0, 1), says
    which of their levels is taken; both `(rows,)`.
    """
    reach = np.maximum(half_unit, ROUNDING * np.maximum(np.abs(outcomes), np.abs(quantiles[:, len(LEVELS) // 2])))
    lowest, highest = _level(quantiles, outcomes - reach), _level(quantiles, outcomes + reach)
    return np.asarray(np.clip(lowest + draws * (highest - lowest), LEAST_TAIL, 1.0 - LEAST_TAIL))


def units(values: Floats) -> Floats:
    """The unit in which each row is counted, `(rows,)`, from its `values` `(rows, points)`; 0 where it is measured."""
    changes = np.abs(np.diff(values[:, -UNIT_POINTS:], axis=1))
    changed = changes > 0.0
    count = changed.sum(axis=1)
    smallest = np.where(changed, changes, np.inf).min(axis=1, initial=np.inf)
    mean = changes.sum(axis=1) / np.maximum(count, 1)
    whole = (count >= UNIT_CHANGES) & (smallest >= UNIT_SHARE * mean)
    return np.where(whole, smallest, 0.0)


def selected(state: DriftState, rows: Sequence[int]) -> DriftState:
    """The state of some rows, -1 standing for a new one."""
    index = np.asarray(rows, dtype=np.intp)
    blank = undrifted(1)

    def taken(values: Floats, missing: Floats) -> Floats:
        extended = np.concatenate([values, missing])  # -1 is the last one
        return np.asarray(extended[index])

    return DriftState(
        expected_at_s=state.expected_at_s,
        expected=taken(state.expected, blank.expected),
        scores=taken(state.scores, blank.scores),
        sums=taken(state.sums, blank.sums),
        since_alarm=taken(state.since_alarm, blank.since_alarm),
    )


def _level(quantiles: Floats, values: Floats) -> Floats:
    """Probability of a value up to each of `values`, `(rows,)`: linear between levels, an exponential tail beyond."""
    below = (quantiles < values[:, None]).sum(axis=1)
    left, right = np.clip(below - 1, 0, _LAST - 1), np.clip(below, 1, _LAST)
    low = np.take_along_axis(quantiles, left[:, None], axis=1)[:, 0]
    high = np.take_along_axis(quantiles, right[:, None], axis=1)[:, 0]
    share = np.clip((values - low) / np.where(high > low, high - low, 1.0), 0.0, 1.0)
    level = LEVEL_ROW[left] + share * (LEVEL_ROW[right] - LEVEL_ROW[left])
    above = _tail(values - quantiles[:, -1], quantiles[:, -1] - quantiles[:, -3], 1.0 - LEVELS[-3])
    under = _tail(quantiles[:, 0] - values, quantiles[:, 2] - quantiles[:, 0], LEVELS[2])
    level = np.where(below > _LAST, 1.0 - above, level)
    return np.where(below == 0, under, level)


def _tail(distance: Floats, outer: Floats, inner_level: float) -> Floats:
    """Probability beyond a distance from the outermost level, exponential through it and the one two levels inside."""
    scale = outer / np.log(inner_level / LEVELS[0])
    scales = np.divide(distance, scale, out=np.full_like(distance, np.inf), where=scale > 0.0)
    return np.asarray(LEVELS[0] * np.exp(-np.clip(scales, 0.0, 50.0)))


def _small(values: Floats) -> Floats:
    """To float32 precision, so that a dump of the state is small and exact."""
    return values.astype(np.float32).astype(np.float64)
