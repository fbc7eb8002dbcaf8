"""Zone shift: a whole zone out of rotation, by evidence, with an expiry, and only if the others can carry the load.

Off unless a policy's highest rung asks for it. A primary that lives in the zone is switched over first: the caller is
told of such zones and the shift waits.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from forecasting.forecast import Forecast
from policies.decision import Proposal, Reason, ReasonCode, RestoreZone, ShiftZone
from policies.ladder import allows
from policies.model import Observation, PodSeen, PolicySet, Rung, WorkloadPolicy, WorkloadSeen

AILING_ERRORS = 0.20
LEAST_RATE_RPS = 0.5
SICK_ZONE_RATIO = 0.60  # of its pods ail …
LEAST_PODS = 3  # … and so many, of
LEAST_WORKLOADS = 2  # … so many workloads, so that it is the zone and not one of them
FINE_ELSEWHERE_RATIO = 0.20
CONFIRM_S = 30.0  # two more looks
LEFT_S = CONFIRM_S + 45.0  # … and a primary's switchover
HEALTHY_S = 120.0
CAPACITY_AHEAD_S = 600.0  # the remaining zones must carry the p90 for as long as the shift lasts
CAPACITY_LEVEL = 0.90
SETTLE_S = 45.0


@dataclass(frozen=True, slots=True)
class StandingShift:
    """A zone that was asked out of rotation."""

    workloads: tuple[str, ...]
    asked_at_s: float
    expires_at_s: float
    by_nodes: bool  # its nodes were down, so their return shows that it is well again
    healthy_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class ZoneShiftMemory:
    standing: Mapping[str, StandingShift] = field(default_factory=dict)  # by zone
    suspected_since_s: Mapping[str, float] = field(default_factory=dict)  # by zone


@dataclass(frozen=True, slots=True)
class Shifts:
    """What to do about zones, and the zones whose primaries have to go first."""

    proposals: tuple[Proposal, ...]
    reasons: Mapping[str, tuple[Reason, ...]]
    waiting_for_primary: frozenset[str]
    memory: ZoneShiftMemory


@dataclass(frozen=True, slots=True)
class _Zone:
    name: str
    ailing: int
    pods: int
    workloads: int  # with an ailing pod in it
    nodes_down: int

    @property
    def ratio(self) -> float:
        return self.ailing / self.pods if self.pods else 0.0


def propose(
    seen: Observation,
    at_risk: Set[str],
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    policies: PolicySet,
    memory: ZoneShiftMemory,
    now_s: float,
) -> Shifts:
    """Zones to shift and to restore. `at_risk` are pods (`workload/pod`) that a signal is forecast to fell in time."""
    allowed = [policy for policy in policies.workloads.values() if policy.stateless and allows(Rung.SHIFT_ZONE, policy)]
    if not allowed and not memory.standing:
        return Shifts((), {}, frozenset(), memory)
    proposals: list[Proposal] = []
    reasons: dict[str, tuple[Reason, ...]] = {}
    standing: dict[str, StandingShift] = {}
    for zone, shift in memory.standing.items():
        proposal, kept = _restore(zone, shift, seen, now_s)
        if proposal is not None:
            proposals.append(proposal)
        if kept is not None:
            standing[zone] = kept
    sick = _sick_zone(_zones(seen, at_risk, policies))
    since = {} if sick is None else {sick.name: memory.suspected_since_s.get(sick.name, now_s)}
    waiting: set[str] = set()
    if sick is not None and not standing and now_s - since[sick.name] >= CONFIRM_S:
        shifted = _shift(sick, seen, demand, capacity_rps, allowed, now_s)
        if isinstance(shifted, Reason):
            reasons.update({policy.workload: (shifted,) for policy in allowed})
        elif _holds_primary(seen, sick.name):
            waiting.add(sick.name)
        elif shifted is not None:
            first = shifted.workloads[0]
            reasons[first] = (_reason(sick),)
            # Sick here and fine elsewhere: the doubt left is that of the share itself.
            confidence = min(0.99, 0.5 + 0.5 * sick.ratio)
            proposals.append(Proposal(first, Rung.SHIFT_ZONE, shifted, confidence, reasons[first], disruptive=True))
            by_nodes = sick.nodes_down > 0
            standing[sick.name] = StandingShift(shifted.workloads, now_s, shifted.expires_at_s, by_nodes)
    return Shifts(tuple(proposals), reasons, frozenset(waiting), ZoneShiftMemory(standing, since))


def left_alone(memory: ZoneShiftMemory, now_s: float) -> frozenset[str]:
    """Zones that look sick and are being decided upon. Treating their pods one by one would be slower, and would take
    the evidence away; longer than a shift can take they are not waited for."""
    return frozenset(zone for zone, since_s in memory.suspected_since_s.items() if now_s - since_s <= LEFT_S)


def _zones(seen: Observation, at_risk: Set[str], policies: PolicySet) -> list[_Zone]:
    down = {node.name for node in seen.nodes if node.ready is False}
    ailing: dict[str, int] = {}
    pods: dict[str, int] = {}
    workloads: dict[str, set[str]] = {}
    for workload in seen.workloads:
        policy = policies.workloads.get(workload.name)
        if policy is None or not policy.stateless:
            continue
        for pod in workload.pods:
            if pod.zone is None or pod.deleting:
                continue
            pods[pod.zone] = pods.get(pod.zone, 0) + 1
            if f"{workload.name}/{pod.name}" in at_risk or _ails(pod, policy, down):
                ailing[pod.zone] = ailing.get(pod.zone, 0) + 1
                workloads.setdefault(pod.zone, set()).add(workload.name)
    nodes_down: dict[str, int] = {}
    for node in seen.nodes:
        nodes_down[node.zone] = nodes_down.get(node.zone, 0) + (node.ready is False)
    return [
        _Zone(zone, ailing.get(zone, 0), count, len(workloads.get(zone, ())), nodes_down.get(zone, 0))
        for zone, count in sorted(pods.items())
    ]


def _ails(pod: PodSeen, policy: WorkloadPolicy, down: Set[str]) -> bool:
    if pod.node in down:
        return True
    if (pod.rate_rps or 0.0) < LEAST_RATE_RPS:
        return False
    slow = pod.latency_mean_s is not None and pod.latency_mean_s >= policy.slo_latency_s
    return slow or (pod.error_ratio is not None and pod.error_ratio >= AILING_ERRORS)


def _sick_zone(zones: Sequence[_Zone]) -> _Zone | None:
    """The one zone that ails while all others are fine. When several ail it is not the zone."""
    sick = [
        zone
        for zone in zones
        if zone.ratio >= SICK_ZONE_RATIO and zone.ailing >= LEAST_PODS and zone.workloads >= LEAST_WORKLOADS
    ]
    if len(sick) != 1 or len(zones) < 2:
        return None
    others = [zone for zone in zones if zone is not sick[0]]
    ailing, pods = sum(zone.ailing for zone in others), sum(zone.pods for zone in others)
    return sick[0] if ailing <= FINE_ELSEWHERE_RATIO * pods else None


def _shift(
    zone: _Zone,
    seen: Observation,
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    allowed: Sequence[WorkloadPolicy],
    now_s: float,
) -> ShiftZone | Reason | None:
    """The shift, or why the remaining zones cannot be trusted with the load; None when nobody lives there."""
    workloads = {workload.name: workload for workload in seen.workloads}
    leaving: list[str] = []
    ttl_s = min(policy.healing.act_ttl_s for policy in allowed)
    for policy in allowed:
        workload = workloads.get(policy.workload)
        if workload is None or all(pod.zone != zone.name for pod in workload.endpoints):
            continue
        objection = _too_small(zone.name, workload, demand, capacity_rps, now_s)
        if objection is not None:
            return objection
        leaving.append(policy.workload)
    if not leaving:
        return None
    return ShiftZone(zone.name, tuple(leaving), now_s + ttl_s)


def _reason(zone: _Zone) -> Reason:
    ailing, pods, nodes_down = float(zone.ailing), float(zone.pods), float(zone.nodes_down)
    return Reason(ReasonCode.ZONE_DOWN, {"zone": zone.name, "ailing": ailing, "pods": pods, "nodes_down": nodes_down})


def _too_small(
    zone: str, workload: WorkloadSeen, demand: Forecast | None, capacity_rps: Mapping[str, float], now_s: float
) -> Reason | None:
    """Why the zones that remain may not carry a workload's p90. Not knowing is a reason."""
    row = None if demand is None else demand.row(workload.name)
    per_pod = capacity_rps.get(workload.name)
    if demand is None or row is None or per_pod is None:
        return Reason(ReasonCode.NO_FORECAST, {"zone": zone, "workload": workload.name})
    near = demand.times_s <= now_s + CAPACITY_AHEAD_S
    needed_rps = float(demand.quantile(CAPACITY_LEVEL)[row, near].max())
    carried_rps = per_pod * sum(1 for pod in workload.endpoints if pod.zone != zone)
    if carried_rps >= needed_rps and carried_rps > 0.0:
        return None
    return Reason(
        ReasonCode.REMAINING_ZONES_TOO_SMALL,
        {"zone": zone, "workload": workload.name, "demand_rps": needed_rps, "capacity_rps": carried_rps},
    )


