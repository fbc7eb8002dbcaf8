"""Failures that announce themselves: which signal will reach its limit, how likely, and when.

A failure signal grows towards a declared limit: memory to its limit, a pool to its size, latency to the SLO. Its
forecast is read from joint paths only. A certificate's end is known beforehand and needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats, Forecast
from forecasting.hitting import Direction, extended, first_passage_s, hitting_probability

#: A signal is worth a forecast from this share of its limit on …
WATCHED_RATIO = 0.5
#: … or when its rise of the last minutes would bring it there within so many steps.
WATCHED_AHEAD_STEPS = 120
_RISE_LAGS = (3, 8)  # steps over which a rise is read
#: A signal can reach its limit from this share of it on …
NEAR_RATIO = 0.85
#: … or by this many times its highest rise so far.
REACH_RATIO = 3.0
#: A signal that was near its limit has turned back when it has fallen by at least this share of the limit.
TURN_RATIO = 0.1
#: It was as near as now when it was at most this much further from it, as a share of the limit.
NEARLY_RATIO = 0.05
#: Precedents are looked for in means of so many points.
SMOOTHED_POINTS = 5
#: A trend is read over so many points, and believed where it explains this share of their variance.
TREND_POINTS, TREND_FIT = 15, 0.9
#: Earliest, likely and latest time of a failure are these quantiles of the time to it.
PASSAGE_LEVELS = (0.1, 0.5, 0.9)


class SignalKind(StrEnum):
    """Failure signals that grow towards a limit."""

    MEMORY = "memory"  # working set, MiB, against the memory limit
    CONNECTION_POOL = "connection_pool"  # connections in use against the pool's size
    DISK = "disk"  # bytes used against the volume's size, MiB
    QUEUE = "queue"  # requests waiting against the queue's size
    LATENCY = "latency"  # mean latency of one pod, seconds, against the SLO
    ERRORS = "errors"  # share of failed answers of one pod, 0..1
    REPLICATION_LAG = "replication_lag"  # seconds behind the primary


@dataclass(frozen=True, slots=True)
class HittingCurve:
    """P(the limit has been reached by then). `cdf` and `times_s` are `(points,)`; the first one is the newest point."""

    times_s: Floats
    cdf: Floats

    def by(self, at_s: float) -> float:
        """Probability (0..1) that the limit is hit before `at_s`; beyond the horizon: by its end."""
        return float(np.interp(at_s, self.times_s, self.cdf))

    @property
    def median_s(self) -> float:
        """When the limit is hit in half of the futures; infinite where it is not within the horizon."""
        late = np.flatnonzero(self.cdf >= 0.5)
        return float(self.times_s[late[0]]) if late.size else float("inf")


@dataclass(frozen=True, slots=True)
class FailureLimit:
    """The value of a forecast series at which something fails, and the side from which it comes."""

    series: str
    kind: SignalKind
    limit: float
    direction: Direction = Direction.UP


@dataclass(frozen=True, slots=True)
class FailureForecast:
    """When one signal will reach its limit.

    `curve` goes on beyond the horizon where that was asked for; what lies after `trusted_until_s` reads "if it goes
    on like this". `earliest_s`, `likely_s` and `latest_s` are the 0.1, 0.5 and 0.9 quantiles of the time left, seen
    from the newest point, infinite where that share of the futures does not get there. `expected_s` is the mean time
    left in the futures that get there, None where none does.
    """

    about: FailureLimit
    value: float | None  # the newest, None where unknown
    curve: HittingCurve
    trusted_until_s: float
    earliest_s: float
    likely_s: float
    latest_s: float
    expected_s: float | None


def failure_forecasts(
    forecast: Forecast, limits: Sequence[FailureLimit], newest: Floats, beyond_steps: int = 0
) -> tuple[FailureForecast, ...]:
    """One answer per limit whose series has a forecast; the others are missing.

    `newest` `(limits,)` are the newest values, NaN where unknown. `beyond_steps` carries every future on along its own
    last rise, for limits behind the horizon.
    """
    answers: dict[int, FailureForecast] = {}
    for direction in Direction:
        places = [
            place
            for place, limit in enumerate(limits)
            if limit.direction is direction and forecast.row(limit.series) is not None
        ]
        rows = [forecast.series.index(limits[place].series) for place in places]
        if not rows:
            continue
        bounds = np.asarray([limits[place].limit for place in places])
        paths = extended(forecast.paths[rows], forecast.steps + beyond_steps)
        current = np.asarray(newest, dtype=np.float64)[places]
        curves = curves_of(paths, bounds, current, forecast.last_at_s, forecast.step_s, direction)
        passages = first_passage_s(paths, bounds, forecast.step_s, PASSAGE_LEVELS, direction, current)
        for place, curve, passage in zip(places, curves, passages.tolist(), strict=True):
            if curve is None:
                continue
            answers[place] = FailureForecast(
                about=limits[place],
                value=float(newest[place]) if np.isfinite(newest[place]) else None,
                curve=curve,
                trusted_until_s=float(forecast.times_s[-1]),
                earliest_s=passage[0],
                likely_s=passage[1],
                latest_s=passage[2],
                expected_s=_mean_time_left_s(curve),
            )
    return tuple(answers[place] for place in sorted(answers))


def curves_of(
    paths: Floats,
    limits: Floats,
    newest: Floats,
    last_at_s: float,
    step_s: float,
    direction: Direction = Direction.UP,
) -> list[HittingCurve | None]:
    """The curve of each series of `paths` `(series, samples, steps)`, None where nothing is known.

    `limits` and `newest` `(series,)`. A series at its limit already has 1 from the newest point on.
    """
    probability = reached(paths, limits, newest, direction)
    times_s = last_at_s + step_s * np.arange(probability.shape[1], dtype=np.float64)
    return [HittingCurve(times_s, cdf) if np.isfinite(cdf).all() else None for cdf in probability]


def reached(paths: Floats, limits: Floats, newest: Floats, direction: Direction = Direction.UP) -> Floats:
    """P(the limit has been reached by now, and by each step), `(series, steps + 1)`, NaN where nothing is known."""
    probability = hitting_probability(paths, limits, direction, current=newest)
    now = newest >= limits if direction is Direction.UP else newest <= limits
    return np.concatenate([now.astype(np.float64)[:, None], probability], axis=1)


def certificate_curve(not_after_s: float, now_s: float, horizon_s: float) -> HittingCurve:
    """P(the certificate has ended by then): 0 before its end and 1 from there on, until `horizon_s` from now.

    A rule and no forecast: nothing but a renewal changes it, and a renewed certificate has another end.
    """
    last_s = now_s + horizon_s
    if not_after_s <= now_s:
        return HittingCurve(np.asarray([now_s, last_s]), np.asarray([1.0, 1.0]))
    if not_after_s > last_s:
        return HittingCurve(np.asarray([now_s, last_s]), np.asarray([0.0, 0.0]))
    before_s = np.nextafter(not_after_s, now_s)
    times_s = np.asarray([now_s, before_s, not_after_s, last_s])
    return HittingCurve(times_s, np.asarray([0.0, 0.0, 1.0, 1.0]))


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


def _mean_time_left_s(curve: HittingCurve) -> float | None:
    """Each future is taken to hit in the middle of its step; those that never do are left out."""
    if curve.cdf[-1] == 0.0:
        return None
    elapsed_s = curve.times_s - curve.times_s[0]
    middle_s = 0.5 * (elapsed_s[1:] + elapsed_s[:-1])
    return float(middle_s @ np.diff(curve.cdf) / curve.cdf[-1])
