"""Prometheus' `predict_linear` on demand, as KEDA feeds it to the HPA that it owns.

`predict_linear(rate[range], t)`: least squares over the samples of the range, extrapolated `t` seconds from the
evaluation (prometheus.io, query functions). KEDA's Prometheus scaler turns it into an external metric with an
AverageValue target, and the HPA takes the larger of it and its CPU metric. When the query fails `failure_threshold`
times, KEDA's `fallback` invents a value that stands for a replica count (keda.sh, ScaledObject specification). KEDA
reads an empty result as 0 unless `ignoreNullValues` is false; false is what a careful user sets, and what is done here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from simulation.hpa.values import AverageValue, ExternalMetric, Reading, SeriesReadings
from simulation.peers.line import fitted_line


@dataclass(frozen=True, slots=True)
class PredictLinearSettings:
    target_rps_per_pod: float
    range_s: float = 300.0
    look_ahead_s: float = 120.0
    failure_threshold: int = 3
    fallback_replicas: int | None = None  # None: no fallback, a failing query stays an error of the metric
    fallback: Literal["static", "currentReplicas", "currentReplicasIfHigher", "currentReplicasIfLower"] = "static"


@dataclass(frozen=True, slots=True)
class PredictLinearState:
    failures: int = 0  # in a row


def metric(settings: PredictLinearSettings) -> ExternalMetric:
    """The metric that KEDA adds to the HPA."""
    return ExternalMetric("predicted-demand", AverageValue(_milli(settings.target_rps_per_pod)))


def propose(
    settings: PredictLinearSettings,
    state: PredictLinearState,
    times_s: NDArray[np.float64],
    rates_rps: NDArray[np.float64],
    replicas: int,
    now_s: float,
) -> tuple[Reading, PredictLinearState]:
    """What the external metric reads now: predicted demand, the fallback's stand-in, or None for an error.

    `times_s` and `rates_rps` are `(samples,)`, NaN where a scrape failed; `replicas` are those of the target now.
    """
    rate_rps = predicted_rps(settings, times_s, rates_rps, now_s)
    if rate_rps is not None:
        return SeriesReadings((_milli(rate_rps),)), PredictLinearState()
    state = PredictLinearState(state.failures + 1)
    if settings.fallback_replicas is None or state.failures < settings.failure_threshold:
        return None, state
    stand_in = _fallback_replicas(settings, settings.fallback_replicas, replicas)
    return SeriesReadings((stand_in * _milli(settings.target_rps_per_pod),)), state


def predicted_rps(
    settings: PredictLinearSettings, times_s: NDArray[np.float64], rates_rps: NDArray[np.float64], now_s: float
) -> float | None:
    """Demand at the end of the look-ahead by the trend of the range, never negative; None below two samples."""
    inside = (times_s > now_s - settings.range_s) & (times_s <= now_s)
    line = fitted_line(times_s[inside], rates_rps[inside])
    return None if line is None else max(0.0, line.at(now_s + settings.look_ahead_s))


def _fallback_replicas(settings: PredictLinearSettings, configured: int, current: int) -> int:
    if settings.fallback == "currentReplicas":
        return current
    if settings.fallback == "currentReplicasIfHigher":
        return max(current, configured)
    if settings.fallback == "currentReplicasIfLower":
        return min(current, configured)
    return configured


def _milli(rate_rps: float) -> int:
    return round(rate_rps * 1000.0)
