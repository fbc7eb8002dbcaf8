"""Forecasts, calibration and floors as the status shows them: rounded, and unchanged while they say the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from math import floor, isfinite, log10

import numpy as np

from forecasting.forecast import Floats, Forecast
from foresail.resources.status import (
    MOST_CODES,
    MOST_FLOORS,
    MOST_FORECASTS,
    CalibrationShown,
    FloorShown,
    ForecastShown,
    Verdict,
)
from policies.calibration_gate import TrustMemory
from policies.floors import FloorState

#: What has moved by less is shown as it was.
NEWS_RATIO = 0.1
#: Forecasts are shown anew at most this often.
QUIET_S = 60.0
_LATEST_S = 253_402_300_799.0  # the end of the year 9999
_CODE_LENGTH = 512


def iso(at_s: float) -> str:
    """A Unix time as Kubernetes writes times; what lies outside of the years 1970 to 9999 is moved to their edge."""
    return _moment(at_s).strftime("%Y-%m-%dT%H:%M:%SZ")


def clock(at_s: float) -> str:
    """The time of day, in UTC, as explanations show it."""
    return _moment(at_s).strftime("%H:%M:%SZ")


def _moment(at_s: float) -> datetime:
    bounded = at_s if isfinite(at_s) else _LATEST_S if at_s > 0.0 else 0.0
    return datetime.fromtimestamp(min(max(0.0, bounded), _LATEST_S), UTC)


def unix_s(written: str) -> float:
    """The inverse of `iso`; 0 for what cannot be read."""
    try:
        return datetime.fromisoformat(written).timestamp()
    except (ValueError, OverflowError):
        return 0.0


def floors_shown(floors: Mapping[str, FloorState]) -> tuple[FloorShown, ...]:
    """Floors that stand over something else, the highest rises where there are too many to show."""
    standing = [
        (workload, state)
        for workload, state in floors.items()
        if state.written is not None and state.written != state.original
    ]
    standing.sort(key=lambda pair: (-((pair[1].written or 0) - (pair[1].original or 0)), pair[0]))
    return tuple(
        FloorShown(
            workload=workload,
            original=state.original,
            written=state.written or 0,
            expires_at=iso(state.expires_at_s),
        )
        for workload, state in sorted(standing[:MOST_FLOORS], key=lambda pair: pair[0])
    )


def floor_in_short(floors: Sequence[FloorShown]) -> str:
    """Like `web 3→8, cart 2→4 (+1)`."""
    told = [
        f"{shown.workload.rpartition('/')[2]} {'?' if shown.original is None else shown.original}→{shown.written}"
        for shown in floors
    ]
    more = f" (+{len(told) - 2})" if len(told) > 2 else ""
    return f"{', '.join(told[:2])}{more}"[:317]


@dataclass(frozen=True, slots=True)
class DemandShown:
    """What there is to show of one demand forecast, read once for all policies.

    `rows` are those of workloads that have a forecast; `likely_rps` and `high_rps` `(series,)` are of its highest
    moment.
    """

    forecast: Forecast
    rows: Mapping[str, int]
    likely_rps: Floats
    high_rps: Floats

    def rows_of(self, workloads: Iterable[str]) -> list[int]:
        return sorted(self.rows[name] for name in set(workloads) if name in self.rows)


def demand_shown(demand: Forecast | None) -> DemandShown | None:
    if demand is None:
        return None
    peaks, lowest = demand.paths.max(axis=2), demand.paths.min(axis=(1, 2))
    finite = np.isfinite(peaks).all(axis=1) & np.isfinite(lowest)
    likely_rps, high_rps = np.quantile(np.where(finite[:, None], peaks, 0.0), (0.5, 0.95), axis=1)
    told = finite.tolist()
    rows = {name: row for row, name in enumerate(demand.series) if told[row] and name not in demand.unavailable}
    return DemandShown(demand, rows, likely_rps, high_rps)


def forecasts_shown(
    workloads: Collection[str], demand: DemandShown | None, before: Iterable[ForecastShown]
) -> tuple[ForecastShown, ...]:
    """Demand ahead of the workloads with the most of it; what has hardly moved stays as it was written."""
    if demand is None:
        return ()
    known = {shown.workload: shown for shown in before}
    found = [_forecast(row, demand) for row in demand.rows_of(workloads)]
    found.sort(key=lambda shown: -shown.high_requests_per_second)
    kept = (_as_before(shown, known.get(shown.workload)) for shown in found[:MOST_FORECASTS])
    return tuple(sorted(kept, key=lambda shown: shown.workload))


def calibration_shown(
    workloads: Collection[str], demand: DemandShown | None, trust: TrustMemory, before: CalibrationShown | None
) -> CalibrationShown:
    """How good the workloads' forecasts have been, and which of them have lost trust."""
    rows = [] if demand is None else demand.rows_of(workloads)
    coverage = None if demand is None else _mean(demand.forecast.coverage, rows)
    skill = None if demand is None else _mean(demand.forecast.skill, rows)
    doubted = sorted(name for name in trust.doubted if _belongs(name, workloads))
    verdict = Verdict.POOR if doubted else Verdict.LEARNING if coverage is None else Verdict.GOOD
    return CalibrationShown(
        verdict=verdict,
        coverage_ratio=_unless_near(coverage, None if before is None else before.coverage_ratio),
        skill=_unless_near(skill, None if before is None else before.skill),
        doubted=tuple(name[:_CODE_LENGTH] for name in doubted[:MOST_CODES]),
    )


def _forecast(row: int, demand: DemandShown) -> ForecastShown:
    forecast = demand.forecast
    return ForecastShown(
        workload=forecast.series[row],
        likely_requests_per_second=_rounded(float(demand.likely_rps[row])),
        high_requests_per_second=_rounded(float(demand.high_rps[row])),
        horizon_seconds=round(forecast.steps * forecast.step_s),
        at=iso(forecast.issued_at_s),
        model=forecast.model[:63],
    )


def _as_before(new: ForecastShown, old: ForecastShown | None) -> ForecastShown:
    if old is None or (new.model, new.horizon_seconds) != (old.model, old.horizon_seconds):
        return new
    pairs = (
        (new.likely_requests_per_second, old.likely_requests_per_second),
        (new.high_requests_per_second, old.high_requests_per_second),
    )
    moved = any(abs(now - then) > NEWS_RATIO * max(abs(then), 0.1) for now, then in pairs)
    return new if moved and unix_s(new.at) - unix_s(old.at) >= QUIET_S else old


def _belongs(series: str, workloads: Collection[str]) -> bool:
    """Whether a demand series (`namespace/name`) or a signal (`kind/namespace/name/member`) is of these workloads."""
    parts = series.split("/")
    return series in workloads or (len(parts) >= 4 and "/".join(parts[1:3]) in workloads)


def _mean(values: Floats, rows: Sequence[int]) -> float | None:
    known = [float(values[row]) for row in rows if isfinite(values[row])]
    return sum(known) / len(known) if known else None


def _unless_near(value: float | None, before: float | None) -> float | None:
    if value is None:
        return None
    return before if before is not None and abs(value - before) < 0.5 * NEWS_RATIO else round(value, 2)


def _rounded(value: float) -> float:
    """Two significant digits: more would be noise, and every change is a write."""
    return 0.0 if value == 0.0 else round(value, 1 - floor(log10(abs(value))))
