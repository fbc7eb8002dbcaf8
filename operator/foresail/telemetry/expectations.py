"""Forecasts as numbers for Prometheus, at the time they are issued: it refuses samples with times in the future.

Compare `foresail_forecast{horizon_s="300"} offset 5m` with what came.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats, Forecast
from foresail.tick_report import TickReport
from policies import capacity, lead_time, risk
from policies.model import Observation, SignalTarget

DEMAND = "demand"
#: What a fan chart needs: the median, half and nine tenths of the outcomes around it.
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
DEMAND_HORIZONS_S = (60, 300, 900)
SIGNAL_HORIZONS_S = (300, 900, 3600)


@dataclass(frozen=True, slots=True)
class Expected:
    """One quantile of what a signal of a workload will be `horizon_s` after its newest point."""

    signal: str
    workload: str
    horizon_s: int
    quantile: float
    model: str
    value: float


def demand_expected(demand: Forecast | None, workloads: Set[str]) -> Iterator[Expected]:
    if demand is None:
        return
    rows = [(row, name) for row, name in enumerate(demand.series) if name in workloads]
    yield from _expected(demand, DEMAND, _known(rows, demand), DEMAND_HORIZONS_S)


def signals_expected(signals: Forecast | None, seen: Observation | None, workloads: Set[str]) -> Iterator[Expected]:
    """Of each workload and kind of signal the member that comes closest to its limit."""
    if signals is None or seen is None or seen.signals is None:
        return
    limits = dict(zip((target.key for target in seen.signals.targets), seen.signals.limits.tolist(), strict=True))
    targets = {target.key: target for target in seen.signals.targets if target.workload in workloads}
    worst: dict[tuple[str, str], tuple[float, int]] = {}
    high = signals.quantiles[:, :, -1].max(axis=1) if signals.quantiles.size else np.zeros(0)
    for row, key in enumerate(signals.series):
        target = targets.get(key)
        if target is None or key in signals.unavailable:
            continue
        limit = limits[key]
        closeness = float(high[row]) / limit if limit > 0.0 else float(high[row])
        place = (target.kind.value, target.workload)
        if place not in worst or closeness > worst[place][0]:
            worst[place] = (closeness, row)
    by_kind: dict[str, list[tuple[int, str]]] = {}
    for (kind, workload), (_, row) in worst.items():
        by_kind.setdefault(kind, []).append((row, workload))
    for kind, rows in by_kind.items():
        yield from _expected(signals, kind, rows, SIGNAL_HORIZONS_S)


def risks(report: TickReport, workloads: Set[str]) -> Iterator[tuple[str, str, float]]:
    """(workload, signal, probability): that a limit is hit, or demand exceeds what is ready, before help could arrive.

    Help arrives after the lead time of a new pod, for failure signals plus the margin of the policy.
    """
    seen = report.seen
    if seen is None:
        return
    leads_s = _leads(report, seen, workloads)
    yield from _demand_risks(report, seen, leads_s)
    worst: dict[tuple[str, str], float] = {}

    def is_exported(target: SignalTarget) -> bool:
        return target.workload in leads_s

    curves = risk.curves(seen, report.signals, report.at_s, is_exported)
    known = set() if report.signals is None else {*report.signals.series} - {*report.signals.unavailable}
    for target in () if seen.signals is None else seen.signals.targets:
        if target.workload not in leads_s or target.key not in known:
            continue
        policy = report.policies.workloads[target.workload]
        curve = curves.get(target.key)
        # Those without a curve stay below their limit in all futures that are worth telling.
        by_s = report.at_s + leads_s[target.workload] + policy.healing.margin_s
        probability = 0.0 if curve is None else curve.by(by_s)
        place = (target.workload, target.kind.value)
        worst[place] = max(worst.get(place, 0.0), probability)
    for (workload, kind), probability in worst.items():
        yield workload, kind, probability


def _demand_risks(
    report: TickReport, seen: Observation, leads_s: Mapping[str, float]
) -> Iterator[tuple[str, str, float]]:
    demand = report.demand
    if demand is None:
        return
    rows = {name: row for row, name in enumerate(demand.series) if name not in demand.unavailable}
    for workload in seen.workloads:
        row, lead_s = rows.get(workload.name), leads_s.get(workload.name)
        state = report.memory.capacity.get(workload.name)
        if row is None or lead_s is None or state is None:
            continue
        carried = capacity.estimate(state, report.policies.workloads[workload.name])
        if carried is None:
            continue
        steps = max(1, int(np.ceil(lead_s / demand.step_s)))
        peaks = demand.paths[row, :, :steps].max(axis=1)
        yield workload.name, DEMAND, float(np.mean(peaks > carried.safe_rps * len(workload.endpoints)))


def _leads(report: TickReport, seen: Observation, workloads: Set[str]) -> dict[str, float]:
    leads_s: dict[str, float] = {}
    for workload in seen.workloads:
        policy = report.policies.workloads.get(workload.name)
        if policy is None or workload.name not in workloads:
            continue
        state = report.memory.lead_time.get(workload.name, lead_time.LeadTimeState())
        prior_s = policy.scaling.lead_time_prior_s
        leads_s[workload.name] = lead_time.planned_s(state, prior_s, workload.pods, report.at_s)
    return leads_s


def _expected(
    forecast: Forecast, signal: str, rows: list[tuple[int, str]], horizons_s: tuple[int, ...]
) -> Iterator[Expected]:
    if not rows:
        return
    steps = {horizon_s: round(horizon_s / forecast.step_s) - 1 for horizon_s in horizons_s}
    asked = [horizon_s for horizon_s, step in steps.items() if 0 <= step < forecast.steps]
    chosen = np.array([row for row, _ in rows])[:, None]
    at_horizons: Floats = forecast.quantiles[chosen, [steps[horizon_s] for horizon_s in asked]]
    table = _interpolated(at_horizons, forecast.levels)
    for place, (_, workload) in enumerate(rows):
        for column, horizon_s in enumerate(asked):
            for level, value in zip(QUANTILES, table[place, column].tolist(), strict=True):
                if math.isfinite(value):
                    yield Expected(signal, workload, horizon_s, level, forecast.model, value)


def _interpolated(values: Floats, levels: Sequence[float]) -> Floats:
    """The quantiles of `QUANTILES` out of those at `levels`, in the last axis; between them on straight lines."""
    positions = np.interp(QUANTILES, levels, np.arange(len(levels)))
    below = np.floor(positions).astype(int)
    above = np.minimum(below + 1, len(levels) - 1)
    weights = positions - below
    return np.asarray((1.0 - weights) * values[..., below] + weights * values[..., above])


def _known(rows: list[tuple[int, str]], forecast: Forecast) -> list[tuple[int, str]]:
    return [(row, name) for row, name in rows if name not in forecast.unavailable]
