"""The figures of one run, as the design defines them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from policies.outcome import per_week_and_100_workloads
from simulation.result import ClientSeconds, RunResult
from simulation.scoring.detection import window_s
from simulation.scoring.downtime import Flags, Health, health
from simulation.scoring.fault_outcome import (
    FaultOutcome,
    fault_outcomes,
    time_to_detect_s,
    time_to_recover_s,
    unblamed_spells,
)


@dataclass(frozen=True, slots=True)
class Figures:
    """What is compared between arms. None: the run cannot tell (no traffic, nothing detected, no staircase)."""

    downtime_s: float
    mttd_s: float | None
    mttr_s: float | None
    failed_requests: float
    orders_lost: float
    orders_duplicated: float
    p99_ms: float | None
    peak_rps: float | None
    load_balance: float | None
    pod_hours: float
    false_actions: float | None
    # beside the eleven of the design
    bad_requests: float
    slow_requests: float
    requests: float
    degraded_ratio: float | None
    orders_attempted: float
    orders_failed: float
    faults_hurt: float
    faults_averted: float | None  # only known beside a baseline run
    faults_censored: float
    downtime_without_fault_s: float
    disruptive_acts: float
    resizes: float


FIGURES: tuple[str, ...] = tuple(f.name for f in fields(Figures))

#: Figures in seconds whose ratio means nothing below 30 s of baseline.
TIMES: tuple[str, ...] = ("downtime_s", "mttr_s", "downtime_without_fault_s")

#: Figures that may be negative: only their difference means something.
SIGNED: tuple[str, ...] = ("mttd_s",)


@dataclass(frozen=True, slots=True)
class Score:
    """One run in numbers."""

    scenario: str
    arm: str
    seed: int
    figures: Figures
    faults: tuple[FaultOutcome, ...]


def score(result: RunResult) -> Score:
    """All figures of a run seen by itself; `against` adds what only a baseline run can tell."""
    seen = health(result.client)
    outcomes = fault_outcomes(result, seen)
    client, orders = result.client, result.orders
    answered = int(client.ok.sum())
    figures = Figures(
        downtime_s=float(seen.downtime_s),
        mttd_s=time_to_detect_s(outcomes),
        mttr_s=time_to_recover_s(outcomes, unblamed_spells(result, seen)),
        failed_requests=float(client.failed.sum()),
        orders_lost=float(orders.lost),
        orders_duplicated=float(orders.duplicated),
        p99_ms=latency_ms(client, 0.99),
        peak_rps=peak_rps(result, seen),
        load_balance=_mean(result.jain_index),
        pod_hours=float(result.pod_hours),
        false_actions=false_actions(result),
        bad_requests=float(client.bad.sum()),
        slow_requests=float(client.slow.sum()),
        requests=float(client.arrived.sum()),
        degraded_ratio=float(client.degraded.sum()) / answered if answered and client.degraded is not None else None,
        orders_attempted=float(orders.attempted),
        orders_failed=float(orders.failed),
        faults_hurt=float(sum(o.hurt for o in outcomes)),
        faults_averted=None,
        faults_censored=float(sum(o.censored for o in outcomes)),
        downtime_without_fault_s=float(seen.downtime_s - sum(o.down_s for o in outcomes)),
        disruptive_acts=float(sum(a.disruptive and a.at_s >= 0 for a in result.acts)),
        resizes=float(sum(r.at_s >= 0 for r in result.resizes)),
    )
    return Score(result.scenario.name, result.arm, result.seed, figures, outcomes)


def against(own: Score, baseline: Score) -> Score:
    """The score beside the baseline arm's under the same scenario and seed: faults that hurt there and not here were
    averted, and their harm there dates the detection here."""
    figures = replace(
        own.figures,
        mttd_s=time_to_detect_s(own.faults, baseline.faults),
        faults_averted=float(averted(own.faults, baseline.faults)),
    )
    return replace(own, figures=figures)


def averted(outcomes: Sequence[FaultOutcome], baseline: Sequence[FaultOutcome]) -> int:
    """Faults that hurt the baseline and not this run; what hurts nobody was not averted."""
    hurt_there = {o.index for o in baseline if o.hurt}
    return sum(not o.hurt and not o.masked and o.index in hurt_there for o in outcomes)


def latency_ms(client: ClientSeconds, level: float) -> float | None:
    """The `level` quantile of latency over every answered request, milliseconds from the intended start.

    Linear inside the histogram's bucket; in an open last bucket its lower edge. None without an answer.
    """
    counts = client.latency_histogram.sum(axis=0)
    total = int(counts.sum())
    if not total:
        return None
    cumulative = np.cumsum(counts)
    bucket = int(np.searchsorted(cumulative, level * total, side="left"))
    low, high = float(client.bucket_edges_s[bucket]), float(client.bucket_edges_s[bucket + 1])
    if not np.isfinite(high):
        return 1000.0 * low
    share = (level * total - float(cumulative[bucket] - counts[bucket])) / float(counts[bucket])
    return 1000.0 * (low + share * (high - low))


def peak_rps(result: RunResult, seen: Health) -> float | None:
    """The highest load step that was sustained within the SLO, in requests answered per second.

    A step is sustained when its second half, by when scaling had its time, has traffic and no down second; the value
    is the rate answered in that half. None outside staircase scenarios, 0 when no step was sustained.
    """
    step_s = result.staircase_s
    if not step_s:
        return None
    ok = result.client.ok.sum(axis=0)
    best = 0.0
    for step in range(round(ok.size / step_s)):
        half = slice(round((step + 0.5) * step_s), round((step + 1) * step_s))
        if ok[half].size and seen.known[half].any() and not seen.down[half].any():
            best = max(best, float(ok[half].mean()))
    return best


def false_actions(result: RunResult) -> float | None:
    """Disruptive acts while no fault ran, per week of such time and 100 workloads.

    A fault explains acts from its start (an announced crowd: from the forecast horizon before) until 300 s after its
    end. None when faults cover the whole run: there was no time to be wrong in.
    """
    quiet = _quiet_seconds(result)
    false = sum(a.disruptive and 0 <= a.at_s < quiet.size and bool(quiet[int(a.at_s)]) for a in result.acts)
    return per_week_and_100_workloads(false, float(quiet.sum()), len(result.services.services))


def _quiet_seconds(result: RunResult) -> Flags:
    quiet = np.ones(result.client.arrived.shape[1], dtype=np.bool_)
    for fault in result.faults:
        opens_s, closes_s = window_s(fault, result.scenario)
        quiet[max(int(opens_s), 0) : max(int(np.ceil(closes_s)), 0)] = False
    return quiet


def _mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if finite.size else None
