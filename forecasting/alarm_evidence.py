"""Evidence about a failure signal beside its forecast: is it worth one, has it turned back before, does its trend hold?

All of it is read from the signal's own history, which rises towards its limit; what sinks is turned over first.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats

#: A signal is worth a forecast from this share of its limit on …
WATCHED_RATIO = 0.5
#: … or when its rise of the last minutes would bring it there within so many steps.
WATCHED_AHEAD_STEPS = 120
_RISE_LAGS = (3, 8)  # steps over which a rise is read
#: A signal can reach its limit from this share of it on …
NEAR_RATIO = 0.85
#: … or by this many times its highest rise so far.
REACH_RATIO = 3.0
#: A signal is watched while it is worth a forecast and for so many points, half an hour at 60 s, after that.
LINGERS_POINTS = 30
#: A signal that was near its limit has turned back when it has fallen by at least this share of the limit.
TURN_RATIO = 0.1
#: It was as near as now when it was at most this much further from it, as a share of the limit.
NEARLY_RATIO = 0.05
#: Precedents are looked for in means of so many points.
SMOOTHED_POINTS = 5
#: A trend is read over so many points, and believed where it explains this share of their variance.
TREND_POINTS, TREND_FIT = 15, 0.9


def worth_forecasting(values: Floats, limits: Floats) -> NDArray[np.bool_]:
    """Signals that are high already or rise fast enough to matter, `(series,)`; what is unknown is not.

    `values` `(series, points)` with at least nine points, oldest first, rising towards `limits` `(series,)`. Flat
    lines far from their limits are most of a fleet: forecasting them all would cost more than all else together.
    """
    newest = values[:, -1]
    suspicious = newest >= WATCHED_RATIO * limits
    for lag in _RISE_LAGS:
        rise = (newest - values[:, -1 - lag]) / lag
        suspicious |= newest + WATCHED_AHEAD_STEPS * rise >= limits
    return np.asarray(suspicious)


def nearest_to_limit(owners: Sequence[str], values: Floats, limits: Floats) -> list[int]:
    """For every owner the row of its signal that is nearest to its limit now; `owners` names each row's."""
    used = np.nan_to_num(values[:, -1] / limits, nan=-1.0).tolist()
    nearest: dict[str, int] = {}
    for row, owner in enumerate(owners):
        best = nearest.get(owner)
        if best is None or used[row] > used[best]:
            nearest[owner] = row
    return list(nearest.values())


def within_reach(values: Floats, limits: Floats, steps: int) -> NDArray[np.bool_]:
    """Signals that could come to their limit in so many steps at all, `(series,)`; the others need no forecast.

    One that is near its limit, one whose rise of the last minutes would bring it there within `WATCHED_AHEAD_STEPS`, or
    within three times the highest rise over so many steps that `values` `(series, points)` have ever shown.
    """
    newest = values[:, -1]
    reach = newest + REACH_RATIO * _highest_rise(values, steps)
    for lag in _RISE_LAGS:
        reach = np.fmax(reach, newest + WATCHED_AHEAD_STEPS * (newest - values[:, -1 - lag]) / lag)
    return np.asarray((reach >= limits) | (newest >= NEAR_RATIO * limits))


def turned_back(values: Floats, limits: Floats) -> tuple[Floats, Floats]:
    """How often each history came as near to its limit as it is now and fell back, and how often it went on to it.

    Both `(series,)`. It has fallen back when half of what is left to the limit, but at least a tenth of the limit, lies
    between it and where it is now. A heap that is collected does this all the time, a leak never. Means over a few
    points are compared, and a little less near counts too: neither noise nor the last per cent make a precedent. A fall
    from within one more step of the limit is an arrival: the kernel kills between two scrapes.
    """
    hits = _arrivals(values, limits[:, None])
    smooth = _smoothed(values)
    newest, bound = smooth[:, -1:], limits[:, None]
    left = bound - newest
    near = newest - np.minimum(0.5 * left, NEARLY_RATIO * bound)
    back = newest - np.maximum(0.5 * left, TURN_RATIO * bound)
    # 1 as near as now, -1 far below; in between the last of the two still holds.
    place = np.where(smooth >= near, 1, np.where(smooth <= back, -1, 0))
    seen = np.maximum.accumulate(np.where(place != 0, np.arange(place.shape[1]), 0), axis=1)
    state = np.take_along_axis(place, seen, axis=1)
    turns = ((state[:, :-1] > 0) & (state[:, 1:] < 0)).sum(axis=1)
    return np.maximum(turns - hits, 0.0), hits


