"""History → what the network reads: scaled values at two resolutions, anchors for the future, calendar and context.

The same code feeds training and serving, so the network sees at run time what it has learned from. Everything is
numpy; the network itself only ever sees scaled numbers. Scaled space: `asinh((x - centre) / scale)`, which keeps bursts
finite and small changes visible; the inverse is exact and monotone, so quantiles stay quantiles.

Anchors are simple forecasts (last value, slow levels, lines, the last cycle, the same time yesterday and last week).
The network learns how much each of them counts, and what none of them says.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from forecasting.baselines import Baseline, one_filter, seasonal
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.seasons import season_steps

Singles = NDArray[np.float32]
A = TypeVar("A", bound=np.ndarray[Any, Any])

#: Points of each resolution, the width of a coarse bucket, and what both reach back to.
CONTEXT_STEPS = 512
COARSE_BUCKETS = 512
BUCKET_STEPS = 12
LONGEST_CONTEXT = COARSE_BUCKETS * BUCKET_STEPS
#: Steps of one pass; longer horizons are rolled out.
HORIZON_STEPS = 64
#: Points in which a cycle is looked for.
SEASON_POINTS = 1024
#: What one token stands for: steps of the newer and of the older half of the context, and coarse buckets.
PATCH_STEPS, OLDER_PATCH, COARSE_PATCH = 16, 32, 64
OLDER_STEPS = CONTEXT_STEPS // 2
DAY_S, WEEK_S = 86_400.0, 604_800.0

#: Filters whose forecasts are anchors; levels stay, lines go on.
ANCHOR_FILTERS: tuple[Baseline, ...] = (
    Baseline("level-6", 6.0),
    Baseline("level-24", 24.0),
    Baseline("level-96", 96.0),
    Baseline("line-12", 12.0, damping=1.0),
    Baseline("line-40", 40.0, damping=1.0),
    Baseline("line-120", 120.0, damping=1.0),
)
#: Anchors in the order of the network's input; those from `season` on are not always known.
ANCHORS = (
    "last",
    *(baseline.name for baseline in ANCHOR_FILTERS),
    "season",
    "season-shifted",
    "day",
    "day-shifted",
    "week",
)
#: A scale is at least this share of the centre, of the long history's deviation, and this much.
LEAST_RELATIVE_SCALE, LEAST_LONG_SHARE, LEAST_SCALE = 1e-4, 0.05, 1e-9
#: Scaled values beyond this are cut off: they tell nothing more.
LARGEST_SCALED = 12.0
#: Steps to either side over which the same time of another day is averaged.
SMOOTHED_STEPS = 2
CALENDAR = 5
STATIC = 12


@dataclass(frozen=True, slots=True)
class Window:
    """Rows as the features need them: filled values, what was measured, and when.

    `values`, `known` `(rows, points)`, oldest first; `step_s`, `last_at_s` `(rows,)`; `wall_clock` `(rows,)`: times are
    Unix times. `day`, `week` `(rows, HORIZON_STEPS)`: measured one day (week) before each step ahead, NaN unknown.
    `event_log` `(rows, points + HORIZON_STEPS)`: log of the declared multiplier of demand; `demand` `(rows,)`.
    """

    values: Floats
    known: Bools
    step_s: Floats
    last_at_s: Floats
    wall_clock: Bools
    day: Floats
    week: Floats
    event_log: Floats
    demand: Bools


@dataclass(frozen=True, slots=True)
class Scaling:
    """Centre and scale of every row, `(rows,)`."""

    centre: Floats
    scale: Floats

    def scaled(self, values: Floats) -> Floats:
        """`values` `(rows, …)` in scaled space, cut off at `LARGEST_SCALED`."""
        shape = (-1, *(1,) * (values.ndim - 1))
        relative = (values - self.centre.reshape(shape)) / self.scale.reshape(shape)
        return np.clip(np.arcsinh(relative), -LARGEST_SCALED, LARGEST_SCALED)

    def restored(self, scaled: Floats) -> Floats:
        """Back from scaled space."""
        shape = (-1, *(1,) * (scaled.ndim - 1))
        return np.sinh(scaled) * self.scale.reshape(shape) + self.centre.reshape(shape)


@dataclass(frozen=True, slots=True)
class Features:
    """The network's inputs, float32, and the scaling that brings its output back.

    `context` `(rows, 512, 4)`: value, known, departure from the last value in recent movements, event log; `coarse`
    `(rows, 512, 3)`: mean, maximum, share known; `anchors` `(rows, 64, anchors)` and `anchor_known` likewise; `events`
    `(rows, 64)`; `calendar` `(rows, tokens, 5)`; `static` `(rows, 12)`. `season` `(rows,)`: the cycle found, in steps.
    """

    context: Singles
    coarse: Singles
    anchors: Singles
    anchor_known: Singles
    events: Singles
    calendar: Singles
    static: Singles
    scaling: Scaling
    season: Ints

    def inputs(self) -> dict[str, Singles]:
        """By the names of the graph's inputs."""
        return {
            "context": self.context,
            "coarse": self.coarse,
            "anchors": self.anchors,
            "anchor_known": self.anchor_known,
            "events": self.events,
            "calendar": self.calendar,
            "static": self.static,
        }


