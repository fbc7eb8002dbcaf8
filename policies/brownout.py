"""Brownout: optional content dimmed for the seconds until new pods are Ready.

Acts only on a shortage that pods cannot meet: demand before the lead time is over, against what is Ready or on its way.
The inner loop, dimming by what happens within a second, is the gateway's own; this lowers its ceiling ahead of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from forecasting.forecast import Floats, Forecast
from policies.decision import Proposal, Reason, ReasonCode, SetBrownout
from policies.ladder import allows, confidence_needed
from policies.model import Observation, PolicySet, Rung, WorkloadPolicy, WorkloadSeen
from policies.tokens import Dimmed

SIZED_FOR = 0.80  # quantile of the futures' worst shortage that the ceiling has to meet
TOLERATED_LOAD = 1.05  # of what the pods carry within SLO: below it a queue absorbs the rest
STEP = 0.1
LIFT_STEP = 0.2
LIFT_AFTER_S = 30.0
RENEW_RATIO = 0.75  # of the TTL left: with looks every 15 s and a TTL of 60 s, every look renews


@dataclass(frozen=True, slots=True)
class StandingCeiling:
    """A ceiling that was asked for and has not been lifted."""

    ceiling: float
    changed_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class BrownoutMemory:
    standing: Mapping[str, StandingCeiling] = field(default_factory=dict)  # by workload


def lifted_while_stopped(dimmed: Mapping[str, Dimmed], policies: PolicySet, now_s: float) -> tuple[Proposal, ...]:
    """Ceilings of either lane that a pause or the kill switch ends at once: who stops us wants everything served."""
    found = []
    for name, standing in dimmed.items():
        policy = policies.workloads.get(name)
        if policy is None or not is_stopped(policy, policies):
            continue
        switch = (
            Reason(ReasonCode.KILL_SWITCH) if policies.kill_switch else Reason(ReasonCode.PAUSED, {"by": "the policy"})
        )
        action = SetBrownout(name, 1.0, now_s + policy.brownout.ttl_s)
        found.append(Proposal(name, Rung.REWEIGHT, action, 1.0, (switch,), disruptive=False, fast=standing.fast))
    return tuple(found)


def is_stopped(policy: WorkloadPolicy, policies: PolicySet) -> bool:
    """Whether people want nothing done but undoing."""
    return policies.kill_switch or policy.guardrails.paused


@dataclass(frozen=True, slots=True)
class Shortage:
    """How much more is asked than can be carried before help comes."""

    workload: str  # where it is worst
    probability: float  # that any of it happens
    load_ratio: float  # demand over capacity at its worst, in the future the ceiling is sized for
    demand_rps: float
    capacity_rps: float
    lead_s: float


def propose(
    seen: Observation,
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    lead_s: Mapping[str, float],
    policies: PolicySet,
    memory: BrownoutMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], BrownoutMemory]:
    """Ceilings to lower ahead of a shortage, to renew and to lift.

    `capacity_rps` is what one pod carries within SLO. Without forecast or capacity nothing is lowered or renewed, and a
    standing ceiling ends by its expiry.
    """
    dimmable = [
        policy for policy in policies.workloads.values() if policy.brownout.enabled and allows(Rung.REWEIGHT, policy)
    ]
    if not dimmable:
        return (), {}, memory
    workloads = {workload.name: workload for workload in seen.workloads}
    standing = {name: ceiling for name, ceiling in memory.standing.items() if now_s < ceiling.expires_at_s}
    proposals: list[Proposal] = []
    reasons: dict[str, tuple[Reason, ...]] = {}
    for policy in dimmable:
        name = policy.workload
        stopped = is_stopped(policy, policies)
        if stopped:
            standing.pop(name, None)  # it is being lifted, and what is proposed now is only told
        shortage = worst_shortage(policy, policies, workloads, demand, capacity_rps, lead_s, now_s)
        if shortage is None:
            if name in standing:
                reasons[name] = (Reason(ReasonCode.NO_FORECAST),)
            continue
        before = standing.get(name)
        ceiling = _next_ceiling(before, shortage, policy, now_s)
        if ceiling == 1.0 and before is None:
            continue
        reason = _reason(shortage, ceiling, before)
        reasons[name] = (reason,)
        if before is not None and ceiling == before.ceiling and not _must_renew(before, policy, now_s):
            continue
        expires_at_s = now_s + policy.brownout.ttl_s
        confidence = shortage.probability if before is None else 1.0
        action = SetBrownout(name, ceiling, expires_at_s)
        proposals.append(Proposal(name, Rung.REWEIGHT, action, confidence, (reason,), disruptive=ceiling < 1.0))
        changed_at_s = before.changed_at_s if before is not None and before.ceiling == ceiling else now_s
        standing.pop(name, None)
        if ceiling < 1.0 and not stopped:
            standing[name] = StandingCeiling(ceiling, changed_at_s, expires_at_s)
    return tuple(proposals), reasons, BrownoutMemory(standing)


def worst_shortage(
    policy: WorkloadPolicy,
    policies: PolicySet,
    workloads: Mapping[str, WorkloadSeen],
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    lead_s: Mapping[str, float],
    now_s: float,
) -> Shortage | None:
    """The largest shortage at a gateway or behind it before its lead time is over; None when nothing is known."""
    if demand is None:
        return None
    rows = {name: row for row, name in enumerate(demand.series) if name not in demand.unavailable}
    peaks_rps = np.maximum.accumulate(demand.quantiles[:, :, -1], axis=1)
    first = int(np.searchsorted(demand.times_s, now_s, side="right"))
    loads: list[tuple[float, str, int, int, float]] = []
    for name, behind in policies.workloads.items():
        row, workload, per_pod = rows.get(name), workloads.get(name), capacity_rps.get(name)
        if policy.workload not in (name, behind.entry) or row is None or workload is None or not per_pod:
            continue
        lead = lead_s.get(name, behind.scaling.lead_time_prior_s)
        last = first + max(1, int(lead / demand.step_s))  # steps that lie within the lead time
        if first >= demand.steps:
            continue
        peak_rps = float(peaks_rps[row, min(last, demand.steps) - 1])
        loads.append((peak_rps / (per_pod * max(len(workload.endpoints), 0.5)), name, row, last, lead))
    if not loads:
        return None
    # Most workloads fit even at the highest quantile; only the others, or else the fullest, are worth the samples.
    worth = [load for load in loads if load[0] > TOLERATED_LOAD] or [max(loads)]
    found = []
    for _, name, row, last, lead in worth:
        supply_rps = capacity_rps[name] * _pods_by(workloads[name], lead, demand.times_s[first:last])
        found.append(_shortage(name, demand.paths[row][:, first:last], supply_rps, lead))
    return max(found, key=lambda shortage: shortage.load_ratio)


def _pods_by(workload: WorkloadSeen, lead_s: float, times_s: Floats) -> Floats:
    """Pods that serve at each time, `(steps,)`: endpoints now, and those on their way once their lead time is over."""
    coming = [pod.created_at_s + lead_s for pod in workload.pods if pod.ready_at_s is None and not pod.deleting]
    arrived = np.zeros_like(times_s)
    for at_s in coming:
        arrived = arrived + (times_s >= at_s)
    return np.maximum(len(workload.endpoints) + arrived, 0.5)  # no pod at all: any demand is far too much


def _shortage(name: str, paths: Floats, supply_rps: Floats, lead_s: float) -> Shortage:
    load = paths / supply_rps
    worst = load.max(axis=1)
    ratio = float(np.quantile(worst, SIZED_FOR))
    step = int(np.argmax(np.quantile(load, SIZED_FOR, axis=0)))
    return Shortage(
        name,
        probability=float((worst > TOLERATED_LOAD).mean()),
        load_ratio=ratio,
        demand_rps=float(np.quantile(paths[:, step], SIZED_FOR)),
        capacity_rps=float(supply_rps[step]),
        lead_s=lead_s,
    )


def ceiling_for(load_ratio: float, optional_cost_ratio: float, lowest: float) -> float:
    """The highest ceiling, in steps, at which work fits: demand x (1 - optional x (1 - ceiling)) <= capacity."""
    if load_ratio <= TOLERATED_LOAD:
        return 1.0
    if optional_cost_ratio <= 0.0:
        return 1.0  # dimming would cost users something and save nothing
    needed = 1.0 - (1.0 - 1.0 / load_ratio) / optional_cost_ratio
    return round(max(lowest, math.floor(max(needed, 0.0) / STEP + 1e-9) * STEP), 6)


def _next_ceiling(before: StandingCeiling | None, shortage: Shortage, policy: WorkloadPolicy, now_s: float) -> float:
    wanted = ceiling_for(shortage.load_ratio, policy.brownout.optional_cost_ratio, policy.brownout.lowest_ceiling)
    if before is None:
        needed = max(0.5, confidence_needed(Rung.REWEIGHT, policy.healing.act_probability))
        return wanted if shortage.probability >= needed else 1.0
    if wanted <= before.ceiling:
        return wanted
    if now_s - before.changed_at_s < LIFT_AFTER_S:
        return before.ceiling
    return round(min(wanted, before.ceiling + LIFT_STEP), 6)


def _must_renew(before: StandingCeiling, policy: WorkloadPolicy, now_s: float) -> bool:
    return before.expires_at_s - now_s <= RENEW_RATIO * policy.brownout.ttl_s + 1e-6


def _reason(shortage: Shortage, ceiling: float, before: StandingCeiling | None) -> Reason:
    lifted = before is not None and ceiling > before.ceiling
    return Reason(
        ReasonCode.RECOVERED if lifted else ReasonCode.CAPACITY_LATE,
        {
            "at": shortage.workload,
            "demand_rps": shortage.demand_rps,
            "capacity_rps": shortage.capacity_rps,
            "lead_s": shortage.lead_s,
            "probability": shortage.probability,
            "ceiling": ceiling,
        },
    )
