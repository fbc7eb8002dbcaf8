"""What a model on the user's history reads: a stretch of the past scaled by itself, and what is known of each step.

The same code feeds training and serving, and all of it stays outside the graph. Scaled space is that of the default
model: `asinh((x - centre) / scale)` with centre and scale of the stretch, so that one model serves series of any size.
Beside the value, each step tells whether it was measured, the time of day and week, and what was measured one day and
one week before it: no stretch is long enough to hold a second day.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.features import DAY_S, LEAST_RELATIVE_SCALE, LEAST_SCALE, WEEK_S, Scaling
from forecasting.forecast import Floats, ForecastRequest
from forecasting.history import LARGEST_VALUE, SHORT_GAP_STEPS, Bools, Ints, bridged_gaps
from forecasting.series_files import Series

Singles = NDArray[np.float32]

#: Columns that describe each step of past and future, in the order of the graphs' inputs.
COVARIATES = (
    "measured",
    "day-sine",
    "day-cosine",
    "week-sine",
    "week-cosine",
    "yesterday",
    "yesterday-known",
    "last-week",
    "last-week-known",
)
#: A stretch with a smaller share of known points teaches nothing and foretells nothing.
LEAST_KNOWN_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Stretch:
    """Rows as they were measured, NaN where nothing is known.

    `past` `(rows, input_steps)`, its last column measured at `last_at_s` `(rows,)`. `day`, `week`
    `(rows, input_steps + steps ahead)`: what was measured one day (week) before each step of past and future.
    `wall_clock`: times are Unix times.
    """

    past: Floats
    day: Floats
    week: Floats
    last_at_s: Floats
    step_s: float
    wall_clock: bool


@dataclass(frozen=True, slots=True)
class ModelInput:
    """What the graphs read: `target` `(rows, input_steps, 1)`, `past` `(rows, input_steps, covariates)`, `future`
    `(rows, steps ahead, covariates)`, and the scaling that brings their output back."""

    target: Singles
    past: Singles
    future: Singles
    scaling: Scaling


@dataclass(frozen=True, slots=True)
class Examples:
    """Model inputs and what came: `outcome` `(rows, steps ahead)` in scaled space, made up where `known` is
    false."""

    given: ModelInput
    outcome: Singles
    known: Bools


def model_input(stretch: Stretch) -> ModelInput:
    """Scaled values, gaps bridged, and covariates of every step. Each row must hold a known point."""
    input_steps = stretch.past.shape[1]
    past, known = _bridged(stretch.past)
    scaling = scaling_of(stretch.past)
    target = scaling.scaled(past)
    measured = np.ones_like(stretch.day)
    measured[:, :input_steps] = known
    columns = [measured, *_circles(stretch)]
    for values in (stretch.day, stretch.week):
        there = np.isfinite(values)
        columns += [np.where(there, scaling.scaled(np.where(there, values, 0.0)), 0.0), there.astype(np.float64)]
    covariates = np.stack(columns, axis=2).astype(np.float32)
    return ModelInput(
        target=target[:, :, None].astype(np.float32),
        past=covariates[:, :input_steps],
        future=covariates[:, input_steps:],
        scaling=scaling,
    )


def scaling_of(past: Floats) -> Scaling:
    """Mean and deviation of the known points of each row, floored so that a constant row can be divided by it."""
    known = np.isfinite(past)
    count = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, past, 0.0).sum(axis=1) / count
    rest = np.where(known, past - centre[:, None], 0.0)
    deviation = np.sqrt((rest**2).sum(axis=1) / count)
    return Scaling(centre, np.maximum.reduce([deviation, LEAST_RELATIVE_SCALE * np.abs(centre), _least(centre)]))


def examples(series: Sequence[Series], rows: Ints, origins: Ints, input_steps: int, steps_ahead: int) -> Examples:
    """What was known at point `origins[i]` (its last one) of series `rows[i]`, and what came after it.

    Each series must have `steps_ahead` points after the origin; points before its first one are unknown.
    """
    values = [_refused(one.values) for one in series]
    around = np.arange(1 - input_steps, steps_ahead + 1)
    step_s = series[0].step_s
    past_and_future, day, week = (
        np.stack([_taken(values[row], origin + around - lag) for row, origin in zip(rows, origins, strict=True)])
        for lag in (0, same_time_lag(step_s, DAY_S), same_time_lag(step_s, WEEK_S))
    )
    starts = np.asarray([one.start_at_s or 0.0 for one in series])
    given = model_input(
        Stretch(
            past=past_and_future[:, :input_steps],
            day=day,
            week=week,
            last_at_s=starts[rows] + step_s * origins,
            step_s=step_s,
            wall_clock=all(one.start_at_s is not None for one in series),
        )
    )
    filled, _ = _bridged(past_and_future)
    outcome = given.scaling.scaled(filled[:, input_steps:])
    return Examples(given, outcome.astype(np.float32), np.isfinite(past_and_future[:, input_steps:]))


def stretch_of(request: ForecastRequest, rows: Ints, values: Floats, input_steps: int, steps_ahead: int) -> Stretch:
    """The newest stretch of some rows of a request; `values` `(rows, points)` are theirs, NaN where unknown.

    What was measured a day or week before comes from older points, and before the future from what the request says
    of it, where it does.
    """
    around = values.shape[1] - 1 + np.arange(1 - input_steps, steps_ahead + 1)
    past = _columns(values, around[:input_steps])
    lagged = []
    for lag_s, given in ((DAY_S, request.same_time_yesterday), (WEEK_S, request.same_time_last_week)):
        before = _columns(values, around - same_time_lag(request.step_s, lag_s))
        if given is not None:
            told = _refused(np.asarray(given, dtype=np.float64)[rows, :steps_ahead])
            ahead = before[:, input_steps : input_steps + told.shape[1]]
            ahead[np.isfinite(told)] = told[np.isfinite(told)]
        lagged.append(before)
    last_at_s = np.full(rows.size, request.last_at_s)
    return Stretch(past, lagged[0], lagged[1], last_at_s, request.step_s, request.wall_clock)


def same_time_lag(step_s: float, period_s: float) -> int:
    """Steps in a day (week); a lag that no series reaches where steps do not divide it."""
    steps = period_s / step_s
    return round(steps) if abs(steps - round(steps)) < 1e-6 else 1 << 40


def _circles(stretch: Stretch) -> list[Floats]:
    """Time of day and of week as points on circles, zero where times are not wall-clock times."""
    input_steps, total = stretch.past.shape[1], stretch.day.shape[1]
    if not stretch.wall_clock:
        return [np.zeros_like(stretch.day)] * 4
    times = stretch.last_at_s[:, None] + stretch.step_s * np.arange(1 - input_steps, total - input_steps + 1)
    day, week = 2.0 * np.pi / DAY_S * times, 2.0 * np.pi / WEEK_S * times
    return [np.sin(day), np.cos(day), np.sin(week), np.cos(week)]


def _bridged(raw: Floats) -> tuple[Floats, Bools]:
    """Gaps filled as the loop's history fills them, and what counts as measured: short gaps with both ends known do."""
    known = np.isfinite(raw)
    if known.all():
        return raw, known
    filled, gaps = bridged_gaps(np.where(known, raw, 0.0), known)
    later = np.flip(np.logical_or.accumulate(np.flip(known, axis=1), axis=1), axis=1)
    return filled, known | ((gaps <= SHORT_GAP_STEPS) & later)


def _columns(values: Floats, index: Ints) -> Floats:
    """Columns of `values`, NaN where there is no such column."""
    inside = (index >= 0) & (index < values.shape[1])
    chosen = _refused(values[:, np.where(inside, index, 0)])
    return np.where(inside, chosen, np.nan)


def _taken(values: Floats, index: Ints) -> Floats:
    inside = (index >= 0) & (index < values.size)
    return np.where(inside, values[np.where(inside, index, 0)], np.nan)


def _refused(values: Floats) -> Floats:
    """The same with NaN where numbers are too large to be measurements."""
    too_large = np.abs(values) > LARGEST_VALUE
    return np.where(too_large, np.nan, values) if too_large.any() else values


def _least(centre: Floats) -> Floats:
    return np.full_like(centre, LEAST_SCALE)
