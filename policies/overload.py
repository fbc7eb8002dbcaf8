"""A gateway asked for more than its pods carry, or failing while they are busy: dimmed at once, lifted in steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from policies import brownout
from policies.decision import Proposal, Reason, ReasonCode, SetBrownout
from policies.evidence import LONGEST_GAP_S
from policies.ladder import allows
from policies.model import BrownoutPolicy, FastSeen, Observation, PolicySet, Rung
from policies.surge import Overrun

BUSY_UTILIZATION = 0.85  # of the CPU limit
RELAXED_UTILIZATION = 0.60
SURGE_RATIO = 1.3  # of the demand of the last full look …
SURGE_DEVIATIONS = 3.0  # … and this far beyond the chance of one second
LOAD_STALE_S = 60.0
OVERLOADED_FAILED_RATIO = 0.05
CALM_FAILED_RATIO = 0.01
OVERLOADED_IN_ROW = 2
CALM_IN_ROW = 10
FIRST_CEILING = 0.5
LIFT_STEP = 0.25
HARDER_AFTER_S = 5.0
RENEW_S = 30.0
HELPS_WITHIN_S = 20.0
HELPED_RATIO = 0.5  # of the failures before, that are left where dimming helps
FUTILE_FOR_S = 300.0
CONFIDENCE = 0.90


@dataclass(frozen=True, slots=True)
class Load:
    """How hard things worked at the last full look."""

    at_s: float | None = None
    busy: tuple[str, ...] = ()  # workloads out of CPU, or rejecting
    relaxed: tuple[str, ...] = ()  # workloads with CPU to spare
    entries_rps: Mapping[str, float] = field(default_factory=dict)  # demand at each gateway

    @property
    def entry_rps(self) -> float | None:
        """Demand at the busiest gateway."""
        return max(self.entries_rps.values(), default=None)


@dataclass(frozen=True, slots=True)
class FastCeiling:
    """A brownout ceiling that the fast lane asked for."""

    ceiling: float
    changed_at_s: float
    expires_at_s: float
    began_at_s: float
    failed_ratio: float  # the worst while it was lowered


@dataclass(frozen=True, slots=True)
class OverloadMemory:
    """Counters are seconds in a row."""

    overloaded_in_row: int = 0
    calm_in_row: int = 0
    ceilings: Mapping[str, FastCeiling] = field(default_factory=dict)  # by workload
    futile_until_s: Mapping[str, float] = field(default_factory=dict)  # by workload


def measured(seen: Observation, policies: PolicySet) -> Load:
    """The load as of a full look. Workloads whose CPU is not known are neither busy nor relaxed."""
    busy: list[str] = []
    relaxed: list[str] = []
    entries_rps: dict[str, float] = {}
    for workload in seen.workloads:
        policy = policies.workloads.get(workload.name)
        if policy is None:
            continue
        if policy.entry is None and policy.stateless and workload.offered_rps is not None:
            entries_rps[workload.name] = workload.offered_rps
        limit_cores = workload.cpu_limit_cores
        used = [pod.cpu_cores for pod in workload.endpoints if pod.cpu_cores is not None]
        highest = max(used) / limit_cores if used and limit_cores else None
        if workload.saturated or (highest is not None and highest >= BUSY_UTILIZATION):
            busy.append(workload.name)
        elif highest is not None and highest <= RELAXED_UTILIZATION:
            relaxed.append(workload.name)
    age_s = seen.metrics_age_s
    at_s = None if age_s is None else seen.now_s - age_s
    return Load(at_s, tuple(busy), tuple(relaxed), entries_rps)


def is_relaxed(workload: str, seen: FastSeen, load: Load, now_s: float) -> bool:
    """Whether a workload is known to have had CPU to spare a moment ago, and demand has not jumped since."""
    return _is_fresh(load, now_s) and workload in load.relaxed and not _surges(seen, load)


def _is_fresh(load: Load, now_s: float) -> bool:
    return load.at_s is not None and now_s - load.at_s <= LOAD_STALE_S


def _surges(seen: FastSeen, load: Load) -> bool:
    if load.entry_rps is None or seen.gateway_rate_rps is None:
        return False
    chance_rps = SURGE_DEVIATIONS * math.sqrt(max(load.entry_rps, 1.0))
    return seen.gateway_rate_rps > max(SURGE_RATIO * load.entry_rps, load.entry_rps + chance_rps)


def propose(
    seen: FastSeen,
    policies: PolicySet,
    memory: OverloadMemory,
    load: Load,
    overruns: Mapping[str, Overrun],
    gap_s: float | None,
    now_s: float,
) -> tuple[list[Proposal], OverloadMemory]:
    """Ceilings for gateways that are asked for more than Ready pods carry, or fail while pods behind them are busy.

    They are lifted in steps once it is calm, and at once where dimming has not helped: then it is left for a while.
    """
    failed = seen.gateway_failed_ratio
    if failed is None or (seen.gateway_rate_rps or 0.0) <= 0.0:
        return [], replace(memory, overloaded_in_row=0, calm_in_row=0)
    steady = gap_s is not None and gap_s <= LONGEST_GAP_S
    overloaded = (memory.overloaded_in_row if steady else 0) + 1 if failed >= OVERLOADED_FAILED_RATIO else 0
    calm = (memory.calm_in_row if steady else 0) + 1 if failed <= CALM_FAILED_RATIO else 0
    ceilings = {name: ceiling for name, ceiling in memory.ceilings.items() if now_s < ceiling.expires_at_s}
    futile = {name: until_s for name, until_s in memory.futile_until_s.items() if now_s < until_s}
    proposals: list[Proposal] = []
    for name, policy in policies.workloads.items():
        if not policy.brownout.enabled or not allows(Rung.REWEIGHT, policy):
            continue
        stopped = brownout.is_stopped(policy, policies)
        if stopped:
            ceilings.pop(name, None)  # it is being lifted, and what is proposed now is only told
        overrun, before, lift = overruns.get(name), ceilings.get(name), False
        fits = _ceiling_that_fits(overrun, policy.brownout)
        if before is not None and overrun is None and _is_futile(before, failed, now_s):
            lift, futile[name] = True, now_s + FUTILE_FOR_S
            wanted: float | None = 1.0
        else:
            hard = before is not None or (name not in futile and _works_hard(seen, policies, load, name, now_s))
            wanted = _ceiling(before, policy.brownout.lowest_ceiling, fits, hard, overloaded, calm, now_s)
        if wanted is None:
            continue
        reason = _reason(before, wanted, fits, failed, seen.gateway_rate_rps or 0.0, overrun, lift, now_s)
        expires_at_s = now_s + policy.brownout.ttl_s
        action = SetBrownout(name, wanted, expires_at_s)
        lowered = wanted < 1.0 and (before is None or wanted <= before.ceiling)
        confidence = CONFIDENCE if lowered else 1.0
        proposals.append(
            Proposal(name, Rung.REWEIGHT, action, confidence, (reason,), disruptive=wanted < 1.0, fast=True)
        )
        ceilings.pop(name, None)
        if wanted < 1.0 and not stopped:
            began_at_s, failed_first = (now_s, failed) if before is None else (before.began_at_s, before.failed_ratio)
            changed_at_s = now_s if before is None or before.ceiling != wanted else before.changed_at_s
            ceilings[name] = FastCeiling(wanted, changed_at_s, expires_at_s, began_at_s, max(failed_first, failed))
    return proposals, OverloadMemory(overloaded, calm, ceilings, futile)


def _ceiling_that_fits(overrun: Overrun | None, policy: BrownoutPolicy) -> float:
    if overrun is None:
        return 1.0
    return brownout.ceiling_for(overrun.load_ratio, policy.optional_cost_ratio, policy.lowest_ceiling)


def _is_futile(before: FastCeiling, failed: float, now_s: float) -> bool:
    """Whether what dimming was to mend goes on as before: then CPU is not what is short."""
    if now_s - before.began_at_s < HELPS_WITHIN_S or before.failed_ratio < OVERLOADED_FAILED_RATIO:
        return False
    return failed >= max(OVERLOADED_FAILED_RATIO, HELPED_RATIO * before.failed_ratio)


def _ceiling(
    before: FastCeiling | None, lowest: float, fits: float, hard: bool, overloaded: int, calm: int, now_s: float
) -> float | None:
    """The ceiling to write now, None where nothing changes."""
    if before is None:
        if fits < 1.0:
            return fits
        return max(lowest, FIRST_CEILING) if hard and overloaded >= OVERLOADED_IN_ROW else None
    since_s = now_s - before.changed_at_s
    expiring = before.expires_at_s - now_s <= RENEW_S
    if fits < before.ceiling and since_s >= HARDER_AFTER_S:
        return fits
    if overloaded >= OVERLOADED_IN_ROW:
        if before.ceiling > lowest and since_s >= HARDER_AFTER_S:
            return lowest
        return before.ceiling if expiring else None
    lifted = min(fits, before.ceiling + LIFT_STEP)
    if calm >= CALM_IN_ROW and since_s >= CALM_IN_ROW and lifted > before.ceiling:
        return lifted
    return before.ceiling if fits < 1.0 and expiring else None


def _reason(
    before: FastCeiling | None,
    wanted: float,
    fits: float,
    failed: float,
    rate_rps: float,
    overrun: Overrun | None,
    futile: bool,
    now_s: float,
) -> Reason:
    if before is not None and wanted > before.ceiling:
        if futile:
            seconds = now_s - before.began_at_s
            return Reason(ReasonCode.BROWNOUT_FUTILE, {"failed_ratio": failed, "seconds": seconds})
        return Reason(ReasonCode.RECOVERED, {"failed_ratio": failed, "rate_rps": rate_rps})
    if overrun is None or fits >= 1.0:
        return Reason(ReasonCode.FAILURE_PRESENT, {"failed_ratio": failed, "rate_rps": rate_rps})
    facts: dict[str, float | str] = {
        "at": overrun.workload,
        "demand_rps": overrun.demand_rps,
        "capacity_rps": overrun.capacity_rps,
        "lead_s": overrun.lead_s,
    }
    return Reason(ReasonCode.CAPACITY_LATE, facts)


def _works_hard(seen: FastSeen, policies: PolicySet, load: Load, gateway: str, now_s: float) -> bool:
    """Whether demand has just jumped, or something is out of CPU: dimming mends overload and nothing else."""
    if not _is_fresh(load, now_s):
        return False
    behind = [name for name, policy in policies.workloads.items() if name == gateway or policy.entry == gateway]
    return _surges(seen, load) or any(name in load.busy for name in behind)
