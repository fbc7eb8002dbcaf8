"""Pods that each workload needs over its sampled futures, for all workloads at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats, Forecast

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Ask:
    """What is known of the workloads whose need is wanted; every array is `(workloads,)`.

    The demand of a workload is row `rows` of the forecast times `factor` (a service is driven by its gateway's row).
    """

    rows: Ints
    factor: Floats
    window_steps: Ints  # how far ahead today's pods must last, ≥ 1
    current_rps: Floats  # measured now, 0 where unknown
    recent_rps: Floats  # mean of the last two points, 0 where unknown
    rise_rps: Floats  # by how much that mean grows until pods asked for now are Ready, if it goes on as it did
    capacity_rps: Floats  # per pod
    target_utilization: Floats
    saturation_utilization: Floats
    violation_cost: Floats
    cvar_level: Floats


@dataclass(frozen=True, slots=True)
class Needs:
    """The answer; every array is `(workloads,)`."""

    pods: Ints
    load_pods: Floats  # the need of the expected demand at target utilisation, before rounding
    risk_pods: Ints  # what the priced tail of futures asks for
    peak_median_rps: Floats
    peak_p95_rps: Floats
    peak_at_s: Floats
    served_share: Floats  # futures whose peak `pods` carry
    horizon_p95_rps: Floats  # highest p95 of the whole horizon, for people


def pods_needed(forecast: Forecast, ask: Ask) -> Needs:
    """The cheapest numbers of pods that hold from now until pods asked for at the next tick could be Ready.

    Expected demand fills them to the target at most; beyond it, the mean shortfall of the worst futures (CVaR) is
    priced in pods where requests begin to fail, at saturation. A forecast that measured demand has outrun is not waited
    for: what was measured goes on rising as it did.
    """
    peaks = _peaks(forecast.paths, ask.rows, ask.window_steps) * ask.factor[:, None]
    median, _ = _highest(forecast, ask, 0.5)
    p95, p95_step = _highest(forecast, ask, 0.95)
    target_rps = ask.capacity_rps * ask.target_utilization
    saturation_rps = ask.capacity_rps * ask.saturation_utilization
    outrun = ask.recent_rps > p95
    rising_rps = np.where(outrun, ask.recent_rps + np.clip(ask.rise_rps, 0.0, ask.recent_rps), 0.0)
    load_pods = np.maximum(median, ask.recent_rps) / target_rps
    peak_pods = peaks / saturation_rps[:, None]
    risk = cheapest_pods(peak_pods, ask.violation_cost, ask.cvar_level)
    measured_rps = np.maximum(ask.current_rps, rising_rps)
    pods = np.maximum.reduce([risk, _round_up(load_pods), _round_up(measured_rps / saturation_rps)])
    everything = np.asarray(forecast.quantile(0.95)[ask.rows].max(axis=1)) * ask.factor
    return Needs(
        pods=pods,
        load_pods=load_pods,
        risk_pods=risk,
        peak_median_rps=median,
        peak_p95_rps=np.maximum(p95, rising_rps),
        peak_at_s=forecast.times_s[p95_step],
        served_share=np.asarray((peak_pods <= pods[:, None]).mean(axis=1)),
        horizon_p95_rps=everything,
    )


def cheapest_pods(peak_pods: Floats, violation_cost: Floats, cvar_level: Floats) -> Ints:
    """Whole pods n that minimise n + cost × CVaR(shortfall), where a future's shortfall is max(0, its peak − n).

    `peak_pods` is `(workloads, samples)`, in pods. CVaR at level a is the mean of the worst (1 − a) of the samples, at
    least of one. The cost is convex in n, so the best whole number is next to the best real one; ties go up.
    """
    samples = peak_pods.shape[1]
    tail = np.clip(np.ceil((1.0 - cvar_level) * samples - 1e-9), 1, samples).astype(np.int64)
    widest = int(tail.max(initial=1))
    worst = -np.sort(-np.partition(peak_pods, samples - widest, axis=1)[:, samples - widest :], axis=1)
    counted = np.arange(widest) < tail[:, None]
    # One more pod saves cost / tail for each worst future still short: worth it while at least tail / cost are short.
    priced = np.where(violation_cost > 0.0, violation_cost, 1e-12)
    spared = np.ceil(tail / priced - 1e-9) - 1.0
    best = np.take_along_axis(worst, np.minimum(spared, widest - 1).astype(np.int64)[:, None], axis=1)[:, 0]
    best = np.where(spared >= tail, 0.0, best)

    def cost(pods: Floats) -> Floats:
        short = np.where(counted, np.maximum(0.0, worst - pods[:, None]), 0.0)
        return np.asarray(pods + violation_cost * short.sum(axis=1) / tail)

    below, above = np.floor(best + 1e-9), np.ceil(best - 1e-9)
    return np.where(cost(below) < cost(above) - 1e-9, below, above).astype(np.int64)


def _peaks(paths: Floats, rows: Ints, window_steps: Ints) -> Floats:
    """Highest demand of each future within the window, `(workloads, samples)`."""
    peaks = np.empty((len(rows), paths.shape[1]))
    for steps in np.unique(window_steps):
        chosen = np.flatnonzero(window_steps == steps)
        ahead = paths[:, :, : int(steps)]
        if 2 * len(chosen) >= len(paths):
            peaks[chosen] = ahead.max(axis=2)[rows[chosen]]  # picking rows first would copy every path
        else:
            peaks[chosen] = ahead[rows[chosen]].max(axis=2)
    return peaks


def _highest(forecast: Forecast, ask: Ask, level: float) -> tuple[Floats, Ints]:
    """The highest marginal quantile within the window, and the step where it lies."""
    longest = int(ask.window_steps.max(initial=1))
    position = int(np.searchsorted(forecast.levels, level - 1e-9))
    values = forecast.quantiles[ask.rows, :longest, min(position, len(forecast.levels) - 1)]
    inside = np.where(np.arange(longest) < ask.window_steps[:, None], values, -np.inf)
    steps = inside.argmax(axis=1)
    return np.take_along_axis(inside, steps[:, None], axis=1)[:, 0] * ask.factor, steps


def _round_up(pods: Floats) -> Ints:
    return np.ceil(pods - 1e-9).astype(np.int64)
