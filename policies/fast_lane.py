"""The fast reactive lane: once a second, no forecast, only positive evidence.

Dead pods leave rotation two seconds after their probes begin to fail, instead of the 50 s after which Kubernetes gives
a node up, and come back when they answer. A dead zone is shifted where policies allow that. A gateway that fails
requests while its pods are busy is dimmed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from forecasting.forecast import Forecast
from policies import evidence, overload, surge
from policies.decision import Proposal, Reason, ReasonCode, RestoreZone, SetTraffic, ShiftZone
from policies.evidence import Dead
from policies.ladder import allows
from policies.model import FastSeen, Observation, PodSeen, PolicySet, ProbeSeen, Rung
from policies.overload import Load, OverloadMemory
from policies.surge import Means, SurgeMemory

DRAIN_TTL_S = 120.0
RENEW_S = 30.0
ASK_S = 5.0  # a label not seen after that is asked for again
OK_IN_ROW = 3  # seconds of answers before a pod gets traffic again
SHIFT_TTL_S = 600.0
ZONE_OK_IN_ROW = 30

CODES = {"pod": ReasonCode.PROBES_FAILED, "node": ReasonCode.NODE_DOWN, "zone": ReasonCode.ZONE_DOWN}
CONFIDENCE = {"pod": 0.90, "node": 0.97, "zone": 0.99}  # the more fails together, the fewer other explanations


@dataclass(frozen=True, slots=True)
class FastDrain:
    """A pod this lane took out of rotation."""

    workload: str
    pod: str
    asked_at_s: float
    expires_at_s: float
    cause: str  # "pod", "node" or "zone"
    ok_in_row: int = 0
    off_seen: bool = False


@dataclass(frozen=True, slots=True)
class FastShift:
    """A zone this lane took out of rotation."""

    workloads: tuple[str, ...]
    expires_at_s: float
    ok_in_row: int = 0


@dataclass(frozen=True, slots=True)
class FastLaneMemory:
    """Counters are seconds in a row; pods are keyed `workload/pod`."""

    failed_in_row: Mapping[str, int] = field(default_factory=dict)
    last_at_s: float | None = None
    drains: Mapping[str, FastDrain] = field(default_factory=dict)
    shifts: Mapping[str, FastShift] = field(default_factory=dict)  # by zone
    overload: OverloadMemory = field(default_factory=OverloadMemory)
    load: Load = field(default_factory=Load)  # as of the last full look
    planned_rps: Mapping[str, float] = field(default_factory=dict)  # demand at each gateway that floors are made for
    surprised: tuple[str, ...] = ()  # workloads whose newest points their forecasts had called unlikely
    surge: SurgeMemory = field(default_factory=SurgeMemory)


def leaving(memory: FastLaneMemory) -> Mapping[str, int]:
    """Dead pods per workload that their ReplicaSet still counts: the floor is raised by them."""
    counts: dict[str, int] = {}
    for drain in memory.drains.values():
        counts[drain.workload] = counts.get(drain.workload, 0) + 1
    return counts


def informed(memory: FastLaneMemory, seen: Observation, demand: Forecast | None, policies: PolicySet) -> FastLaneMemory:
    """The memory after a full look, whose figures tell overloaded pods from dead ones and news from what is planned."""
    load = overload.measured(seen, policies)
    planned_rps = surge.planned_for(load.entries_rps, demand, seen.now_s)
    return replace(memory, load=load, planned_rps=planned_rps, surprised=surge.surprised(demand))


def propose(
    seen: FastSeen, policies: PolicySet, means: Means, memory: FastLaneMemory, now_s: float
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], FastLaneMemory]:
    """Dead pods out and back, a dead zone shifted and restored, floors raised for a surge, a gateway dimmed."""
    gap_s = None if memory.last_at_s is None else now_s - memory.last_at_s
    testimony = evidence.hear(seen)
    verdicts = testimony.verdicts
    failed_in_row = evidence.counted(memory.failed_in_row, verdicts, gap_s)
    dead = evidence.dead(seen, testimony, failed_in_row)
    shifted, shifts = _shifts(seen, policies, dead, verdicts, memory, now_s)
    drained, drains = _drains(seen, policies, dead, verdicts, shifts, memory, now_s)
    surging = surge.noticed(seen, memory.planned_rps, memory.surge, now_s, memory.surprised)
    raised, surging = surge.propose(seen, policies, means, surging, now_s)
    overruns = surge.overruns(seen, policies, means, surging)
    dimmed, dimming = overload.propose(seen, policies, memory.overload, memory.load, overruns, gap_s, now_s)
    proposals = (*shifted, *drained, *raised, *dimmed)
    reasons: dict[str, tuple[Reason, ...]] = {}
    for proposal in proposals:
        reasons[proposal.workload] = (*reasons.get(proposal.workload, ()), *proposal.reasons)
    return (
        proposals,
        reasons,
        replace(
            memory,
            failed_in_row=failed_in_row,
            last_at_s=now_s,
            drains=drains,
            shifts=shifts,
            overload=dimming,
            surge=surging,
        ),
    )


def _drains(
    seen: FastSeen,
    policies: PolicySet,
    dead: Dead,
    verdicts: Mapping[str, bool | None],
    shifts: Mapping[str, FastShift],
    memory: FastLaneMemory,
    now_s: float,
) -> tuple[list[Proposal], dict[str, FastDrain]]:
    proposals: list[Proposal] = []
    standing: dict[str, FastDrain] = {}
    for name, drain in memory.drains.items():
        pod = _pod(seen, drain.workload, drain.pod)
        proposal, kept = _tend(drain, pod, verdicts.get(name), now_s)
        if proposal is not None:
            proposals.append(proposal)
        if kept is not None:
            standing[name] = kept
    for probe in seen.probes if dead.pods else ():
        name = evidence.key(probe)
        cause = dead.pods.get(name)
        pod = _pod(seen, probe.workload, probe.pod)
        if (
            cause is None
            or pod is None
            or name in standing
            or not _may_leave(seen, policies, probe, pod, cause, memory.load, now_s)
        ):
            continue
        if any(probe.workload in shift.workloads for zone, shift in shifts.items() if zone == probe.zone):
            continue
        drain = FastDrain(probe.workload, probe.pod, now_s, now_s + DRAIN_TTL_S, cause)
        standing[name] = drain
        proposals.append(_off(drain, probe))
    return proposals, standing


def _may_leave(
    seen: FastSeen, policies: PolicySet, probe: ProbeSeen, pod: PodSeen, cause: str, load: Load, now_s: float
) -> bool:
    """Whether a dead pod is an endpoint that may be taken out. Stores never.

    A pod too busy to answer looks dead, and taking it out would bury its peers: a single pod goes only while its
    workload is known to have CPU to spare and demand has not jumped since that was measured.
    """
    policy = policies.workloads.get(probe.workload)
    if policy is None or not policy.stateless or not allows(Rung.DRAIN, policy):
        return False
    if not (pod.ready and pod.traffic_on):
        return False
    return cause != "pod" or overload.is_relaxed(probe.workload, seen, load, now_s)


def _tend(
    drain: FastDrain, pod: PodSeen | None, ok: bool | None, now_s: float
) -> tuple[Proposal | None, FastDrain | None]:
    """One drained pod: back when it answers, renewed while it does not, forgotten when it is gone."""
    if pod is None or pod.deleting:
        return None, None
    if pod.traffic_on:
        waiting = not drain.off_seen and now_s - drain.asked_at_s < ASK_S
        return None, drain if waiting else None
    drain = replace(drain, off_seen=True, ok_in_row=0 if ok is False else drain.ok_in_row + (1 if ok else 0))
    if drain.ok_in_row >= OK_IN_ROW and pod.ready:
        recovered = (Reason(ReasonCode.RECOVERED, {"pod": drain.pod, "seconds": float(drain.ok_in_row)}),)
        action = SetTraffic(drain.workload, drain.pod, on=True)
        return Proposal(drain.workload, Rung.DRAIN, action, 1.0, recovered, disruptive=False, fast=True), drain
    if ok is False and drain.expires_at_s - now_s <= RENEW_S:
        renewed = replace(drain, expires_at_s=now_s + DRAIN_TTL_S)
        return _off(renewed, None), renewed
    return None, drain


def _off(drain: FastDrain, probe: ProbeSeen | None) -> Proposal:
    facts: dict[str, float | str] = {"pod": drain.pod}
    if probe is not None:
        failed = sum(1 for ok in probe.ok_by_vantage.values() if ok is False)
        facts |= {"node": probe.node or "unknown", "zone": probe.zone or "unknown", "vantage_points": float(failed)}
    return Proposal(
        drain.workload,
        Rung.DRAIN,
        SetTraffic(drain.workload, drain.pod, on=False, expires_at_s=drain.expires_at_s),
        CONFIDENCE[drain.cause],
        (Reason(CODES[drain.cause], facts),),
        disruptive=True,
        fast=True,
    )


def _shifts(
    seen: FastSeen,
    policies: PolicySet,
    dead: Dead,
    verdicts: Mapping[str, bool | None],
    memory: FastLaneMemory,
    now_s: float,
) -> tuple[list[Proposal], dict[str, FastShift]]:
    """Dead zones out of rotation for the workloads that asked for it, and back once nearly everything answers."""
    proposals: list[Proposal] = []
    standing: dict[str, FastShift] = {}
    for zone, shift in memory.shifts.items():
        if now_s >= shift.expires_at_s:
            continue
        shift = replace(shift, ok_in_row=shift.ok_in_row + 1 if _zone_answers(seen, verdicts, zone) else 0)
        if shift.ok_in_row >= ZONE_OK_IN_ROW:
            recovered = (Reason(ReasonCode.RECOVERED, {"zone": zone, "seconds": float(shift.ok_in_row)}),)
            action = RestoreZone(zone, shift.workloads)
            proposals.append(_of_zone(shift.workloads[0], action, 1.0, recovered, disruptive=False))
            continue
        if zone in dead.zones and shift.expires_at_s - now_s <= RENEW_S:
            shift = replace(shift, expires_at_s=now_s + SHIFT_TTL_S)
            proposals.append(_shift(seen, zone, shift))
        standing[zone] = shift
    # One zone at a time: what is left of the cluster after two is no place to send everybody.
    for zone in sorted(dead.zones) if not standing else ():
        workloads = tuple(_shiftable(seen, policies, zone))
        if workloads and not _holds_primary(seen, zone):
            standing[zone] = FastShift(workloads, now_s + SHIFT_TTL_S)
            proposals.append(_shift(seen, zone, standing[zone]))
    return proposals, standing


def _shiftable(seen: FastSeen, policies: PolicySet, zone: str) -> Iterator[str]:
    for name, policy in policies.workloads.items():
        workload = seen.workloads.get(name)
        if workload is None or not policy.stateless or not allows(Rung.SHIFT_ZONE, policy):
            continue
        zones = {pod.zone for pod in workload.endpoints}
        if zone in zones and len(zones) > 1:
            yield name


def _holds_primary(seen: FastSeen, zone: str) -> bool:
    """A primary that works there must be switched over before its nodes are cordoned; a dead one Patroni handles."""
    primaries = [database.primary for database in seen.databases]
    return any(primary is not None and primary.zone == zone and primary.healthy for primary in primaries)


def _zone_answers(seen: FastSeen, verdicts: Mapping[str, bool | None], zone: str) -> bool:
    """Nearly all pods of the zone that were asked do; where none is left, all evicted, its nodes are Ready."""
    inside = [verdicts[evidence.key(probe)] for probe in seen.probes if probe.zone == zone]
    if not inside:
        nodes = [node.ready for node in seen.nodes if node.zone == zone]
        return bool(nodes) and all(nodes)
    known = [ok for ok in inside if ok is not None]
    return bool(known) and sum(known) >= evidence.WHOLE_ZONE_RATIO * len(known)


def _shift(seen: FastSeen, zone: str, shift: FastShift) -> Proposal:
    pods = sum(1 for probe in seen.probes if probe.zone == zone)
    down = (Reason(ReasonCode.ZONE_DOWN, {"zone": zone, "pods": float(pods)}),)
    action = ShiftZone(zone, shift.workloads, shift.expires_at_s)
    return _of_zone(shift.workloads[0], action, CONFIDENCE["zone"], down, disruptive=True)


def _of_zone(
    workload: str, action: ShiftZone | RestoreZone, confidence: float, reasons: tuple[Reason, ...], disruptive: bool
) -> Proposal:
    return Proposal(workload, Rung.SHIFT_ZONE, action, confidence, reasons, disruptive=disruptive, fast=True)


def _pod(seen: FastSeen, workload: str, pod: str) -> PodSeen | None:
    found = seen.workloads.get(workload)
    return None if found is None else next((candidate for candidate in found.pods if candidate.name == pod), None)