def _holds_primary(seen: Observation, zone: str) -> bool:
    primaries = [database.primary for database in seen.databases]
    return any(primary is not None and primary.zone == zone and primary.healthy is not False for primary in primaries)


def _restore(
    zone: str, shift: StandingShift, seen: Observation, now_s: float
) -> tuple[Proposal | None, StandingShift | None]:
    """Back early when the nodes that were down are up for a while; else the shift ends by its expiry."""
    if now_s >= shift.expires_at_s:
        return None, None
    off = any(
        pod.zone == zone and not pod.traffic_on
        for workload in seen.workloads
        if workload.name in shift.workloads
        for pod in workload.pods
    )
    if not off and now_s - shift.asked_at_s >= SETTLE_S:
        return None, None  # it never happened, or somebody took it back
    nodes = [node for node in seen.nodes if node.zone == zone]
    well = shift.by_nodes and bool(nodes) and all(node.ready is True for node in nodes)
    since_s = (shift.healthy_since_s if shift.healthy_since_s is not None else now_s) if well else None
    if since_s is None or now_s - since_s < HEALTHY_S:
        return None, replace(shift, healthy_since_s=since_s)
    recovered = (Reason(ReasonCode.RECOVERED, {"zone": zone, "seconds": now_s - since_s}),)
    action = RestoreZone(zone, shift.workloads)
    undo = Proposal(shift.workloads[0], Rung.SHIFT_ZONE, action, 1.0, recovered, disruptive=False)
    return undo, replace(shift, healthy_since_s=since_s)
