"""One tick of the decision core: what is seen and forecast in, one decision per workload out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from forecasting.forecast import Forecast
from policies import (
    brownout,
    calibration_gate,
    capacity,
    failover,
    fast_lane,
    guardrails,
    healing,
    lead_time,
    scaling,
    surge,
    zone_shift,
)
from policies.deciding import Reasons, decided, hold
from policies.decision import (
    Action,
    Decision,
    Proposal,
    Reason,
    ReasonCode,
    SetFloor,
    SetScale,
)
from policies.memory import Memory
from policies.model import FastSeen, Observation, PolicySet, WorkloadSeen
from policies.subject import ScalingState

METRICS_STALE_S = 90.0  # six scrapes: what is older says nothing about now


@dataclass(frozen=True, slots=True)
class _Plan:
    """What the parts of the core would like to do, with what each has to say per workload."""

    proposals: tuple[Proposal, ...]
    reasons: tuple[Reasons, ...]
    memory: Memory


def decide(
    seen: Observation,
    demand: Forecast | None,
    signals: Forecast | None,
    memory: Memory,
    policies: PolicySet,
    now_s: float,
) -> tuple[tuple[Decision, ...], Memory]:
    """One decision for every workload with a policy, and the memory after them.

    Blindness holds: without fresh metrics or API objects nothing is done, learned or renewed.
    """
    memory = replace(memory, ticks=memory.ticks + 1)
    blind = _blind(seen)
    if blind is not None:
        return hold(policies, blind, now_s), memory
    memory = replace(memory, fast_lane=fast_lane.informed(memory.fast_lane, seen, demand, policies))
    plan = _plan(seen, demand, signals, memory, policies, now_s)
    trust = calibration_gate.reviewed(memory.trust, demand, signals)
    trusted, doubted = calibration_gate.judge(plan.proposals, seen, trust)
    accepted, braked, brakes = guardrails.judge(trusted, seen, policies, plan.memory.guardrails, now_s)
    memory = replace(plan.memory, guardrails=brakes, trust=trust)
    names, model = tuple(policies.workloads), None if demand is None else demand.model
    said = (*plan.reasons, calibration_gate.lowered(seen, policies, trust), _unseen(seen, policies))
    decisions = decided(names, accepted, (*doubted, *braked), said, policies, now_s, model=model)
    return decisions, _with_floors(memory, decisions, seen.workloads, now_s)


def decide_fast(
    seen: FastSeen, memory: Memory, policies: PolicySet, now_s: float
) -> tuple[tuple[Decision, ...], Memory]:
    """Decisions of the fast reactive lane, for the workloads that it would touch; most seconds there are none."""
    means = _means(tuple(seen.workloads.values()), memory, policies, now_s)
    lifted = brownout.lifted_while_stopped(memory.guardrails.dimmed, policies, now_s)
    proposals, reasons, lane = fast_lane.propose(seen, policies, means, memory.fast_lane, now_s)
    proposals = (*lifted, *proposals)
    accepted, vetoes, brakes = guardrails.judge(proposals, seen, policies, memory.guardrails, now_s)
    memory = replace(memory, fast_lane=lane, guardrails=brakes)
    if not proposals:
        return (), memory
    named = {proposal.workload for proposal in (*proposals, *accepted)}
    names = [name for name in policies.workloads if name in named]
    decisions = decided(names, accepted, vetoes, (reasons,), policies, now_s, fast=True)
    return decisions, _with_floors(memory, decisions, tuple(seen.workloads.values()), now_s)


def not_done(memory: Memory, before: Memory, action: Action) -> Memory:
    """The memory after a write was refused: what was decided did not happen and is decided anew at the next tick.

    Acts on pods, zones and databases need no more than their token back: their progress is read off the cluster.
    """
    if isinstance(action, SetFloor | SetScale):
        name = action.workload
        now, then = memory.scaling.get(name), before.scaling.get(name, ScalingState())
        if now is None:
            return memory
        floor = replace(
            now.floor,
            written=then.floor.written,
            written_at_s=then.floor.written_at_s,
            expires_at_s=then.floor.expires_at_s,
            original=then.floor.original,
        )
        return replace(memory, scaling={**memory.scaling, name: replace(now, floor=floor)})
    return replace(memory, guardrails=guardrails.withdraw(memory.guardrails, action))


def _blind(seen: Observation) -> Reason | None:
    if not seen.api_ok:
        return Reason(ReasonCode.STALE_OBJECTS)
    if seen.metrics_age_s is None:
        return Reason(ReasonCode.NO_METRICS)
    if seen.metrics_age_s > METRICS_STALE_S:
        return Reason(ReasonCode.NO_METRICS, {"age_s": seen.metrics_age_s})
    return None


def _plan(
    seen: Observation,
    demand: Forecast | None,
    signals: Forecast | None,
    memory: Memory,
    policies: PolicySet,
    now_s: float,
) -> _Plan:
    memory = _learned(seen, memory, policies, now_s)
    means = _means(seen.workloads, memory, policies, now_s)
    lead_s = means.lead_s
    rps = {name: known.safe_rps for name, known in means.capacity.items()}
    failed_over, said_failover, failover_memory = failover.propose(
        seen, signals, demand, rps, policies, memory.failover, now_s
    )
    left_zones = zone_shift.left_alone(failover_memory.zones, now_s)
    healed, said_healing, healing_memory = healing.propose(
        seen, signals, policies, lead_s, rps, memory.healing, now_s, left_zones
    )
    dimmed, said_brownout, brownout_memory = brownout.propose(
        seen, demand, rps, lead_s, policies, memory.brownout, now_s
    )
    leaving = _sum(healing.leaving(healing_memory), fast_lane.leaving(memory.fast_lane))
    by_name = {workload.name: workload for workload in seen.workloads}
    at_least = surge.pods_at_least(memory.fast_lane.surge, by_name, policies, means, now_s)
    scaled, said_scaling, scaling_memory = scaling.propose(
        seen, demand, means.capacity, lead_s, leaving, policies, memory.scaling, now_s, at_least
    )
    return _Plan(
        proposals=(*scaled, *healed, *failed_over, *dimmed),
        reasons=(said_scaling, said_healing, said_failover, said_brownout),
        memory=replace(
            memory,
            healing=healing_memory,
            failover=failover_memory,
            brownout=brownout_memory,
            scaling={**memory.scaling, **scaling_memory},
        ),
    )


def _unseen(seen: Observation, policies: PolicySet) -> Reasons:
    """What there is to say about workloads that have a policy and that the API does not show."""
    found = {workload.name for workload in seen.workloads}
    missing = Reason(ReasonCode.STALE_OBJECTS, {"missing": "workload"})
    return {name: (missing,) for name in policies.workloads if name not in found}


def _learned(seen: Observation, memory: Memory, policies: PolicySet, now_s: float) -> Memory:
    capacities, leads = dict(memory.capacity), dict(memory.lead_time)
    for workload in seen.workloads:
        policy = policies.workloads.get(workload.name)
        if policy is None or not policy.stateless:
            continue
        name = workload.name
        capacities[name] = capacity.learn(capacities.get(name, capacity.CapacityState()), workload, policy, now_s)
        leads[name] = lead_time.learn(leads.get(name, lead_time.LeadTimeState()), workload.pods)
    return replace(memory, capacity=capacities, lead_time=leads)


def _capacities(memory: Memory, policies: PolicySet) -> dict[str, capacity.Capacity]:
    found = {
        name: capacity.estimate(state, policies.workloads[name])
        for name, state in memory.capacity.items()
        if name in policies.workloads
    }
    return {name: known for name, known in found.items() if known is not None}


def _means(workloads: Sequence[WorkloadSeen], memory: Memory, policies: PolicySet, now_s: float) -> surge.Means:
    return surge.Means(
        capacity=_capacities(memory, policies),
        lead_s=_lead_times(workloads, memory, policies, now_s),
        leaving=_sum(healing.leaving(memory.healing), fast_lane.leaving(memory.fast_lane)),
        states=memory.scaling,
    )


def _lead_times(
    workloads: Sequence[WorkloadSeen], memory: Memory, policies: PolicySet, now_s: float
) -> dict[str, float]:
    return {
        workload.name: lead_time.planned_s(
            memory.lead_time[workload.name],
            policies.workloads[workload.name].scaling.lead_time_prior_s,
            workload.pods,
            now_s,
        )
        for workload in workloads
        if workload.name in memory.lead_time and workload.name in policies.workloads
    }


def _sum(first: Mapping[str, int], second: Mapping[str, int]) -> dict[str, int]:
    if not first and not second:
        return {}
    return {name: first.get(name, 0) + second.get(name, 0) for name in {**first, **second}}


def _with_floors(
    memory: Memory, decisions: Sequence[Decision], workloads: Sequence[WorkloadSeen], now_s: float
) -> Memory:
    written = {
        action.workload: action
        for decision in decisions
        for action in decision.actions
        if isinstance(action, SetFloor | SetScale)
    }
    if not written:
        return memory
    states = dict(memory.scaling)
    for workload in workloads:
        action = written.get(workload.name)
        if action is not None:
            before = states.get(workload.name, ScalingState())
            states[workload.name] = scaling.recorded(before, action, workload, now_s)
    return replace(memory, scaling=states)
