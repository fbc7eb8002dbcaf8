"""Floors over sampled futures: the pods every workload must keep or order now, for all workloads at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from forecasting.forecast import Forecast
from policies import floors
from policies.capacity import Capacity
from policies.decision import Proposal, Reason, ReasonCode, SetFloor, SetScale
from policies.floor_reasons import facts_of, main_reason
from policies.floors import Bounds, FloorState
from policies.model import Observation, PolicySet, Rung, WorkloadPolicy, WorkloadSeen
from policies.needs import Ask, Needs, pods_needed
from policies.subject import (
    TICK_S,
    ScalingState,
    Subject,
    busy_need,
    looked,
    missing_pods,
    recent,
    source_of,
    subject_of,
)

DEADBAND_PODS = 0.15  # a pod goes only when the load would still fit with this much to spare

Proposals = tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], Mapping[str, ScalingState]]


def propose(
    seen: Observation,
    demand: Forecast | None,
    capacity: Mapping[str, Capacity],
    lead_s: Mapping[str, float],
    leaving: Mapping[str, int],
    policies: PolicySet,
    states: Mapping[str, ScalingState],
    now_s: float,
    at_least: Mapping[str, int] | None = None,
) -> Proposals:
    """Floors to write now, what there is to say about every scaled workload, and the states after the look.

    A workload without measurements, capacity or forecast is held: nothing is renewed, so its floor ends by expiry.
    `at_least` are pods that workloads need by other evidence than the metrics.
    """
    by_name = {workload.name: workload for workload in seen.workloads}
    rows = _rows(demand)
    reasons: dict[str, tuple[Reason, ...]] = {}
    after: dict[str, ScalingState] = {}
    subjects: list[Subject] = []
    for workload in seen.workloads:
        name = workload.name
        policy = policies.workloads.get(name)
        if policy is None or not policy.stateless:
            continue
        entry = by_name.get(policy.entry) if policy.entry is not None else None
        before = states.get(name, ScalingState())
        state = looked(before, workload, entry, now_s)
        known, source = capacity.get(name), source_of(workload, policy, entry, state, rows)
        held = hold(workload, state.floor, known, now_s)
        if held is None and known is not None and source is not None:
            lead = lead_s.get(name, policy.scaling.lead_time_prior_s)
            missing = missing_pods(workload, leaving.get(name, 0), lead, now_s)
            subjects.append(subject_of(workload, policy, state, known, lead, source, missing))
            continue
        reasons[name] = (held or Reason(ReasonCode.NO_FORECAST, _why(demand, name)), *_expiry(before, state))
        after[name] = state
    if not subjects or demand is None:
        return (), reasons, after
    needs = pods_needed(demand, _ask(demand, subjects, now_s))
    proposals: list[Proposal] = []
    for index, subject in enumerate(subjects):
        proposal, said, state = _floor(subject, needs, index, (at_least or {}).get(subject.seen.name, 0), now_s)
        reasons[subject.seen.name], after[subject.seen.name] = said, state
        if proposal is not None:
            proposals.append(proposal)
    return tuple(proposals), reasons, after


def recorded(state: ScalingState, action: SetFloor | SetScale, seen: WorkloadSeen, now_s: float) -> ScalingState:
    """The state after a write was asked for."""
    value = action.floor if isinstance(action, SetFloor) else action.replicas
    found = floors.standing(seen)
    return replace(state, floor=floors.recorded(state.floor, value, action.expires_at_s, found, now_s))


def _rows(demand: Forecast | None) -> dict[str, int]:
    if demand is None:
        return {}
    return {name: row for row, name in enumerate(demand.series) if name not in demand.unavailable}


def _expiry(before: ScalingState, after: ScalingState) -> tuple[Reason, ...]:
    """Says that a floor ended because nothing renewed it."""
    if before.floor.written is None or after.floor.written is not None or after.floor.foreign_at_s:
        return ()
    return (Reason(ReasonCode.FLOOR_EXPIRED, {"floor": float(before.floor.written)}),)


def hold(seen: WorkloadSeen, floor: FloorState, capacity: Capacity | None, now_s: float) -> Reason | None:
    """Why a workload's floor is left alone, None where it is not."""
    if seen.paused or seen.replicas == 0:
        return Reason(ReasonCode.PAUSED, {"by": "workload"})
    if floor.contested_until_s is not None and now_s < floor.contested_until_s:
        return Reason(ReasonCode.CONTESTED, {"until_s": floor.contested_until_s, "found": float(floors.standing(seen))})
    if capacity is None:
        return Reason(ReasonCode.CAPACITY_UNKNOWN)
    return None


