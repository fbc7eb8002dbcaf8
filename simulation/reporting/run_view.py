"""One run as the report draws it: series thinned to what a screen can show, spells, actions, calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.forecast import Floats
from simulation.reporting.decision_log import decision_log, short
from simulation.result import Counts, ForecastRecord, RunResult
from simulation.scoring.downtime import Flags, health

POINTS = 720  # across the widest chart
STEPS_S = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)
LEADS_S = (60.0, 120.0, 300.0, 600.0, 900.0)
FORECASTS_SHOWN = 120
ACTUAL_STEP_S = 15.0

Series = list[float | None]


@dataclass(frozen=True, slots=True)
class LeadCalibration:
    """How a 90 % band kept its promise at one lead: share of outcomes inside, above and below it, of `points`."""

    lead_s: float
    inside: float
    above: float
    below: float
    points: int


@dataclass(frozen=True, slots=True)
class RunView:
    """JSON-ready lists; every series has one value per `step_s`, None where unknown."""

    arm: str
    seed: int
    step_s: int
    entry: str
    demand_rps: Series
    bad_pct: Series
    p99_ms: Series
    pods: Series  # everybody's
    down: list[tuple[int, int]]  # [start_s, end_s) of seconds that were down
    ready: dict[str, Series]
    desired: dict[str, Series]
    offered_rps: dict[str, Series]
    forecasts: list[dict[str, Any]]  # of demand at the entry
    calibration: tuple[LeadCalibration, ...]
    model: str | None
    events: list[dict[str, Any]]  # decisions.jsonl lines, thinned
    events_left_out: int


def run_view(result: RunResult, events: int = 300) -> RunView:
    seconds = result.client.arrived.shape[1]
    step_s = next((s for s in STEPS_S if seconds / s <= POINTS), STEPS_S[-1])
    seen = result.services
    entry = result.scenario.topology.entry_service
    shown, left_out = _events(result, events)
    return RunView(
        arm=result.arm,
        seed=result.seed,
        step_s=step_s,
        entry=entry,
        demand_rps=_means(_entering(result, entry), step_s),
        bad_pct=_bad_pct(result, step_s),
        p99_ms=_p99_ms(result, step_s),
        pods=_means(seen.pods.sum(axis=0), step_s),
        down=_stretches(health(result.client).down),
        ready={s: _means(seen.replicas_ready[i], step_s) for i, s in enumerate(seen.services)},
        desired={s: _means(seen.replicas_desired[i], step_s) for i, s in enumerate(seen.services)},
        offered_rps={s: _means(seen.offered_rps[i], step_s) for i, s in enumerate(seen.services)},
        forecasts=_forecasts(result.forecasts, entry, seconds),
        calibration=calibration(result),
        model=result.forecasts[-1].model if result.forecasts else None,
        events=shown,
        events_left_out=left_out,
    )


def _entering(result: RunResult, service: str) -> Floats:
    """Requests per second that clients begin at the service, which is what its demand forecasts are about."""
    classes = result.scenario.topology.classes
    there = [c.name for c in classes if c.operation.partition(".")[0] == service]
    rows = [i for i, name in enumerate(result.client.classes) if name in there]
    return np.asarray(result.client.arrived[rows].sum(axis=0), dtype=np.float64)


def calibration(result: RunResult) -> tuple[LeadCalibration, ...]:
    """The 90 % band of every issued forecast against the demand that came, by lead; empty without forecasts.

    Forecasts of a single value (the present one, or the truth) promise no band and are left out.
    """
    found = {lead_s: np.zeros(3, dtype=np.int64) for lead_s in LEADS_S}
    rows = {service: i for i, service in enumerate(result.services.services)}
    for record in result.forecasts:
        actual = result.actual_demand_rps[rows[short(record.workload)]]
        for lead_s, counts in found.items():
            step = int(np.argmin(np.abs(record.times_s - record.issued_at_s - lead_s)))
            at_s = float(record.times_s[step])
            came = int(np.floor(at_s / ACTUAL_STEP_S)) - 1  # the bin that ends at the step
            if abs(at_s - record.issued_at_s - lead_s) > ACTUAL_STEP_S or not 0 <= came < actual.size:
                continue
            low, high = record.q05_rps[step], record.q95_rps[step]
            if np.isfinite([low, high, actual[came]]).all() and low < high:
                counts[0 if low <= actual[came] <= high else 1 if actual[came] > high else 2] += 1
    return tuple(_lead_calibration(lead_s, counts) for lead_s, counts in found.items() if counts.sum())


def _lead_calibration(lead_s: float, counts: Counts) -> LeadCalibration:
    inside, above, below = (float(c) / int(counts.sum()) for c in counts)
    return LeadCalibration(lead_s, inside, above, below, int(counts.sum()))


def _events(result: RunResult, most: int) -> tuple[list[dict[str, Any]], int]:
    """What did, or was kept from doing, something. Beyond `most`, renewals go first and disruptive acts last."""
    lines = _told(result)
    ranked = sorted(range(len(lines)), key=lambda i: (_rank(lines[i]), i))
    return [lines[i] for i in sorted(ranked[:most])], max(len(lines) - most, 0)


def _told(result: RunResult) -> list[dict[str, Any]]:
    disruptive = {act.decision_id for act in result.acts if act.disruptive}
    floors: dict[str, int] = {}
    lines = []
    for line in decision_log(result):
        kind = _kind(line, floors)
        if kind is not None and line["at_s"] >= 0:
            lines.append(
                {
                    "at_s": line["at_s"],
                    "clock": line["clock"],
                    "workload": short(line["workload"]),
                    "kind": kind,
                    "sentence": line["sentence"],
                    "disruptive": line.get("id") is not None and line.get("id") in disruptive,
                    "fast": bool(line.get("fast")),
                }
            )
    return lines


def _kind(line: dict[str, Any], floors: dict[str, int]) -> str | None:
    """What a line of the log is for a reader; None for decisions to do nothing. `floors` remembers the last of each."""
    if line["event"] == "resize":
        return "resize"
    if not line["actions"]:
        return "withheld" if line["withheld"] else "veto" if line["vetoes"] else None
    renewals = [a["kind"] == "SetFloor" and floors.get(a["workload"]) == a["floor"] for a in line["actions"]]
    floors.update({a["workload"]: a["floor"] for a in line["actions"] if a["kind"] == "SetFloor"})
    return "renewal" if all(renewals) else "act"


def _rank(line: dict[str, Any]) -> int:
    return 0 if line["disruptive"] else {"act": 1, "withheld": 1, "resize": 2, "veto": 3, "renewal": 4}[line["kind"]]


def _forecasts(records: Sequence[ForecastRecord], entry: str, seconds: int) -> list[dict[str, Any]]:
    own = [r for r in records if short(r.workload) == entry and 0 <= r.issued_at_s <= seconds]
    every = max(1, -(-len(own) // FORECASTS_SHOWN))
    return [
        {
            "at_s": record.issued_at_s,
            "t": _rounded(record.times_s, 0),
            "low": _rounded(record.q05_rps, 1),
            "mid": _rounded(record.q50_rps, 1),
            "high": _rounded(record.q95_rps, 1),
        }
        for record in own[::every]
    ]


def _bad_pct(result: RunResult, step_s: int) -> Series:
    bad = _sums(result.client.bad, step_s)
    settled = _sums((result.client.ok + result.client.failed).sum(axis=0), step_s)
    return [round(100.0 * b / n, 2) if n else None for b, n in zip(bad.tolist(), settled.tolist(), strict=True)]


def _p99_ms(result: RunResult, step_s: int) -> Series:
    """The 99th percentile of each step, the upper edge of its bucket."""
    client = result.client
    steps = np.arange(0, client.latency_histogram.shape[0], step_s)
    counts = np.add.reduceat(client.latency_histogram, steps, axis=0)
    cumulative = np.cumsum(counts, axis=1)
    totals = cumulative[:, -1]
    bucket = (cumulative < 0.99 * totals[:, None]).sum(axis=1)
    edges = client.bucket_edges_s[1:]
    upper = np.where(np.isfinite(edges), edges, client.bucket_edges_s[:-1])
    return [round(1000.0 * float(upper[b]), 1) if n else None for b, n in zip(bucket, totals, strict=True)]


def _stretches(flags: Flags) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate(([0], flags.astype(np.int8), [0]))))
    return [(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def _sums(values: np.ndarray, step_s: int) -> np.ndarray:
    return np.asarray(np.add.reduceat(values, np.arange(0, values.size, step_s)))


def _means(values: Floats, step_s: int) -> Series:
    """The mean of what is known in each step."""
    known = np.isfinite(values)
    sums, counts = _sums(np.where(known, values, 0.0), step_s), _sums(known.astype(np.int64), step_s)
    return [round(s / n, 2) if n else None for s, n in zip(sums.tolist(), counts.tolist(), strict=True)]


def _rounded(values: Floats, decimals: int) -> list[float | None]:
    return [round(float(v), decimals) if np.isfinite(v) else None for v in values]
