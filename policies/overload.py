"""A gateway that fails requests now, while pods behind it are busy: dimmed at once, lifted in steps once it is calm."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from policies.decision import Proposal, Reason, ReasonCode, SetBrownout
from policies.evidence import LONGEST_GAP_S
from policies.ladder import allows
from policies.model import FastSeen, PodSeen, PolicySet, Rung, WorkloadSeen

BUSY_UTILIZATION = 0.85  # of the CPU limit: a pod this busy that does not answer is overloaded, not dead
OVERLOADED_FAILED_RATIO = 0.05
CALM_FAILED_RATIO = 0.01
OVERLOADED_IN_ROW = 2
CALM_IN_ROW = 10
FIRST_CEILING = 0.5
LIFT_STEP = 0.25
HARDER_AFTER_S = 5.0
RENEW_S = 30.0
CONFIDENCE = 0.90


@dataclass(frozen=True, slots=True)
class FastCeiling:
    """A brownout ceiling that the fast lane asked for."""

    ceiling: float
    changed_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class OverloadMemory:
    """Counters are seconds in a row."""

    overloaded_in_row: int = 0
    calm_in_row: int = 0
    ceilings: Mapping[str, FastCeiling] = field(default_factory=dict)  # by workload


def propose(
    seen: FastSeen, policies: PolicySet, memory: OverloadMemory, gap_s: float | None, now_s: float
) -> tuple[list[Proposal], OverloadMemory]:
    """Ceilings for gateways that fail requests while pods behind them are busy, lifted in steps once it is calm."""
    failed = seen.gateway_failed_ratio
    if failed is None or (seen.gateway_rate_rps or 0.0) <= 0.0:
        return [], replace(memory, overloaded_in_row=0, calm_in_row=0)
    steady = gap_s is not None and gap_s <= LONGEST_GAP_S
    overloaded = (memory.overloaded_in_row if steady else 0) + 1 if failed >= OVERLOADED_FAILED_RATIO else 0
    calm = (memory.calm_in_row if steady else 0) + 1 if failed <= CALM_FAILED_RATIO else 0
    ceilings = {name: ceiling for name, ceiling in memory.ceilings.items() if now_s < ceiling.expires_at_s}
    proposals: list[Proposal] = []
    for name, policy in policies.workloads.items():
        if not policy.brownout.enabled or not allows(Rung.REWEIGHT, policy):
            continue
        before = ceilings.get(name)
        wanted = _ceiling(seen, policies, name, policy.brownout.lowest_ceiling, before, overloaded, calm, now_s)
        if wanted is None:
            continue
        lowered = wanted < 1.0 and (before is None or wanted <= before.ceiling)
        facts: dict[str, float | str] = {"failed_ratio": failed, "rate_rps": seen.gateway_rate_rps or 0.0}
        reason = Reason(ReasonCode.FAILURE_PRESENT if lowered else ReasonCode.RECOVERED, facts)
        expires_at_s = now_s + policy.brownout.ttl_s
        action = SetBrownout(name, wanted, expires_at_s)
        confidence = CONFIDENCE if lowered else 1.0
        proposals.append(
            Proposal(name, Rung.REWEIGHT, action, confidence, (reason,), disruptive=wanted < 1.0, fast=True)
        )
        ceilings.pop(name, None)
        if wanted < 1.0:
            ceilings[name] = FastCeiling(wanted, now_s, expires_at_s)
    return proposals, replace(memory, overloaded_in_row=overloaded, calm_in_row=calm, ceilings=ceilings)


def _ceiling(
    seen: FastSeen,
    policies: PolicySet,
    name: str,
    lowest: float,
    before: FastCeiling | None,
    overloaded: int,
    calm: int,
    now_s: float,
) -> float | None:
    """The ceiling to write now, None where nothing changes."""
    if before is None:
        busy = overloaded >= OVERLOADED_IN_ROW and _works_hard(seen, policies, name)
        return max(lowest, FIRST_CEILING) if busy else None
    since_s = now_s - before.changed_at_s
    if overloaded >= OVERLOADED_IN_ROW:
        if before.ceiling > lowest and since_s >= HARDER_AFTER_S:
            return lowest
        return before.ceiling if before.expires_at_s - now_s <= RENEW_S else None
    if calm >= CALM_IN_ROW and since_s >= CALM_IN_ROW:
        return min(1.0, before.ceiling + LIFT_STEP)
    return None


def _works_hard(seen: FastSeen, policies: PolicySet, gateway: str) -> bool:
    """Whether the gateway or anything behind it is busy or saturated: dimming mends overload, not failures."""
    behind = [name for name, policy in policies.workloads.items() if name == gateway or policy.entry == gateway]
    workloads = [seen.workloads[name] for name in behind if name in seen.workloads]
    return any(
        workload.saturated or any(is_busy(workload, pod) for pod in workload.endpoints) for workload in workloads
    )


def is_busy(workload: WorkloadSeen, pod: PodSeen) -> bool:
    limit = workload.cpu_limit_cores
    return limit is not None and pod.cpu_cores is not None and pod.cpu_cores >= BUSY_UTILIZATION * limit
