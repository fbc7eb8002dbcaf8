"""Database switchover before the primary fails, and the zone shift that has to come after it.

Only ever a planned switchover, to a healthy synchronous member: a primary that is already dead is Patroni's business.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace

from forecasting.forecast import Forecast
from policies import growth, risk, zone_shift
from policies.decision import Proposal, Reason, ReasonCode, SwitchOver
from policies.ladder import allows
from policies.model import (
    DatabaseSeen,
    MemberSeen,
    NodeSeen,
    Observation,
    PolicySet,
    Rung,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
)
from policies.risk import Curve
from policies.zone_shift import ZoneShiftMemory

#: Signals of a primary that another member cures. A full connection pool is its clients' and would move along.
PRIMARY_KINDS = frozenset({SignalKind.MEMORY, SignalKind.DISK, SignalKind.LATENCY, SignalKind.ERRORS})
MOST_LAG_S = 5.0  # a synchronous member should have none; more says that the list is out of date
ONE_PER_S = 3600.0
ATTEMPTS = 3  # within that hour: requests that were refused or came to nothing
RETRY_S = 30.0
CONFIRM_S = 55.0  # seen in two forecasts, which are a minute apart
CONFIRM_NODE_S = 15.0
SWITCHING_TAKES_S = 30.0
NODE_DOWN_CONFIDENCE = 0.90  # its condition says so, while Patroni still sees the member: it will not for long
ZONE_CONFIDENCE = 0.90


@dataclass(frozen=True, slots=True)
class Asked:
    """Switchovers asked of one database within the hour."""

    leader: str  # who led then: as long as it still leads, nothing has come of it
    first_at_s: float
    last_at_s: float
    attempts: int


@dataclass(frozen=True, slots=True)
class FailoverMemory:
    """Keyed by database."""

    asked: Mapping[str, Asked] = field(default_factory=dict)
    at_risk_since_s: Mapping[str, float] = field(default_factory=dict)
    zones: ZoneShiftMemory = field(default_factory=ZoneShiftMemory)


@dataclass(frozen=True, slots=True)
class _Danger:
    """Why a primary should go."""

    confidence: float
    wait_s: float  # how long it has to last before it is believed
    reason: Reason


def propose(
    seen: Observation,
    signals: Forecast | None,
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    policies: PolicySet,
    memory: FailoverMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], FailoverMemory]:
    """Switchovers and zone shifts, and their undo. `capacity_rps` is what one pod carries within SLO."""
    at_risk = _pods_at_risk(seen, signals, policies, now_s)
    zones = zone_shift.propose(seen, at_risk, demand, capacity_rps, policies, memory.zones, now_s)
    proposals = list(zones.proposals)
    reasons = dict(zones.reasons)
    asked = {name: last for name, last in memory.asked.items() if now_s - last.first_at_s < ONE_PER_S}
    since: dict[str, float] = {}
    for database in seen.databases:
        policy = policies.workloads.get(database.workload)
        if policy is None:
            continue
        curves = _curves(seen, signals, database, now_s)
        danger = _danger(database, policy, curves, seen.nodes, zones.waiting_for_primary, now_s)
        if danger is None:
            if database.primary is None or database.primary.healthy is False:
                down = Reason(ReasonCode.FAILURE_PRESENT, {"database": database.name, "left_to": "Patroni"})
                reasons[database.workload] = (*reasons.get(database.workload, ()), down)
            continue
        since[database.name] = memory.at_risk_since_s.get(database.name, now_s)
        if now_s - since[database.name] < danger.wait_s:
            held: Proposal | Reason | None = None
        else:
            held = _switch(
                database, policy, danger, curves, seen.nodes, zones.waiting_for_primary, asked.get(database.name), now_s
            )
        said = (danger.reason, held) if isinstance(held, Reason) else (danger.reason,)
        reasons[database.workload] = (*reasons.get(database.workload, ()), *said)
        if isinstance(held, Proposal) and database.primary is not None:
            proposals.append(held)
            last = asked.get(database.name) or Asked(database.primary.name, now_s, now_s, 0)
            asked[database.name] = replace(last, last_at_s=now_s, attempts=last.attempts + 1)
    return tuple(proposals), reasons, FailoverMemory(asked, since, zones.memory)


def _pods_at_risk(seen: Observation, signals: Forecast | None, policies: PolicySet, now_s: float) -> Set[str]:
    """Pods (`workload/pod`) whose growing signals hit before help could come; only where a zone may be shifted."""
    shiftable = {
        name for name, policy in policies.workloads.items() if policy.stateless and allows(Rung.SHIFT_ZONE, policy)
    }
    if not shiftable:
        return frozenset()
    found: set[str] = set()
    wanted = risk.curves(
        seen, signals, now_s, lambda target: target.kind in growth.KINDS and target.workload in shiftable
    )
    for curve in wanted.values():
        policy = policies.workloads[curve.target.workload]
        deadline_s = now_s + policy.scaling.lead_time_prior_s + policy.healing.margin_s
        if curve.by(deadline_s) >= policy.healing.act_probability:
            found.add(f"{curve.target.workload}/{curve.target.member}")
    return found


def _curves(seen: Observation, signals: Forecast | None, database: DatabaseSeen, now_s: float) -> list[Curve]:
    def is_ours(target: SignalTarget) -> bool:
        return target.workload == database.workload and target.kind in PRIMARY_KINDS

    return list(risk.curves(seen, signals, now_s, is_ours).values())


def _probability(member: MemberSeen, policy: WorkloadPolicy, curves: Sequence[Curve], now_s: float) -> float:
    deadline_s = now_s + policy.healing.margin_s + CONFIRM_S + SWITCHING_TAKES_S
    return max((curve.by(deadline_s) for curve in curves if curve.target.member == member.name), default=0.0)


def _danger(
    database: DatabaseSeen,
    policy: WorkloadPolicy,
    curves: Sequence[Curve],
    nodes: Sequence[NodeSeen],
    leaving_zones: Set[str],
    now_s: float,
) -> _Danger | None:
    """What threatens a primary that still works, None when nothing does or there is none to save."""
    primary = database.primary
    if primary is None or primary.healthy is not True:
        return None
    facts: dict[str, float | str] = {"database": database.name, "primary": primary.name}
    if primary.zone in leaving_zones:
        reason = Reason(ReasonCode.PRIMARY_AT_RISK, {**facts, "zone": primary.zone or "unknown"})
        return _Danger(ZONE_CONFIDENCE, 0.0, reason)
    if any(node.name == primary.node and node.ready is False for node in nodes):
        reason = Reason(ReasonCode.PRIMARY_AT_RISK, {**facts, "node": primary.node or "unknown"})
        return _Danger(NODE_DOWN_CONFIDENCE, CONFIRM_NODE_S, reason)
    probability = _probability(primary, policy, curves, now_s)
    if probability < policy.healing.act_probability:
        return None
    soonest = min((curve for curve in curves if curve.target.member == primary.name), key=lambda curve: curve.median_s)
    reason = Reason(ReasonCode.PRIMARY_AT_RISK, {**facts, **soonest.facts, "probability": probability})
    return _Danger(probability, CONFIRM_S, reason)


def _switch(
    database: DatabaseSeen,
    policy: WorkloadPolicy,
    danger: _Danger,
    curves: Sequence[Curve],
    nodes: Sequence[NodeSeen],
    leaving_zones: Set[str],
    asked: Asked | None,
    now_s: float,
) -> Proposal | Reason | None:
    """The switchover, why it may not be, or None while one is under way."""
    primary = database.primary
    if primary is None or database.switching:
        return None
    if asked is not None:
        if asked.leader == primary.name and now_s - asked.last_at_s < RETRY_S:
            return None
        if asked.leader != primary.name or asked.attempts >= ATTEMPTS:
            left_s = asked.first_at_s + ONE_PER_S - now_s
            return Reason(ReasonCode.COOLDOWN, {"left_s": left_s, "attempts": float(asked.attempts)})
    if database.long_transaction:
        return Reason(ReasonCode.NO_CANDIDATE, {"database": database.name, "why": "a long transaction runs"})
    unfit = {node.name for node in nodes if node.ready is False or node.cordoned}
    fit = [
        member
        for member in database.standbys
        if member.synchronous
        and member.healthy is True
        and member.lag_s is not None
        and member.lag_s <= MOST_LAG_S
        and member.node not in unfit
        and member.zone not in leaving_zones
        and _probability(member, policy, curves, now_s) < policy.healing.release_probability
    ]
    if not fit:
        why = "no healthy synchronous member without lag"
        return Reason(ReasonCode.NO_CANDIDATE, {"database": database.name, "why": why})
    best = min(fit, key=lambda member: (member.lag_s or 0.0, member.name))
    action = SwitchOver(database.name, database.workload, primary.name, best.name)
    return Proposal(database.workload, Rung.SWITCH_OVER, action, danger.confidence, (danger.reason,), disruptive=True)
