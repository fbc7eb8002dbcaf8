"""Healing of pods: who will fail before help could arrive, who is worse than its peers, and what to do about it.

One case at a time per workload. A signal that grows (memory, connections, queue) is met by a make-before-break
replacement, or by a drain where replacing is not allowed. A pod worse than its peers first gets less traffic. When it
hurts users, or soon will, it is replaced; its traffic goes off at once where the others can carry it. Where replacing
is not allowed it is drained for a while.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from policies import drains, growth, outliers, replacement, risk, suspects, weights
from policies.decision import Proposal, Reason, ReasonCode
from policies.drains import Drain
from policies.growth import Expected, Watch
from policies.guardrails import METRICS_STALE_S
from policies.ladder import allows, confidence_needed
from policies.model import Observation, PolicySet, Rung, SignalTarget, WorkloadPolicy, WorkloadSeen
from policies.outliers import Outlier
from policies.replacement import Replacement
from policies.risk import Curve
from policies.suspects import Suspect
from policies.weights import WeightsMemory

#: Of their capacity that the others may be filled when a harmful pod leaves before its successor.
FILLED_BY_OTHERS = 0.92
CRASHING_RESTARTS = 3  # a pod that keeps dying by itself is the rollout's problem: its replacement would die too


@dataclass(frozen=True, slots=True)
class HealingMemory:
    """Keys are `SignalTarget.key` for watches, `workload/pod` for suspects, workloads for drains and replacements."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    suspects: Mapping[str, Suspect] = field(default_factory=dict)
    drains: Mapping[str, Drain] = field(default_factory=dict)
    replacements: Mapping[str, Replacement] = field(default_factory=dict)
    weights: WeightsMemory = field(default_factory=WeightsMemory)


def leaving(memory: HealingMemory) -> Mapping[str, int]:
    """Pods per workload that stay in their ReplicaSet but serve nothing, or soon will: the floor is raised by them."""
    return dict.fromkeys(memory.drains, 1)


def propose(
    seen: Observation,
    signals: Forecast | None,
    policies: PolicySet,
    lead_s: Mapping[str, float],
    capacity_rps: Mapping[str, float],
    memory: HealingMemory,
    now_s: float,
    left_zones: Set[str] = frozenset(),
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], HealingMemory]:
    """What healing would do now, what it has to say per workload, and what it remembers.

    `signals` is the forecast of `seen.signals`, its series named by `SignalTarget.key`; `capacity_rps` is what one pod
    carries within SLO. With stale objects or without fresh metrics nothing new begins and nothing goes further than it
    is; what has to be undone still is. Pods that are worse than their peers are left alone in `left_zones`: what is
    done about those is done to the zone.
    """
    if not seen.api_ok:
        return (), {}, memory
    blind = seen.metrics_age_s is None or seen.metrics_age_s > METRICS_STALE_S
    ward = _Ward(seen, signals, policies, lead_s, capacity_rps, memory, now_s, blind, left_zones)
    for workload, policy in ward.patients:
        ward.visit(workload, policy)
    return tuple(ward.proposals), ward.reasons, ward.remembered()