def trend_reaches(values: Floats, limits: Floats, steps: Sequence[int]) -> Floats:
    """1 where the trend of the last quarter of an hour, carried on, is at the limit after so many steps, else 0.

    `(series, len(steps))`. Only a trend counts that rises and explains nearly all of its points. A forecaster that has
    seen a day of calm believes in a new leak too late; together with precedents this does not.
    """
    if values.shape[1] < TREND_POINTS:
        return np.zeros((values.shape[0], len(steps)))
    recent = values[:, -TREND_POINTS:]
    known: NDArray[np.bool_] = np.asarray(np.isfinite(recent).all(axis=1))
    recent = np.where(known[:, None], recent, 0.0)
    before = np.arange(1.0 - TREND_POINTS, 1.0)
    centred = before - before.mean()
    deviations = recent - recent.mean(axis=1, keepdims=True)
    spread = float(centred @ centred)
    slope: Floats = np.asarray(deviations @ centred / spread)
    fits = slope**2 * spread >= TREND_FIT * (deviations**2).sum(axis=1)
    newest = recent.mean(axis=1) - slope * before.mean()
    ahead = newest[:, None] + slope[:, None] * np.asarray(steps, dtype=np.float64)
    believed = (known & fits & (slope > 0.0))[:, None]
    return np.asarray(believed & (ahead >= limits[:, None]), dtype=np.float64)


def with_precedents(probability: Floats, survived: Floats, hit: Floats) -> Floats:
    """Chances `(series, …)` in the light of what came of it when the same signal was as near before.

    The forecast counts as one precedent of its own: after n turns back without a failure 1 / (n + 1) of it is left.
    """
    kept = (1.0 + hit) / (1.0 + hit + survived)
    return np.asarray(probability * kept.reshape(-1, *(1,) * (probability.ndim - 1)))


def _arrivals(values: Floats, bound: Floats) -> Floats:
    """How often each series came to its limit, seen or by its last step before a sudden fall, `(series,)`."""
    before, now = values[:, :-1], values[:, 1:]
    seen = (now >= bound) & (before < bound)
    rise = np.maximum(before[:, 1:] - before[:, :-1], 0.0)
    fell = now[:, 1:] < before[:, 1:] - TURN_RATIO * bound
    unseen = fell & (before[:, 1:] + rise >= bound) & (before[:, 1:] < bound)
    return np.asarray(seen.sum(axis=1) + unseen.sum(axis=1), dtype=np.float64)


def _smoothed(values: Floats) -> Floats:
    """Mean of the last `SMOOTHED_POINTS` known values at every point, NaN where none of them is known."""
    known = ~np.isnan(values)
    sums = np.cumsum(np.where(known, values, 0.0), axis=1)
    counts = np.cumsum(known.astype(np.float64), axis=1)
    for running in (sums, counts):
        running[:, SMOOTHED_POINTS:] -= running[:, :-SMOOTHED_POINTS].copy()
    return np.where(counts > 0.0, sums / np.maximum(counts, 1.0), np.nan)


def _highest_rise(values: Floats, steps: int) -> Floats:
    """The most that a series has risen over a few lags of up to `steps`, `(series,)`, 0 where it never rose."""
    highest = np.zeros(values.shape[0])
    for lag in (steps // 8, steps // 2, steps):
        if 0 < lag < values.shape[1]:
            rises = values[:, lag:] - values[:, :-lag]
            highest = np.fmax(highest, np.where(np.isnan(rises), 0.0, rises).max(axis=1))
    return highest


def confirmations(
    before: NDArray[np.intp], probability: Floats, act: float | Floats, release: float | Floats
) -> NDArray[np.intp]:
    """How many forecasts in a row have spoken for a failure, elementwise.

    One more when `probability` reaches `act`, none when it falls below `release`; between the two, and where nothing
    is known, the count stands. An alarm is a count that has reached what its rule asks for.
    """
    return np.where(probability >= act, before + 1, np.where(probability < release, 0, before))
