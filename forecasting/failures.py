"""Failures that announce themselves: which signal will reach its limit, how likely, and when.

A failure signal grows towards a declared limit: memory to its limit, a pool to its size, latency to the SLO. Its
forecast is read from joint paths only. A certificate's end is known beforehand and needs no model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from forecasting.forecast import Floats, Forecast
from forecasting.hitting import Direction, extended, first_passage_s, hitting_probability

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


def _mean_time_left_s(curve: HittingCurve) -> float | None:
    """Each future is taken to hit in the middle of its step; those that never do are left out."""
    if curve.cdf[-1] == 0.0:
        return None
    elapsed_s = curve.times_s - curve.times_s[0]
    middle_s = 0.5 * (elapsed_s[1:] + elapsed_s[:-1])
    return float(middle_s @ np.diff(curve.cdf) / curve.cdf[-1])
