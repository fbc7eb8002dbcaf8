"""What is known of one workload's demand and pods when its floor is decided."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from policies import floors
from policies.capacity import Capacity
from policies.floors import FloorState
from policies.model import WorkloadPolicy, WorkloadSeen

TICK_S = 15.0
VISITS_HALF_LIFE_S = 600.0
LEAST_VISITS_RPS = 1.0  # of the entry: fewer requests say little about the ratio
RECENT_LOOKS = 4
BUSY_UTILIZATION = 0.85  # saturated pods this busy lack CPU; idle ones wait for something that pods do not bring
BUSY_STEP_RATIO = 0.10
SLO_FILL = 0.90  # of the utilisation that the SLO bears on average


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
class Subject:
    """A workload whose need can be computed."""

    seen: WorkloadSeen
    policy: WorkloadPolicy
    state: ScalingState
    capacity: Capacity
    lead_s: float
    row: int
    factor: float
    missing: int  # pods that replicas count and that serve nothing

    @property
    def saturation_utilization(self) -> float:
        """Where requests go unserved: rejected, or answered too late for the SLO."""
        slo = self.capacity.slo_utilization
        own = self.policy.scaling.saturation_utilization
        return own if slo is None else min(own, slo)

    @property
    def target_utilization(self) -> float:
        """What expected demand fills at most: demand swings within a tick, and the SLO must survive that."""
        slo = self.capacity.slo_utilization
        own = self.policy.scaling.target_utilization
        return own if slo is None else min(own, SLO_FILL * slo)


def looked(state: ScalingState, seen: WorkloadSeen, entry: WorkloadSeen | None, now_s: float) -> ScalingState:
    elapsed_s = 0.0 if state.looked_at_s is None else max(0.0, now_s - state.looked_at_s)
    own, through = state.own, state.entry
    if entry is not None and seen.offered_rps is not None and entry.offered_rps is not None:
        measurable = not seen.saturated and not entry.saturated and entry.offered_rps >= LEAST_VISITS_RPS
        if measurable:
            keep = 0.5 ** (elapsed_s / VISITS_HALF_LIFE_S)
            own, through = own * keep + seen.offered_rps, through * keep + entry.offered_rps
    return ScalingState(floors.looked(state.floor, seen, elapsed_s, now_s), own, through, state.measured_rps, now_s)


def source_of(
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


def subject_of(
    seen: WorkloadSeen,
    policy: WorkloadPolicy,
    state: ScalingState,
    capacity: Capacity,
    lead_s: float,
    source: tuple[int, float, float],
    missing: int,
) -> Subject:
    row, factor, current_rps = source
    measured_rps = (*state.measured_rps[1 - RECENT_LOOKS :], current_rps)
    state = ScalingState(state.floor, state.own, state.entry, measured_rps, state.looked_at_s)
    return Subject(seen, policy, state, capacity, lead_s, row, factor, missing)


def recent(measured_rps: tuple[float, ...], ahead_s: float) -> tuple[float, float]:
    """(mean of the last two looks, what it grows by in `ahead_s` if it goes on as it did since the two before)."""
    recent_rps = sum(measured_rps[-2:]) / len(measured_rps[-2:])
    if len(measured_rps) < RECENT_LOOKS:
        return recent_rps, 0.0
    earlier_rps = 0.5 * (measured_rps[0] + measured_rps[1])
    # The two means lie two ticks apart, and the newer one half a tick back.
    return recent_rps, (recent_rps - earlier_rps) / (2.0 * TICK_S) * (ahead_s + 0.5 * TICK_S)


def missing_pods(seen: WorkloadSeen, leaving: int, lead_s: float, now_s: float) -> int:
    """Pods of the ReplicaSet that serve nothing: drained or about to be, or not Ready long after their start.

    Those of a dead node count until they are evicted, minutes later: only a higher floor brings others in their place.
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


def busy_need(seen: WorkloadSeen) -> int:
    """One step above what serves, where pods reject work and are out of CPU: whatever was learned was too high."""
    limit_cores = seen.cpu_limit_cores or seen.cpu_request_cores
    if not seen.saturated or limit_cores is None:
        return 0
    used = [pod.cpu_cores for pod in seen.endpoints if pod.cpu_cores is not None]
    if not used or sum(used) < BUSY_UTILIZATION * limit_cores * len(used):
        return 0
    return len(used) + max(1, math.ceil(BUSY_STEP_RATIO * len(used)))
