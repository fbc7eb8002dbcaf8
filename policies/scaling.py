"""Floors over sampled futures: the pods every workload must keep or order now, for all workloads at once."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.forecast import DeclaredEvent, Forecast
from policies import floors
from policies.capacity import Capacity
from policies.decision import Proposal, Reason, ReasonCode, SetFloor, SetScale
from policies.floors import Bounds, FloorState
from policies.model import Observation, PolicySet, Rung, WorkloadPolicy, WorkloadSeen
from policies.needs import Ask, Needs, pods_needed

TICK_S = 15.0
DEADBAND_PODS = 0.15  # a pod goes only when the load would still fit with this much to spare
VISITS_HALF_LIFE_S = 600.0
LEAST_VISITS_RPS = 1.0  # of the entry: fewer requests say little about the ratio
RECENT_LOOKS = 4
BUSY_UTILIZATION = 0.85  # saturated pods this busy lack CPU; idle ones wait for something that pods do not bring
BUSY_STEP_RATIO = 0.10

Proposals = tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], Mapping[str, "ScalingState"]]


@dataclass(frozen=True, slots=True)
class ScalingState:
    """One workload's floor, and how many of its requests one request at its entry causes (forgetting sums)."""

    floor: FloorState = field(default_factory=FloorState)
    own: float = 0.0
    entry: float = 0.0
    measured_rps: tuple[float, ...] = ()  # the last looks, oldest first
    looked_at_s: float | None = None

    @property
    def visits(self) -> float | None:
        return self.own / self.entry if self.entry > 0.0 else None


@dataclass(frozen=True, slots=True)
class _Subject:
    """A workload whose need can be computed."""

    seen: WorkloadSeen
    policy: WorkloadPolicy
    state: ScalingState
    capacity: Capacity
    lead_s: float
    row: int
    factor: float
    missing: int  # pods that replicas count and that serve nothing


def propose(
    seen: Observation,
    demand: Forecast | None,
    capacity: Mapping[str, Capacity],
    lead_s: Mapping[str, float],
    leaving: Mapping[str, int],
    policies: PolicySet,
    states: Mapping[str, ScalingState],
    now_s: float,
) -> Proposals:
    """Floors to write now, what there is to say about every scaled workload, and the states after the look.

    A workload without measurements, capacity or forecast is held: nothing is renewed, so its floor ends by expiry.
    """
    by_name = {workload.name: workload for workload in seen.workloads}
    rows = _rows(demand)
    reasons: dict[str, tuple[Reason, ...]] = {}
    after: dict[str, ScalingState] = {}
    subjects: list[_Subject] = []
    for workload in seen.workloads:
        name = workload.name
        policy = policies.workloads.get(name)
        if policy is None or not policy.stateless:
            continue
        entry = by_name.get(policy.entry) if policy.entry is not None else None
        before = states.get(name, ScalingState())
        state = _looked(before, workload, entry, now_s)
        known, source = capacity.get(name), _source(workload, policy, entry, state, rows)
        held = _hold(workload, state.floor, known, now_s)
        if held is None and known is not None and source is not None:
            lead = lead_s.get(name, policy.scaling.lead_time_prior_s)
            missing = _missing(workload, leaving.get(name, 0), lead, now_s)
            subjects.append(_subject(workload, policy, state, known, lead, source, missing))
            continue
        reasons[name] = (held or Reason(ReasonCode.NO_FORECAST, _why(demand, name)), *_expiry(before, state))
        after[name] = state
    if not subjects or demand is None:
        return (), reasons, after
    needs = pods_needed(demand, _ask(demand, subjects, now_s))
    proposals: list[Proposal] = []
    for index, subject in enumerate(subjects):
        proposal, said, state = _floor(subject, needs, index, now_s)
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


def _subject(
    seen: WorkloadSeen,
    policy: WorkloadPolicy,
    state: ScalingState,
    capacity: Capacity,
    lead_s: float,
    source: tuple[int, float, float],
    missing: int,
) -> _Subject:
    row, factor, current_rps = source
    measured_rps = (*state.measured_rps[1 - RECENT_LOOKS :], current_rps)
    state = ScalingState(state.floor, state.own, state.entry, measured_rps, state.looked_at_s)
    return _Subject(seen, policy, state, capacity, lead_s, row, factor, missing)


def _recent(measured_rps: tuple[float, ...], ahead_s: float) -> tuple[float, float]:
    """(mean of the last two looks, what it grows by in `ahead_s` if it goes on as it did since the two before)."""
    recent_rps = sum(measured_rps[-2:]) / len(measured_rps[-2:])
    if len(measured_rps) < RECENT_LOOKS:
        return recent_rps, 0.0
    earlier_rps = 0.5 * (measured_rps[0] + measured_rps[1])
    # The two means lie two ticks apart, and the newer one half a tick back.
    return recent_rps, (recent_rps - earlier_rps) / (2.0 * TICK_S) * (ahead_s + 0.5 * TICK_S)


