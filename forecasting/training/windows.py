"""Series → training windows: a history as long or short as it is found in the field, and what came after it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.features import (
    DAY_S,
    HORIZON_STEPS,
    LARGEST_SCALED,
    LONGEST_CONTEXT,
    WEEK_S,
    Features,
    Singles,
    Window,
    features,
)
from forecasting.forecast import Floats
from forecasting.history import SHORT_GAP_STEPS, STALE_AFTER_STEPS, Ints, bridged_gaps

#: A history needs this many known points, and this share of the outcomes must be known.
FEWEST_KNOWN, KNOWN_OUTCOMES = 8, 0.5
#: Shares of windows that see everything, the loop's 512 points, or some shorter history.
WHOLE_HISTORY, LOOP_HISTORY = 0.55, 0.25
#: How often something that is known is left out, so that the network does without it too.
DAY_DROPOUT, WEEK_DROPOUT, CLOCK_DROPOUT, EVENT_DROPOUT = 0.3, 0.3, 0.4, 0.3
#: Rows are weighed by their own difficulty: how far they usually move over this many steps.
WEIGHED_LAG, LEAST_DIFFICULTY = 16, 0.03


@dataclass(frozen=True, slots=True)
class SeriesBatch:
    """Series on regular grids, `(series, points)`, NaN where missing; `step_s`, `start_at_s` `(series,)`.

    `start_at_s` is NaN where no clock is known. `event_log` `(series, points)`: log of declared multipliers.
    """

    values: Floats
    step_s: Floats
    start_at_s: Floats
    event_log: Floats


@dataclass(frozen=True, slots=True)
class TrainingBatch:
    """Inputs, scaled outcomes `(rows, 64)` (0 where unknown), what of them is known, and the rows' weights.

    `weights` `(rows, 2)`: in scaled space and in deviations.
    """

    inputs: dict[str, Singles]
    outcomes: Singles
    known: Singles
    weights: Singles


def training_batch(series: SeriesBatch, windows: int, rng: np.random.Generator) -> TrainingBatch:
    """About `windows` windows at random origins; those without enough history or outcomes are left out."""
    chosen = np.arange(windows) % series.values.shape[0]
    last = series.values.shape[1] - HORIZON_STEPS - 1
    origins = rng.integers(min(96, last), last + 1, windows)
    whole = rng.random(windows)
    longest = np.where(
        whole < WHOLE_HISTORY,
        LONGEST_CONTEXT,
        np.where(whole < WHOLE_HISTORY + LOOP_HISTORY, 512, np.exp(rng.uniform(np.log(10), np.log(1500), windows))),
    ).astype(np.intp)
    window, outcomes, usable = windows_at(series, chosen, origins, longest)
    window, outcomes = _rows(window, usable), outcomes[usable]
    return scaled_batch(_thinned(window, rng), outcomes)


def windows_at(
    series: SeriesBatch, chosen: Ints, origins: Ints, longest: Ints | int = LONGEST_CONTEXT
) -> tuple[Window, Floats, Ints]:
    """Windows whose newest point is column `origins` of series `chosen`, outcomes `(rows, 64)`, and the usable rows."""
    points = series.values.shape[1]
    reach = int(min(LONGEST_CONTEXT, origins.max() + 1))
    columns = origins[:, None] + np.arange(1 - reach, HORIZON_STEPS + 1)
    inside = (columns >= 0) & (columns < points)
    columns = np.clip(columns, 0, points - 1)
    taken = np.where(inside, series.values[chosen[:, None], columns], np.nan).astype(np.float64)
    events = np.where(inside, series.event_log[chosen[:, None], columns], 0.0).astype(np.float64)
    raw, outcomes = taken[:, :reach], taken[:, reach:]
    measured = np.isfinite(raw)
    filled, gaps = bridged_gaps(raw, measured) if not measured.all() else (raw, np.zeros(raw.shape, dtype=np.intp))
    filled = np.where(np.isfinite(filled), filled, 0.0)
    # What is cut off is not seen in any way: the first point that is left stands for all before it.
    start = np.maximum(reach - np.broadcast_to(longest, chosen.shape), 0)[:, None]
    seen = np.arange(reach) >= start
    filled = np.where(seen, filled, np.take_along_axis(filled, start, axis=1))
    known = measured & seen
    newest = reach - 1 - np.argmax(known[:, ::-1], axis=1)
    usable = np.flatnonzero(
        (known.sum(axis=1) >= FEWEST_KNOWN)
        & (reach - 1 - newest <= STALE_AFTER_STEPS)
        & (np.isfinite(outcomes).mean(axis=1) >= KNOWN_OUTCOMES)
    )
    known |= seen & (gaps <= SHORT_GAP_STEPS) & (np.arange(reach) <= newest[:, None])
    step_s, start_at_s = series.step_s[chosen], series.start_at_s[chosen]
    wall_clock = np.isfinite(start_at_s)
    window = Window(
        values=filled,
        known=known,
        step_s=step_s,
        last_at_s=np.where(wall_clock, start_at_s, 0.0) + origins * step_s,
        wall_clock=wall_clock,
        day=_earlier(series, chosen, origins, DAY_S),
        week=_earlier(series, chosen, origins, WEEK_S),
        event_log=events,
        demand=filled.min(axis=1) >= 0.0,
    )
    return window, outcomes, usable


def scaled_batch(window: Window, outcomes: Floats) -> TrainingBatch:
    """Features of the windows and their outcomes in the same scaled space."""
    made: Features = features(window)
    known = np.isfinite(outcomes)
    scaled = np.where(known, made.scaling.scaled(np.where(known, outcomes, 0.0)), 0.0)
    return TrainingBatch(
        made.inputs(),
        np.clip(scaled, -LARGEST_SCALED, LARGEST_SCALED).astype(np.float32),
        known.astype(np.float32),
        (1.0 / _difficulty(made)).astype(np.float32),
    )


def joined(batches: list[TrainingBatch]) -> TrainingBatch:
    """One batch of all rows."""
    names = batches[0].inputs
    return TrainingBatch(
        {name: np.concatenate([batch.inputs[name] for batch in batches]) for name in names},
        np.concatenate([batch.outcomes for batch in batches]),
        np.concatenate([batch.known for batch in batches]),
        np.concatenate([batch.weights for batch in batches]),
    )


def _difficulty(made: Features) -> NDArray[np.float64]:
    """How far the history moves within a quarter of the horizon, in scaled space and in deviations, `(rows, 2)`.

    Read from the past only, else quantiles would bend.
    """
    known = made.context[:, :, 1]
    both = known[:, WEIGHED_LAG:] * known[:, :-WEIGHED_LAG]
    pairs = np.maximum(both.sum(axis=1), 1.0)
    moved = []
    for value in (made.context[:, :, 0], np.sinh(made.context[:, :, 0])):
        steps = np.abs(value[:, WEIGHED_LAG:] - value[:, :-WEIGHED_LAG])
        moved.append((steps * both).sum(axis=1) / pairs + LEAST_DIFFICULTY)
    return np.stack(moved, axis=1)


def _earlier(series: SeriesBatch, chosen: Ints, origins: Ints, ago_s: float) -> Floats:
    """What was measured `ago_s` before each step ahead, `(rows, 64)`; NaN where steps do not meet it or it is ahead."""
    step_s = series.step_s[chosen]
    ago = np.round(ago_s / step_s).astype(np.intp)
    columns = origins[:, None] + np.arange(1, HORIZON_STEPS + 1) - ago[:, None]
    there = (columns >= 0) & (columns <= origins[:, None]) & (np.abs(ago * step_s - ago_s) < 1e-6 * ago_s)[:, None]
    found = series.values[chosen[:, None], np.clip(columns, 0, series.values.shape[1] - 1)]
    return np.where(there, found, np.nan).astype(np.float64)


def _thinned(window: Window, rng: np.random.Generator) -> Window:
    """With something left out here and there."""
    rows = window.step_s.size
    day, week, clock, event, demand = rng.random((5, rows))
    return Window(
        values=window.values,
        known=window.known,
        step_s=window.step_s,
        last_at_s=window.last_at_s,
        wall_clock=window.wall_clock & (clock >= CLOCK_DROPOUT),
        day=np.where((day < DAY_DROPOUT)[:, None], np.nan, window.day),
        week=np.where((week < WEEK_DROPOUT)[:, None], np.nan, window.week),
        event_log=np.where((event < EVENT_DROPOUT)[:, None], 0.0, window.event_log),
        demand=window.demand & (demand < 0.5),
    )


def _rows(window: Window, rows: Ints) -> Window:
    return Window(
        *(
            getattr(window, name)[rows]
            for name in ("values", "known", "step_s", "last_at_s", "wall_clock", "day", "week", "event_log", "demand")
        )
    )
