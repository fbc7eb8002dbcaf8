"""Signals that grow towards a limit: which pod goes first, and whether there is time for all of them one by one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from policies.decision import Reason, ReasonCode
from policies.model import Observation, SignalKind, WorkloadPolicy, WorkloadSeen
from policies.risk import Curve

KINDS = frozenset({SignalKind.MEMORY, SignalKind.CONNECTION_POOL, SignalKind.QUEUE, SignalKind.DISK})
#: A full pool or queue in most pods at once may just be load; memory and disks do not fill from that alone.
LOAD_DRIVEN = frozenset({SignalKind.CONNECTION_POOL, SignalKind.QUEUE})
MOST_PODS = 0.5
DEMAND_GROWTH = 1.15  # of the last five minutes against a quarter of an hour before
CONFIRMATIONS = 2  # forecasts in a row: one may be a fluke
HANDLING_S = 60.0  # of one replacement beyond the lead time: warm-up, drain, look again, ticks in between


@dataclass(frozen=True, slots=True)
class Watch:
    """A failure signal that was forecast to hit its limit in time to worry; hysteresis lives here."""

    confirmations: int  # forecasts in a row that said so
    issued_at_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Expected:
    """The pod to deal with first. `confirmed`: it is time."""

    pod: str
    signal: str
    probability: float
    confirmed: bool
    reasons: tuple[Reason, ...]


def expect(
    curves: Sequence[Curve],
    watches: Mapping[str, Watch],
    seen: Observation,
    workload: WorkloadSeen,
    policy: WorkloadPolicy,
    lead_s: float,
    issued_at_s: float,
    step_s: float,
    now_s: float,
) -> tuple[Expected | None, dict[str, Watch]]:
    """What is about to fail in one workload, and the watches kept for it.

    Pods are replaced one after the other, so the k-th in order of hitting time has to last for k replacements: when
    several leak at once the first one is dealt with that much earlier.
    """
    if not curves:
        return None, {}
    healing = policy.healing
    each_s = handling_s(policy, lead_s)
    first = _soonest_per_pod(curves)
    in_order = [
        (curve.by(now_s + horizon_s(policy, lead_s, step_s, place + 1)), curve) for place, curve in enumerate(first)
    ]
    kept: dict[str, Watch] = {}
    for probability, curve in in_order:
        watch = _watched(watches.get(curve.target.key), probability, healing.act_probability, issued_at_s)
        if watch is not None and probability >= healing.release_probability:
            kept[curve.target.key] = watch
    worst = max(probability for probability, _ in in_order)
    if worst < healing.release_probability:
        unlikely = Reason(ReasonCode.FAILURE_UNLIKELY, {**first[0].facts, "probability": worst})
        return Expected(first[0].target.member, first[0].target.kind.value, worst, False, (unlikely,)), kept
    # Whoever hits before the last of those in danger has had its turn is in the same queue.
    last = max(place for place, (probability, _) in enumerate(in_order) if probability >= healing.release_probability)
    until_s = now_s + horizon_s(policy, lead_s, step_s, last + 1)
    at_risk = [curve for curve in first if curve.by(until_s) >= healing.release_probability]
    facts: dict[str, float | str] = {
        **first[0].facts,
        "probability": worst,
        "threshold": healing.act_probability,
        "lead_s": lead_s,
    }
    if len(at_risk) > 1:
        facts |= {"pods_at_risk": float(len(at_risk)), "replacing_all_s": each_s * len(at_risk)}
    if driven := _by_load(at_risk, seen, workload):
        return Expected(first[0].target.member, first[0].target.kind.value, worst, False, (
            Reason(ReasonCode.FAILURE_EXPECTED, {**facts, "cause": driven}),
        )), kept  # fmt: skip
    confirmed = worst >= healing.act_probability and any(
        probability >= healing.act_probability and kept[curve.target.key].confirmations >= CONFIRMATIONS
        for probability, curve in in_order
        if curve.target.key in kept
    )
    reason = Reason(ReasonCode.FAILURE_EXPECTED, facts)
    return Expected(first[0].target.member, first[0].target.kind.value, worst, confirmed, (reason,)), kept


def handling_s(policy: WorkloadPolicy, lead_s: float) -> float:
    """How long one replacement keeps the next from beginning."""
    return max(lead_s + HANDLING_S, policy.guardrails.cooldown_s)


def horizon_s(policy: WorkloadPolicy, lead_s: float, step_s: float, place: int = 1) -> float:
    """How long the pod that is `place`-th in line (from 1) has to last; a forecast step is lost to confirming."""
    return place * handling_s(policy, lead_s) + policy.healing.margin_s + step_s


def _soonest_per_pod(curves: Sequence[Curve]) -> list[Curve]:
    """One curve per pod, in the order in which they hit: by median time, then by probability at the horizon."""
    ordered = sorted(curves, key=lambda curve: (curve.median_s, -float(curve.cdf[-1]), curve.target.key))
    found: dict[str, Curve] = {}
    for curve in ordered:
        found.setdefault(curve.target.member, curve)
    return list(found.values())


def _watched(before: Watch | None, probability: float, act_probability: float, issued_at_s: float) -> Watch | None:
    """The watch after one more forecast; None while there never was a reason for one."""
    if before is None:
        return Watch(1, issued_at_s, probability) if probability >= act_probability else None
    if issued_at_s <= before.issued_at_s:
        return before
    more = 1 if probability >= act_probability else 0
    return Watch(before.confirmations + more, issued_at_s, probability)


def _by_load(at_risk: Sequence[Curve], seen: Observation, workload: WorkloadSeen) -> str | None:
    """What makes most pods' pools or queues fill at once, when it is load and no leak."""
    kind = at_risk[0].target.kind
    alike = sum(1 for curve in at_risk if curve.target.kind is kind)
    if kind not in LOAD_DRIVEN or alike < 2 or alike < MOST_PODS * len(workload.endpoints):
        return None
    if kind is SignalKind.QUEUE or workload.saturated:
        return "load"
    return "load" if demand_grew(seen, workload.name) else None


def demand_grew(seen: Observation, name: str) -> bool:
    """Whether demand of the last five minutes exceeds what it was a quarter of an hour before. Unknown: no."""
    history = seen.demand
    if history is None or name not in history.workloads:
        return False
    row = history.values_rps[history.workloads.index(name)]
    window, back = int(300.0 / history.step_s), int(1200.0 / history.step_s)
    recent, earlier = row[-window:], row[-back : -back + window]
    recent, earlier = recent[np.isfinite(recent)], earlier[np.isfinite(earlier)]
    if recent.size == 0 or earlier.size == 0:
        return False
    return float(recent.mean()) > DEMAND_GROWTH * max(float(earlier.mean()), 1e-9)