def _expiry(before: ScalingState, after: ScalingState) -> tuple[Reason, ...]:
    """Says that a floor ended because nothing renewed it."""
    if before.floor.written is None or after.floor.written is not None or after.floor.foreign_at_s:
        return ()
    return (Reason(ReasonCode.FLOOR_EXPIRED, {"floor": float(before.floor.written)}),)


def _looked(state: ScalingState, seen: WorkloadSeen, entry: WorkloadSeen | None, now_s: float) -> ScalingState:
    elapsed_s = 0.0 if state.looked_at_s is None else max(0.0, now_s - state.looked_at_s)
    own, through = state.own, state.entry
    if entry is not None and seen.offered_rps is not None and entry.offered_rps is not None:
        measurable = not seen.saturated and not entry.saturated and entry.offered_rps >= LEAST_VISITS_RPS
        if measurable:
            keep = 0.5 ** (elapsed_s / VISITS_HALF_LIFE_S)
            own, through = own * keep + seen.offered_rps, through * keep + entry.offered_rps
    return ScalingState(floors.looked(state.floor, seen, elapsed_s, now_s), own, through, state.measured_rps, now_s)


def _hold(seen: WorkloadSeen, floor: FloorState, capacity: Capacity | None, now_s: float) -> Reason | None:
    if seen.paused or seen.replicas == 0:
        return Reason(ReasonCode.PAUSED, {"by": "workload"})
    if floor.contested_until_s is not None and now_s < floor.contested_until_s:
        return Reason(ReasonCode.CONTESTED, {"until_s": floor.contested_until_s, "found": float(floors.standing(seen))})
    if capacity is None:
        return Reason(ReasonCode.NO_METRICS, {"missing": "capacity"})
    return None


def _source(
    seen: WorkloadSeen,
    policy: WorkloadPolicy,
    entry: WorkloadSeen | None,
    state: ScalingState,
    rows: Mapping[str, int],
) -> tuple[int, float, float] | None:
    """(forecast row, factor, current demand). Saturated demand is censored: then the entry's demand stands for it."""
    own = rows.get(seen.name)
    trusted = own is not None and seen.offered_rps is not None and not seen.saturated
    if not trusted and entry is not None and entry.offered_rps is not None and state.visits is not None:
        row = rows.get(entry.name)
        if row is not None:
            return row, state.visits, entry.offered_rps * state.visits
    if own is None or seen.offered_rps is None:
        return None
    return own, 1.0, seen.offered_rps


def _why(demand: Forecast | None, name: str) -> dict[str, float | str]:
    why = None if demand is None else demand.unavailable.get(name)
    return {} if why is None else {"why": why.value}


