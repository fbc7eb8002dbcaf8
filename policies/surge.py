"""Demand that a gateway counts itself, seconds before any metric shows it: floors raised at once.

A step in demand reaches the planner a scrape, its delay and a tick late: half a minute in which the pods that it needs
could have started. What is counted here says nothing about the future, so it only ever raises floors, and it counts as
news only where chance does not explain it.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from policies import floors, scaling
from policies.capacity import Capacity
from policies.decision import Proposal, Reason, ReasonCode, SetFloor, SetScale
from policies.model import FastSeen, PolicySet, Rung, WorkloadPolicy, WorkloadSeen
from policies.subject import ScalingState, missing_pods

WINDOW_S = 3  # seconds of counts whose mean is the rate now
DEVIATIONS = 3.5  # beyond what the planner knows: one false alarm in about four thousand looks
# … and where the forecaster itself did not expect what it was shown last, which it says of one point in two hundred:
# one look in 160 and that together are rarer still.
CORROBORATED_DEVIATIONS = 2.5
SURPRISING = 0.005
NEWS_RATIO = 1.15  # … and by so much: less is left to the planner
KNOWN_OVER_S = 15.0  # the planner's figure is a mean itself, over so long
GROWING_DEVIATIONS = 2.0  # between one half of the counts and the other: from there on it is certain
LARGEST_GROWTH = 2.0  # times what is counted
SYNC_S = 15.0  # until an autoscaler reads a floor
PLANNED_S = 60.0  # demand expected so soon already has its floors
HOLD_S = 60.0  # the planner's own view is behind for that long
ASK_EVERY_S = 3.0
ASK_AGAIN_S = 15.0  # for the same number, where it was not done
CONFIDENCE = 0.99


@dataclass(frozen=True, slots=True)
class Surge:
    """Demand at one gateway beyond what the planner knew when it was counted."""

    rate_rps: float
    least_rps: float  # what it is at least, chance considered
    slope_rps_per_s: float
    known_rps: float
    seen_at_s: float

    def ahead_rps(self, lead_s: float) -> float:
        """Demand when pods asked for now are Ready, if it goes on growing as it does."""
        return min(self.rate_rps + self.slope_rps_per_s * (lead_s + SYNC_S), LARGEST_GROWTH * self.rate_rps)


@dataclass(frozen=True, slots=True)
class Asked:
    """The last floor that was asked for."""

    pods: int
    at_s: float


@dataclass(frozen=True, slots=True)
class SurgeMemory:
    """Surges by gateway, for as long as they count, and floors asked for by workload."""

    surges: Mapping[str, Surge] = field(default_factory=dict)
    asked: Mapping[str, Asked] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Means:
    """What the planner has learned about the pods of each workload; all by workload."""

    capacity: Mapping[str, Capacity] = field(default_factory=dict)
    lead_s: Mapping[str, float] = field(default_factory=dict)
    leaving: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, ScalingState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Overrun:
    """Where a gateway's demand most exceeds what Ready pods carry; `load_ratio` is above 1 where it does."""

    workload: str
    load_ratio: float
    demand_rps: float
    capacity_rps: float
    lead_s: float


def planned_for(measured_rps: Mapping[str, float], demand: Forecast | None, now_s: float) -> dict[str, float]:
    """Demand by gateway that is no news: what was measured, or what is expected before new pods could come."""
    if demand is None or not measured_rps:
        return dict(measured_rps)
    ahead = (demand.times_s > now_s) & (demand.times_s <= now_s + PLANNED_S)
    peak_rps = demand.quantile(0.5)[:, ahead].max(axis=1, initial=0.0)
    expected_rps = {
        name: float(peak_rps[row]) for row, name in enumerate(demand.series) if name not in demand.unavailable
    }
    return {name: max(rate_rps, expected_rps.get(name, 0.0)) for name, rate_rps in measured_rps.items()}


def surprised(demand: Forecast | None) -> tuple[str, ...]:
    """Workloads whose newest points their own forecasts had called unlikely."""
    if demand is None or demand.surprise is None:
        return ()
    return tuple(name for name, p_value in zip(demand.series, demand.surprise, strict=True) if p_value < SURPRISING)


