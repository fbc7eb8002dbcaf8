"""What one tick leaves in /metrics: a value that replaces the last one whole, so that nothing stale stays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from foresail.telemetry.expectations import Expected, demand_expected, risks, signals_expected
from foresail.tick_report import TickReport


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Of the exported workloads only."""

    expected: tuple[Expected, ...] = ()
    demand_rps: Mapping[str, float] = field(default_factory=dict)
    floors: Mapping[str, int] = field(default_factory=dict)  # that we wrote and that stand
    risks: tuple[tuple[str, str, float], ...] = ()  # workload, signal, probability
    coverage: Mapping[tuple[str, str], float] = field(default_factory=dict)  # by workload and nominal band
    metrics_age_s: float | None = None
    fell_back: bool | None = None  # the fallback answered for the default model; None: no forecast


def snapshot_of(report: TickReport, workloads: Set[str]) -> Snapshot:
    """What the report of a slow tick says of these workloads."""
    seen = report.seen
    return Snapshot(
        expected=(
            *demand_expected(report.demand, workloads),
            *signals_expected(report.signals, seen, workloads),
        ),
        demand_rps={
            one.name: one.offered_rps
            for one in (() if seen is None else seen.workloads)
            if one.name in workloads and one.offered_rps is not None
        },
        floors={
            name: state.floor.written
            for name, state in report.memory.scaling.items()
            if name in workloads and state.floor.written is not None
        },
        risks=tuple(risks(report, workloads)),
        coverage=_coverage(report.demand, workloads),
        metrics_age_s=None if seen is None else seen.metrics_age_s,
        fell_back=None if report.demand is None else report.demand.fell_back,
    )


def _coverage(demand: Forecast | None, workloads: Set[str]) -> dict[tuple[str, str], float]:
    if demand is None:
        return {}
    measured = {"80": demand.coverage, "98": demand.coverage98}
    return {
        (name, band): float(values[row])
        for band, values in measured.items()
        if values is not None
        for row, name in enumerate(demand.series)
        if name in workloads and not math.isnan(values[row])
    }