def _missing(seen: WorkloadSeen, leaving: int, lead_s: float, now_s: float) -> int:
    """Pods of the ReplicaSet that serve nothing: drained or about to be, or not Ready long after their start.

    At most half as many as there are replicas: when most pods are down, more of the same are no help.
    """
    if seen.rollout_in_progress:
        return leaving
    off = down = 0
    for pod in seen.pods:
        if pod.detached or pod.deleting:
            continue
        if not pod.traffic_on:
            off += 1
        elif pod.ready_at_s is None and now_s - pod.created_at_s > lead_s + 2.0 * TICK_S:
            down += 1
    return min(max(leaving, off) + down, max(1, (seen.replicas + 1) // 2)) if off or down or leaving else 0


def _ask(demand: Forecast, subjects: list[_Subject], now_s: float) -> Ask:
    scaling = [subject.policy.scaling for subject in subjects]
    lead_s = np.array([subject.lead_s for subject in subjects])
    recent = [_recent(subject.state.measured_rps, subject.lead_s + TICK_S) for subject in subjects]
    ahead = np.ceil((now_s + lead_s + TICK_S - demand.last_at_s) / demand.step_s - 1e-9)
    return Ask(
        rows=np.array([subject.row for subject in subjects], dtype=np.int64),
        factor=np.array([subject.factor for subject in subjects]),
        window_steps=np.clip(ahead, 1, demand.steps).astype(np.int64),
        current_rps=np.array([subject.state.measured_rps[-1] for subject in subjects]),
        recent_rps=np.array([mean_rps for mean_rps, _ in recent]),
        rise_rps=np.array([rise_rps for _, rise_rps in recent]),
        capacity_rps=np.array([subject.capacity.safe_rps for subject in subjects]),
        target_utilization=np.array([policy.target_utilization for policy in scaling]),
        saturation_utilization=np.array([policy.saturation_utilization for policy in scaling]),
        violation_cost=np.array([policy.violation_cost for policy in scaling]),
        cvar_level=np.array([policy.cvar_level for policy in scaling]),
    )


def _floor(
    subject: _Subject, needs: Needs, index: int, now_s: float
) -> tuple[Proposal | None, tuple[Reason, ...], ScalingState]:
    seen, scaling, floor = subject.seen, subject.policy.scaling, subject.state.floor
    limits = floors.bounds(floor, seen, scaling)
    current = floors.standing(seen) if floor.written is None else floor.written
    need = max(int(needs.pods[index]), _busy_need(seen)) + subject.missing
    if need < current:
        spare = math.ceil(float(needs.load_pods[index]) + DEADBAND_PODS) + subject.missing
        need = min(current, max(need, spare))
    want, limited = _limited(need, current, subject, limits)
    value, floor = floors.paced(floor, current, want, scaling, now_s)
    state = subject.state if floor is subject.state.floor else replace(subject.state, floor=floor)
    facts = _facts(subject, needs, index, current, value)
    reasons = (_main_reason(subject, current, value, limits, facts, now_s), *limited)
    if not floors.must_write(floor, value, limits, seen, scaling.floor_ttl_s, now_s):
        return None, reasons, state
    expires_at_s = now_s + scaling.floor_ttl_s
    action = (
        SetScale(seen.name, value, expires_at_s) if seen.hpa_min is None else SetFloor(seen.name, value, expires_at_s)
    )
    confidence = float(needs.served_share[index])
    return Proposal(seen.name, Rung.PRE_SCALE, action, confidence, reasons, disruptive=False), reasons, state


def _busy_need(seen: WorkloadSeen) -> int:
    """One step above what serves, where pods reject work and are out of CPU: whatever was learned was too high."""
    limit_cores = seen.cpu_limit_cores or seen.cpu_request_cores
    if not seen.saturated or limit_cores is None:
        return 0
    used = [pod.cpu_cores for pod in seen.endpoints if pod.cpu_cores is not None]
    if not used or sum(used) < BUSY_UTILIZATION * limit_cores * len(used):
        return 0
    return len(used) + max(1, math.ceil(BUSY_STEP_RATIO * len(used)))


def _limited(need: int, current: int, subject: _Subject, limits: Bounds) -> tuple[int, tuple[Reason, ...]]:
    """The need within floor, ceiling, room and cost cap, and a reason for each limit that bound."""
    reasons: list[Reason] = []
    want = max(need, limits.least)
    if want > limits.most:
        facts: dict[str, float | str] = {"needed_pods": float(need), "max_replicas": float(limits.most)}
        reasons.append(Reason(ReasonCode.DEMAND_ABOVE_MAX, facts))
        want = limits.most
    room = subject.seen.room_pods
    if room is not None and want > max(current, subject.seen.replicas + room):
        want = max(current, subject.seen.replicas + room)
        reasons.append(Reason(ReasonCode.NO_ROOM, {"needed_pods": float(need), "room_pods": float(room)}))
    cap = subject.policy.guardrails.extra_pod_hours_per_day
    spent = subject.state.floor.extra_pod_hours
    if cap is not None and spent >= cap and want > limits.base:
        want = max(limits.base, min(limits.least, want))
        reasons.append(Reason(ReasonCode.COST_CAP, {"spent_pod_hours": spent, "cap_pod_hours": cap}))
    return min(want, limits.most), tuple(reasons)


def _facts(subject: _Subject, needs: Needs, index: int, current: int, value: int) -> dict[str, float | str]:
    capacity_rps = subject.capacity.rps
    ready = len(subject.seen.endpoints)
    facts: dict[str, float | str] = {
        "floor_before": float(current),
        "floor": float(value),
        "pods_needed": float(needs.pods[index]),
        "ready_pods": float(ready),
        "demand_rps": float(needs.peak_p95_rps[index]),
        "demand_median_rps": float(needs.peak_median_rps[index]),
        "current_rps": subject.state.measured_rps[-1],
        "at_s": float(needs.peak_at_s[index]),
        "capacity_rps": capacity_rps * ready,
        "pod_capacity_rps": capacity_rps,
        "lead_s": subject.lead_s,
    }
    if subject.factor != 1.0:
        facts["through"] = subject.policy.entry or ""
    if subject.missing:
        facts["missing_pods"] = float(subject.missing)
    return facts


def _main_reason(
    subject: _Subject, current: int, value: int, limits: Bounds, facts: Mapping[str, float | str], now_s: float
) -> Reason:
    if value > current:
        event = _event_ahead(subject, now_s)
        if event is None:
            return Reason(ReasonCode.DEMAND_EXPECTED, facts)
        return Reason(ReasonCode.DEMAND_DECLARED, {**facts, "event": event.name, "multiplier": event.multiplier})
    if value < current:
        return Reason(ReasonCode.DEMAND_FALLING, facts)
    if value > limits.base:
        return Reason(ReasonCode.FLOOR_HELD, facts)
    return Reason(ReasonCode.DEMAND_FITS, facts)


def _event_ahead(subject: _Subject, now_s: float) -> DeclaredEvent | None:
    """The declared event that raises demand before pods asked for now are Ready."""
    until_s = now_s + subject.lead_s + TICK_S
    name = subject.seen.name
    for event in subject.policy.events:
        concerns = not event.series or name in event.series or subject.policy.entry in event.series
        if concerns and event.multiplier > 1.0 and event.starts_at_s <= until_s and now_s < event.ends_at_s:
            return event
    return None