def _why(demand: Forecast | None, name: str) -> dict[str, float | str]:
    why = None if demand is None else demand.unavailable.get(name)
    return {} if why is None else {"why": why.value}


def _ask(demand: Forecast, subjects: list[Subject], now_s: float) -> Ask:
    scaling = [subject.policy.scaling for subject in subjects]
    lead_s = np.array([subject.lead_s for subject in subjects])
    rises = [recent(subject.state.measured_rps, subject.lead_s + TICK_S) for subject in subjects]
    ahead = np.ceil((now_s + lead_s + TICK_S - demand.last_at_s) / demand.step_s - 1e-9)
    return Ask(
        rows=np.array([subject.row for subject in subjects], dtype=np.int64),
        factor=np.array([subject.factor for subject in subjects]),
        window_steps=np.clip(ahead, 1, demand.steps).astype(np.int64),
        current_rps=np.array([subject.state.measured_rps[-1] for subject in subjects]),
        recent_rps=np.array([mean_rps for mean_rps, _ in rises]),
        rise_rps=np.array([rise_rps for _, rise_rps in rises]),
        capacity_rps=np.array([subject.capacity.safe_rps for subject in subjects]),
        target_utilization=np.array([subject.target_utilization for subject in subjects]),
        saturation_utilization=np.array([subject.saturation_utilization for subject in subjects]),
        violation_cost=np.array([policy.violation_cost for policy in scaling]),
        cvar_level=np.array([policy.cvar_level for policy in scaling]),
    )


def _floor(
    subject: Subject, needs: Needs, index: int, at_least: int, now_s: float
) -> tuple[Proposal | None, tuple[Reason, ...], ScalingState]:
    seen, scaling, floor = subject.seen, subject.policy.scaling, subject.state.floor
    limits = floors.bounds(floor, seen, scaling)
    current = floors.standing(seen) if floor.written is None else floor.written
    need = max(int(needs.pods[index]), busy_need(seen), at_least) + subject.missing
    if need < current:
        spare = math.ceil(float(needs.load_pods[index]) + DEADBAND_PODS) + subject.missing
        need = min(current, max(need, spare))
    want, limits_bound = limited(need, current, seen, subject.policy, floor, limits)
    value, floor = floors.paced(floor, current, want, scaling, now_s)
    state = subject.state if floor is subject.state.floor else replace(subject.state, floor=floor)
    facts = facts_of(subject, needs, index, current, value)
    reasons = (main_reason(subject, current, value, limits, facts, now_s), *limits_bound)
    if not floors.must_write(floor, value, limits, seen, scaling.floor_ttl_s, now_s):
        return None, reasons, state
    expires_at_s = now_s + scaling.floor_ttl_s
    action = (
        SetScale(seen.name, value, expires_at_s) if seen.hpa_min is None else SetFloor(seen.name, value, expires_at_s)
    )
    confidence = float(needs.served_share[index])
    return Proposal(seen.name, Rung.PRE_SCALE, action, confidence, reasons, disruptive=False), reasons, state


def limited(
    need: int, current: int, seen: WorkloadSeen, policy: WorkloadPolicy, floor: FloorState, limits: Bounds
) -> tuple[int, tuple[Reason, ...]]:
    """The need within floor, ceiling, room and cost cap, and a reason for each limit that bound."""
    reasons: list[Reason] = []
    want = max(need, limits.least)
    if want > limits.most:
        facts: dict[str, float | str] = {"needed_pods": float(need), "max_replicas": float(limits.most)}
        reasons.append(Reason(ReasonCode.DEMAND_ABOVE_MAX, facts))
        want = limits.most
    room = seen.room_pods
    if room is not None and want > max(current, limits.least, seen.replicas + room):
        want = max(current, limits.least, seen.replicas + room)
        reasons.append(Reason(ReasonCode.NO_ROOM, {"needed_pods": float(need), "room_pods": float(room)}))
    cap = policy.guardrails.extra_pod_hours_per_day
    spent = floor.extra_pod_hours
    if cap is not None and spent >= cap and want > limits.base:
        want = max(limits.base, min(limits.least, want))
        reasons.append(Reason(ReasonCode.COST_CAP, {"spent_pod_hours": spent, "cap_pod_hours": cap}))
    return min(want, limits.most), tuple(reasons)