def noticed(
    seen: FastSeen,
    known_rps: Mapping[str, float],
    memory: SurgeMemory,
    now_s: float,
    surprised: Collection[str] = (),
) -> SurgeMemory:
    """The surges that count this second. Gateways that do not report, or of which nothing was known, have none.

    Surprise alone is no surge: it only lowers what the gateway's own counts have to show.
    """
    surges = {name: surge for name, surge in memory.surges.items() if now_s - surge.seen_at_s < HOLD_S}
    for gateway, counts in seen.gateway_recent_rps.items():
        needed = CORROBORATED_DEVIATIONS if gateway in surprised else DEVIATIONS
        surge = _surge(counts, known_rps.get(gateway), now_s, needed)
        if surge is not None:
            surges[gateway] = surge
    if not surges and not memory.surges:
        return memory
    return SurgeMemory(surges, {name: asked for name, asked in memory.asked.items() if now_s - asked.at_s < HOLD_S})


def propose(
    seen: FastSeen, policies: PolicySet, means: Means, memory: SurgeMemory, now_s: float
) -> tuple[list[Proposal], SurgeMemory]:
    """Floors for every workload whose pods, Ready or ordered, are too few for a surge. Never lower than what stands."""
    fresh = {name: surge for name, surge in memory.surges.items() if surge.seen_at_s == now_s}
    if not fresh:
        return [], memory
    asked = dict(memory.asked)
    proposals: list[Proposal] = []
    for workload, policy, surge, visits in _driven(fresh, seen.workloads, policies, means):
        proposal = _raise(workload, policy, surge, visits, means, asked.get(workload.name), now_s)
        if proposal is not None:
            proposals.append(proposal)
            asked[workload.name] = Asked(_value(proposal), now_s)
    return proposals, SurgeMemory(memory.surges, asked)


def pods_at_least(
    memory: SurgeMemory, workloads: Mapping[str, WorkloadSeen], policies: PolicySet, means: Means, now_s: float
) -> Mapping[str, int]:
    """What surges still ask for, by workload: a lower bound for a planner whose metrics may not show them yet."""
    surges = {name: surge for name, surge in memory.surges.items() if now_s - surge.seen_at_s < HOLD_S}
    return {
        workload.name: _pods(workload, policy, surge, visits, means)
        for workload, policy, surge, visits in _driven(surges, workloads, policies, means)
    }


def overruns(seen: FastSeen, policies: PolicySet, means: Means, memory: SurgeMemory) -> Mapping[str, Overrun]:
    """By gateway under a surge: where what it counts now most exceeds what Ready pods carry."""
    worst: dict[str, Overrun] = {}
    surges = {
        gateway: Surge(_rate(counts), _least(counts), 0.0, surge.known_rps, seen.now_s)
        for gateway, surge in memory.surges.items()
        if len(counts := tuple(seen.gateway_recent_rps.get(gateway, ()))) >= WINDOW_S
    }
    for workload, policy, surge, visits in _driven(surges, seen.workloads, policies, means):
        carried_rps = means.capacity[workload.name].safe_rps * max(len(workload.endpoints), 0.5)
        demand_rps = surge.least_rps * visits
        gateway = policy.entry or workload.name
        lead_s = _lead_s(workload, policy, means)
        if gateway not in worst or demand_rps / carried_rps > worst[gateway].load_ratio:
            worst[gateway] = Overrun(workload.name, demand_rps / carried_rps, demand_rps, carried_rps, lead_s)
    return worst


def _surge(counts: Sequence[float], known_rps: float | None, now_s: float, deviations: float) -> Surge | None:
    """What is counted beyond `known_rps`, None where chance, up to so many `deviations`, or little explains it."""
    if known_rps is None or len(counts) < 2 * WINDOW_S:
        return None
    window = float(WINDOW_S)
    counted = sum(counts[-WINDOW_S:])
    # The root of a Poisson count has the same deviation, one half, whatever its mean.
    excess = _root(counted) - _root(NEWS_RATIO * known_rps * window)
    if excess <= 0.5 * deviations * math.sqrt(1.0 + window / KNOWN_OVER_S):
        return None
    return Surge(counted / window, _least(counts), _slope(counts), known_rps, now_s)


def _slope(counts: Sequence[float]) -> float:
    """How fast demand grows, requests per second each second; less where it may be chance."""
    half = len(counts) // 2
    before, after = sum(counts[-2 * half : -half]), sum(counts[-half:])
    deviations = (_root(after) - _root(before)) * math.sqrt(2.0)
    certainty = min(1.0, max(0.0, deviations / GROWING_DEVIATIONS))
    return certainty * max(0.0, after - before) / (half * half)