def features(window: Window) -> Features:
    """What the network reads of each row."""
    points = window.values.shape[1]
    recent, recent_known = _newest(window.values, CONTEXT_STEPS), _newest(window.known, CONTEXT_STEPS)
    mean, peak, share = _buckets(window.values, window.known)
    scaling = _scaling(recent, recent_known, mean, share)
    last = recent[:, -1]
    movement = _movement(recent, recent_known, scaling.scale)
    anchors, known, season = _anchors(window, recent)
    value = np.where(recent_known, scaling.scaled(recent), 0.0)
    departure = np.where(recent_known, np.arcsinh((recent - last[:, None]) / movement[:, None]), 0.0)
    events = np.clip(window.event_log, -3.0, 4.0)
    past_events = _newest(events[:, :points], CONTEXT_STEPS)
    context = np.stack([value, recent_known, np.clip(departure, -LARGEST_SCALED, LARGEST_SCALED), past_events], axis=2)
    coarse = np.stack(
        [np.where(share > 0, scaling.scaled(mean), 0.0), np.where(share > 0, scaling.scaled(peak), 0.0), share], axis=2
    )
    static = np.stack(
        [
            np.log10(window.step_s / 60.0),
            np.log(movement / scaling.scale),
            np.log10(scaling.scale / (np.abs(scaling.centre) + scaling.scale)),
            np.clip(np.arcsinh(-scaling.centre / scaling.scale), -LARGEST_SCALED, LARGEST_SCALED),
            scaling.scaled(last),
            recent_known.mean(axis=1),
            (share > 0).mean(axis=1),
            np.log1p(season) / 4.0,
            np.log1p(DAY_S / window.step_s) / 4.0,
            (np.diff(recent, axis=1) == 0.0).mean(axis=1),
            window.demand,
            window.wall_clock,
        ],
        axis=1,
    )
    return Features(
        context=context.astype(np.float32),
        coarse=coarse.astype(np.float32),
        anchors=np.where(known, scaling.scaled(np.where(known, anchors, 0.0)), 0.0).astype(np.float32),
        anchor_known=known.astype(np.float32),
        events=events[:, points:].astype(np.float32),
        calendar=_calendar(window).astype(np.float32),
        static=static.astype(np.float32),
        scaling=scaling,
        season=season,
    )


def _newest(values: A, count: int) -> A:
    """The last `count` columns; where there are fewer, the first one repeated in front, false if boolean."""
    missing = count - values.shape[1]
    if missing <= 0:
        return cast(A, values[:, -count:])
    first = np.zeros_like(values[:, :1]) if values.dtype == bool else values[:, :1]
    return cast(A, np.concatenate([np.repeat(first, missing, axis=1), values], axis=1))