class _Ward:
    """One round through all workloads."""

    def __init__(
        self,
        seen: Observation,
        signals: Forecast | None,
        policies: PolicySet,
        lead_s: Mapping[str, float],
        capacity_rps: Mapping[str, float],
        memory: HealingMemory,
        now_s: float,
        blind: bool,
        left_zones: Set[str],
    ) -> None:
        self.seen, self.policies, self.lead_s, self.memory = seen, policies, lead_s, memory
        self.capacity_rps, self.now_s, self.blind, self.left_zones = capacity_rps, now_s, blind, left_zones
        self.patients = [
            (workload, policy)
            for workload in seen.workloads
            if (policy := policies.workloads.get(workload.name)) is not None and policy.stateless
        ]
        found = [
            (workload.name, outliers.worst(workload, policy.slo_latency_s, now_s))
            for workload, policy in ([] if blind else self.patients)
        ]
        self.odd: Mapping[str, Outlier] = {name: odd for name, odd in found if odd is not None}
        self.bad_nodes = suspects.shared_nodes(seen.workloads, self.odd)
        self.issued_at_s = 0.0 if signals is None else signals.issued_at_s
        self.step_s = 60.0 if signals is None else signals.step_s
        self.proposals: list[Proposal] = []
        self.reasons: dict[str, tuple[Reason, ...]] = {}
        self.weights = memory.weights
        self.suspects = suspects.remembered(memory.suspects.values(), now_s)
        self.drains: dict[str, Drain] = {}
        self.replacements: dict[str, Replacement] = {}
        self.watches: dict[str, Watch] = {}
        self.forecast_known = risk.is_current(signals, now_s)
        self.curves: dict[str, list[Curve]] = {}
        for curve in risk.curves(seen, signals, now_s, self._is_wanted, _always(memory)).values():
            self.curves.setdefault(curve.target.workload, []).append(curve)
        self.suspected = {suspect.workload for suspect in self.suspects.values()}

    def _is_wanted(self, target: SignalTarget) -> bool:
        policy = self.policies.workloads.get(target.workload)
        return target.kind in growth.KINDS and policy is not None and policy.stateless

    def remembered(self) -> HealingMemory:
        watches = self.watches if self.forecast_known else self.memory.watches
        return HealingMemory(watches, self.suspects, self.drains, self.replacements, self.weights)

    def visit(self, workload: WorkloadSeen, policy: WorkloadPolicy) -> None:
        name = workload.name
        odd = self.odd.get(name)
        suspect = None if odd is None else self._suspect(odd, workload)
        curves = self.curves.get(name, [])
        running, drain = self.memory.replacements.get(name), self.memory.drains.get(name)
        if running is not None:
            self._go_on(running, workload, policy)
        elif drain is not None:
            self._tend(drain, workload, policy, curves)
        if not (curves or odd or name in self.suspected or name in self.weights.standing):
            return
        expected = self._expect(workload, policy, curves)
        if running is not None or drain is not None or self.blind:
            return
        if expected is not None and expected.confirmed:
            self._meet(expected.pod, expected.signal, expected.probability, expected.reasons, workload, policy)
        elif odd is None or suspect is None or not self._treat(odd, suspect, workload, policy):
            self._weigh(workload, policy, odd)

    def _say(self, name: str, *reasons: Reason) -> None:
        if reasons:
            self.reasons[name] = (*self.reasons.get(name, ()), *reasons)

    def _suspect(self, odd: Outlier, workload: WorkloadSeen) -> Suspect:
        node = next((pod.node for pod in workload.pods if pod.name == odd.pod), None)
        before = self.suspects.get(f"{workload.name}/{odd.pod}")
        suspect = suspects.sighted(before, odd, workload.name, node in self.bad_nodes, self.now_s)
        self.suspects[suspect.key] = suspect
        return suspect

    def _go_on(self, running: Replacement, workload: WorkloadSeen, policy: WorkloadPolicy) -> None:
        spare = self._is_spare(running.pod, running.signal, workload)
        limit_s = policy.healing.drain_limit_s
        proposal, reasons, after = replacement.step(running, workload, spare, limit_s, self.now_s)
        self._say(workload.name, *reasons)
        if proposal is not None and proposal.disruptive and self.blind:
            self.replacements[workload.name] = running
            self._say(workload.name, Reason(ReasonCode.NO_METRICS))
            return
        if proposal is not None:
            self.proposals.append(proposal)
        if after is not None:
            self.replacements[workload.name] = after

    def _tend(self, drain: Drain, workload: WorkloadSeen, policy: WorkloadPolicy, curves: list[Curve]) -> None:
        proposal, reasons, after = drains.tend(drain, workload, policy, self._lead(policy), curves, self.now_s)
        self._say(workload.name, *reasons)
        if proposal is not None and not (proposal.disruptive and self.blind):
            self.proposals.append(proposal)
        if after is not None:
            self.drains[workload.name] = after

    def _lead(self, policy: WorkloadPolicy) -> float:
        return self.lead_s.get(policy.workload, policy.scaling.lead_time_prior_s)

    def _expect(self, workload: WorkloadSeen, policy: WorkloadPolicy, curves: list[Curve]) -> Expected | None:
        if not curves:
            return None
        healthy = [curve for curve in curves if _can_be_met(workload, curve.target.member, self.now_s)]
        expected, watches = growth.expect(
            healthy, self.memory.watches, self.seen, workload, policy, self._lead(policy), self.issued_at_s,
            self.step_s, self.now_s,
        )  # fmt: skip
        self.watches.update(watches)
        if expected is not None:
            self._say(workload.name, *expected.reasons)
        return expected

    def _meet(
        self,
        pod: str,
        signal: str,
        confidence: float,
        reasons: tuple[Reason, ...],
        workload: WorkloadSeen,
        policy: WorkloadPolicy,
    ) -> bool:
        """Replace the pod if that is allowed and there is room for another, else drain it; False: neither may be."""
        name, healing = workload.name, policy.healing
        room = workload.room_pods is None or workload.room_pods >= 1
        sure = confidence >= confidence_needed(Rung.REPLACE, healing.act_probability) - 1e-9
        spare = self._is_spare(pod, signal, workload)
        if healing.replace_allowed and allows(Rung.REPLACE, policy) and room and sure:
            begun, self.replacements[name] = replacement.begin(
                workload, pod, signal, confidence, reasons, spare, self.now_s
            )
            self.proposals.extend(begun)
            return True
        if allows(Rung.DRAIN, policy):
            # An outlier without traffic shows nothing: it has to come back soon to be looked at again.
            longest_s = drains.PROBATION_S if signal in outliers.SIGNALS else healing.act_ttl_s
            ttl_s = min(healing.act_ttl_s, longest_s)
            self._drain(pod, signal, confidence, reasons, workload, ttl_s, urgent=spare)
            return True
        self._say(name, Reason(ReasonCode.RUNG_NOT_ALLOWED, {"highest_rung": healing.highest_rung.name}))
        return False

    def _is_spare(self, pod: str, signal: str, workload: WorkloadSeen) -> bool:
        """Whether a pod does harm and its peers can carry all of the demand by themselves. Unknown: no."""
        per_pod = self.capacity_rps.get(workload.name)
        if signal not in outliers.SIGNALS or per_pod is None or workload.offered_rps is None:
            return False
        others = sum(1 for endpoint in workload.endpoints if endpoint.name != pod)
        return others > 0 and workload.offered_rps <= FILLED_BY_OTHERS * per_pod * others

    def _drain(
        self,
        pod: str,
        signal: str,
        confidence: float,
        reasons: tuple[Reason, ...],
        workload: WorkloadSeen,
        ttl_s: float,
        urgent: bool,
    ) -> None:
        proposal, drain = drains.begin(workload, pod, signal, confidence, reasons, ttl_s, urgent, self.now_s)
        if proposal is not None:
            self.proposals.append(proposal)
        self.drains[workload.name] = drain

    def _treat(self, odd: Outlier, suspect: Suspect, workload: WorkloadSeen, policy: WorkloadPolicy) -> bool:
        """Replace or drain an outlier that hurts users or soon will; False: it does not, or neither may be done."""
        ahead_s = self._lead(policy) + policy.healing.margin_s
        if not suspect.must_go(ahead_s) or not _can_be_met(workload, odd.pod, self.now_s):
            return False
        zone = next((pod.zone for pod in workload.pods if pod.name == odd.pod), None)
        if zone is not None and zone in self.left_zones:
            self._say(workload.name, Reason(ReasonCode.ZONE_DOWN, {"zone": zone, "pod": odd.pod}))
            return False
        self._say(workload.name, _reason(odd))
        return self._meet(odd.pod, odd.signal, suspect.confidence, (_reason(odd),), workload, policy)

    def _weigh(self, workload: WorkloadSeen, policy: WorkloadPolicy, odd: Outlier | None) -> None:
        name = workload.name
        endpoints = {pod.name for pod in workload.endpoints}
        slow = [
            suspect
            for suspect in self.suspects.values()
            if suspect.workload == name and suspect.sightings > 0 and suspect.pod in endpoints
        ]
        if not (self.policies.weights and allows(Rung.REWEIGHT, policy)) or len(endpoints) < 2:
            slow = []
        reasons = () if odd is None else (_reason(odd),)
        confidence = max((suspect.confidence for suspect in slow), default=1.0)
        proposal, self.weights = weights.propose(
            policy,
            {suspect.pod: suspect.work_ratio for suspect in slow},
            reasons,
            confidence,
            self.weights,
            self.now_s,
        )
        if proposal is not None:
            self.proposals.append(proposal)
            self._say(name, *proposal.reasons)


def _always(memory: HealingMemory) -> set[str]:
    """Signals to look at even when they look harmless: only that shows that a pod has recovered."""
    drained = {
        SignalTarget(kind, drain.workload, drain.pod).key for drain in memory.drains.values() for kind in growth.KINDS
    }
    return drained | memory.watches.keys()


def _reason(odd: Outlier) -> Reason:
    return Reason(ReasonCode.OUTLIER, {"pod": odd.pod, "signal": odd.signal, "value": odd.value, "peers": odd.peers})


def _can_be_met(workload: WorkloadSeen, name: str, now_s: float) -> bool:
    """Whether draining or replacing a pod could help: it serves, has settled, and is not one that keeps crashing."""
    pod = next((candidate for candidate in workload.pods if candidate.name == name), None)
    return (
        pod is not None
        and pod.ready
        and pod.traffic_on
        and pod.ready_at_s is not None
        and now_s - pod.ready_at_s >= outliers.SETTLED_S
        and pod.restarts < CRASHING_RESTARTS
    )