def _rate(counts: Sequence[float]) -> float:
    return sum(counts[-WINDOW_S:]) / WINDOW_S


def _least(counts: Sequence[float]) -> float:
    """The lowest rate that explains the last counts, one chance in forty aside."""
    root = max(0.0, _root(sum(counts[-WINDOW_S:])) - 1.0)
    return max(0.0, root * root - 0.375) / WINDOW_S


def _root(count: float) -> float:
    return math.sqrt(count + 0.375)


def _driven(
    surges: Mapping[str, Surge], workloads: Mapping[str, WorkloadSeen], policies: PolicySet, means: Means
) -> Iterator[tuple[WorkloadSeen, WorkloadPolicy, Surge, float]]:
    """Every workload that a surging gateway drives, itself included, and its requests per request there."""
    for name, policy in policies.workloads.items():
        surge, workload = surges.get(policy.entry or name), workloads.get(name)
        if surge is None or workload is None or not policy.stateless or name not in means.capacity:
            continue
        state = means.states.get(name)
        visits = 1.0 if policy.entry is None else None if state is None else state.visits
        if visits is not None:
            yield workload, policy, surge, visits


def _pods(workload: WorkloadSeen, policy: WorkloadPolicy, surge: Surge, visits: float, means: Means) -> int:
    """Certain demand fills pods to the target at most, demand to come to where requests begin to fail."""
    per_pod_rps = means.capacity[workload.name].safe_rps
    certain = surge.least_rps * visits / (per_pod_rps * policy.scaling.target_utilization)
    coming = surge.ahead_rps(_lead_s(workload, policy, means)) * visits
    return math.ceil(max(certain, coming / (per_pod_rps * policy.scaling.saturation_utilization)) - 1e-9)


def _lead_s(workload: WorkloadSeen, policy: WorkloadPolicy, means: Means) -> float:
    return means.lead_s.get(workload.name, policy.scaling.lead_time_prior_s)


def _raise(
    workload: WorkloadSeen,
    policy: WorkloadPolicy,
    surge: Surge,
    visits: float,
    means: Means,
    asked: Asked | None,
    now_s: float,
) -> Proposal | None:
    name, lead_s = workload.name, _lead_s(workload, policy, means)
    floor = floors.looked(means.states.get(name, ScalingState()).floor, workload, 0.0, now_s)
    standing = floors.standing(workload)
    need = _pods(workload, policy, surge, visits, means)
    need += missing_pods(workload, means.leaving.get(name, 0), lead_s, now_s)
    if need <= max(standing, workload.replicas) or _is_early(asked, need, now_s):
        return None
    if scaling.hold(workload, floor, means.capacity[name], now_s) is not None:
        return None
    limits = floors.bounds(floor, workload, policy.scaling)
    want, limited = scaling.limited(need, standing, workload, policy, floor, limits)
    if want <= max(standing, workload.replicas):
        return None
    ready = float(len(workload.endpoints))
    per_pod_rps = means.capacity[name].rps
    facts: dict[str, float | str] = {
        "floor_before": float(standing),
        "floor": float(want),
        "demand_rps": surge.ahead_rps(lead_s) * visits,
        "rate_rps": surge.rate_rps,
        "known_rps": surge.known_rps,
        "capacity_rps": ready * per_pod_rps,
        "lead_s": lead_s,
    }
    expires_at_s = now_s + policy.scaling.floor_ttl_s
    action = SetScale(name, want, expires_at_s) if workload.hpa_min is None else SetFloor(name, want, expires_at_s)
    reasons = (Reason(ReasonCode.DEMAND_SURGE, facts), *limited)
    return Proposal(name, Rung.PRE_SCALE, action, CONFIDENCE, reasons, disruptive=False, fast=True)


def _value(proposal: Proposal) -> int:
    action = proposal.action
    return action.floor if isinstance(action, SetFloor) else action.replicas if isinstance(action, SetScale) else 0


def _is_early(asked: Asked | None, need: int, now_s: float) -> bool:
    if asked is None:
        return False
    return now_s - asked.at_s < (ASK_EVERY_S if need > asked.pods else ASK_AGAIN_S)