def _buckets(values: Floats, known: Bools) -> tuple[Floats, Floats, Floats]:
    """Mean and maximum of what is known in each coarse bucket and the share known, each `(rows, buckets)`."""
    rows = values.shape[0]
    points = min(values.shape[1], LONGEST_CONTEXT)
    filled = -(-points // BUCKET_STEPS)
    inside = _newest(values[:, -points:], filled * BUCKET_STEPS).reshape(rows, filled, BUCKET_STEPS)
    measured = _newest(known[:, -points:], filled * BUCKET_STEPS).reshape(rows, filled, BUCKET_STEPS)
    count = measured.sum(axis=2)
    if measured.all():
        mean, peak = inside.mean(axis=2), inside.max(axis=2)
    else:
        mean = np.where(measured, inside, 0.0).sum(axis=2) / np.maximum(count, 1)
        peak = np.where(count > 0, np.where(measured, inside, -np.inf).max(axis=2), 0.0)
    share = count / BUCKET_STEPS
    if filled == COARSE_BUCKETS:
        return mean, peak, share
    empty = np.zeros((rows, COARSE_BUCKETS - filled))
    mean, peak, share = (np.concatenate([empty, part], axis=1) for part in (mean, peak, share))
    return mean, peak, share


def _scaling(recent: Floats, known: Bools, mean: Floats, share: Floats) -> Scaling:
    """Mean and deviation of the newest points, floored; what moved long ago keeps the scale from vanishing."""
    centre, deviation = _moments(recent, known)
    _, long_deviation = _moments(mean, share > 0)
    scale = np.maximum.reduce(
        [
            deviation,
            LEAST_LONG_SHARE * long_deviation,
            LEAST_RELATIVE_SCALE * np.abs(centre),
            np.full_like(centre, LEAST_SCALE),
        ]
    )
    return Scaling(centre, scale)


def _moments(values: Floats, known: Bools) -> tuple[Floats, Floats]:
    count = np.maximum(known.sum(axis=1), 1)
    centre = np.where(known, values, 0.0).sum(axis=1) / count
    rest = np.where(known, values - centre[:, None], 0.0)
    return centre, np.sqrt((rest**2).sum(axis=1) / count)


def _movement(recent: Floats, known: Bools, scale: Floats) -> Floats:
    """Typical change from one of the newest 128 points to the next, `(rows,)`, a thousandth of the scale at least."""
    newest = slice(-128, None)
    both = known[:, newest][:, 1:] & known[:, newest][:, :-1]
    change = np.where(both, np.abs(np.diff(recent[:, newest], axis=1)), 0.0)
    mean: Floats = change.sum(axis=1) / np.maximum(both.sum(axis=1), 1)
    return np.maximum(mean, 1e-3 * scale)


def _anchors(window: Window, recent: Floats) -> tuple[Floats, Bools, Ints]:
    """Anchors `(rows, steps, anchors)`, which of them are known, and the cycle's length in steps, 0 for none."""
    rows = recent.shape[0]
    ahead = np.arange(1, HORIZON_STEPS + 1)
    anchors = np.zeros((rows, HORIZON_STEPS, len(ANCHORS)))
    known = np.ones(anchors.shape, dtype=bool)
    anchors[:, :, 0] = recent[:, -1:]
    both = recent @ _filter_bank()
    count = len(ANCHOR_FILTERS)
    anchors[:, :, 1 : 1 + count] = both[:, None, :count] + ahead[:, None] * both[:, None, count:]
    level = both[:, 0]

    long = window.values[:, -SEASON_POINTS:]
    season = season_steps(long, window.known[:, -SEASON_POINTS:])
    repeating = np.flatnonzero(season)
    place = 1 + count
    known[:, :, place : place + 2] = (season > 0)[:, None, None]
    if repeating.size:
        newest = np.asarray([long.shape[1] - 1], dtype=np.intp)
        cycle = long[repeating]
        smooth = one_filter(cycle, ANCHOR_FILTERS[0])[0]
        naive, shifted = seasonal(cycle, smooth, season[repeating], newest, ahead)
        anchors[repeating, :, place], anchors[repeating, :, place + 1] = naive, shifted

    for offset, given in ((2, window.day), (4, window.week)):
        same_time = _smoothed(given)
        there = np.isfinite(same_time)
        anchors[:, :, place + offset] = np.where(there, same_time, 0.0)
        known[:, :, place + offset] = there
        if offset == 2:
            shifted = same_time + (level - same_time[:, 0])[:, None]
            there = there & np.isfinite(shifted)
            anchors[:, :, place + 3] = np.where(there, shifted, 0.0)
            known[:, :, place + 3] = there
    return anchors, known, season


def _smoothed(given: Floats) -> Floats:
    """A short running mean: the shape of another day is wanted, its noise is not."""
    if not np.isfinite(given).any():
        return given
    steps = np.arange(given.shape[1])
    first, last = np.maximum(steps - SMOOTHED_STEPS, 0), np.minimum(steps + SMOOTHED_STEPS, steps[-1])
    there = np.isfinite(given)
    sums = np.concatenate([np.zeros((given.shape[0], 1)), np.cumsum(np.where(there, given, 0.0), axis=1)], axis=1)
    counts = np.concatenate([np.zeros((given.shape[0], 1)), np.cumsum(there, axis=1)], axis=1)
    total, count = sums[:, last + 1] - sums[:, first], counts[:, last + 1] - counts[:, first]
    return np.asarray(np.where(there, total / np.maximum(count, 1), np.nan))


@lru_cache(maxsize=1)
def _filter_bank() -> Floats:
    """`(512, 2 · filters)`: recent values @ bank = levels, then slopes per step, at the newest point."""
    impulse = np.concatenate([np.zeros((CONTEXT_STEPS, 1)), np.eye(CONTEXT_STEPS)], axis=1)
    responses = [one_filter(impulse, baseline) for baseline in ANCHOR_FILTERS]
    levels = np.stack([level[:, -1] for level, _ in responses], axis=1)
    slopes = np.stack([slope[:, -1] for _, slope in responses], axis=1)
    # The first point also stands for all that lies before it.
    levels[0] = 1.0 - levels[1:].sum(axis=0)
    slopes[0] = -slopes[1:].sum(axis=0)
    bank = np.concatenate([levels, slopes], axis=1)
    bank.setflags(write=False)
    return bank


def _calendar(window: Window) -> Floats:
    """Day and week as circles at the middle of every token, and whether they are known, `(rows, tokens, 5)`."""
    older = _middles(-CONTEXT_STEPS, OLDER_STEPS, OLDER_PATCH)
    newer = _middles(OLDER_STEPS - CONTEXT_STEPS, CONTEXT_STEPS - OLDER_STEPS, PATCH_STEPS)
    coarse = _middles(-LONGEST_CONTEXT, LONGEST_CONTEXT, COARSE_PATCH * BUCKET_STEPS)
    future = _middles(0, HORIZON_STEPS, PATCH_STEPS)
    offsets = np.concatenate([older, newer, coarse, future])
    times = window.last_at_s[:, None] + window.step_s[:, None] * offsets
    shown = np.broadcast_to(window.wall_clock[:, None], times.shape).astype(np.float64)
    day, week = 2.0 * np.pi / DAY_S * times, 2.0 * np.pi / WEEK_S * times
    circles = np.stack([np.sin(day), np.cos(day), np.sin(week), np.cos(week)], axis=2)
    return np.concatenate([circles * shown[:, :, None], shown[:, :, None]], axis=2)


def _middles(start: int, steps: int, patch: int) -> Floats:
    """Middles of the patches of a stretch, in steps from the newest point."""
    return np.asarray(start + patch * (np.arange(steps // patch) + 0.5))
