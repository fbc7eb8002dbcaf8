"""Healing of pods: who will fail before help could arrive, who is worse than its peers, and what to do about it.

One case at a time per workload. A signal that grows (memory, connections, queue) is met by a make-before-break
replacement, or by a drain where replacing is not allowed. A pod worse than its peers first gets less traffic, then none
for a while, and is replaced when it is no better afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from forecasting.forecast import Forecast
from policies import drains, growth, outliers, replacement, risk, weights
from policies.decision import Proposal, Reason, ReasonCode
from policies.drains import Drain
from policies.growth import Expected, Watch
from policies.guardrails import METRICS_STALE_S
from policies.ladder import allows, confidence_needed
from policies.model import Observation, PolicySet, Rung, SignalTarget, WorkloadPolicy, WorkloadSeen
from policies.outliers import Outlier
from policies.replacement import Replacement
from policies.risk import Curve
from policies.weights import WeightsMemory

FORGET_S = 60.0  # a suspect not seen misbehaving for so long is none
REMEMBER_DRAIN_S = 900.0  # one that misbehaves again so soon after a drain is replaced
DRAIN_SIGHTINGS = {"errors": 2, "latency": 4}  # looks of 15 s in a row
WEIGH_SIGHTINGS = {"errors": 1, "latency": 2}  # less traffic is soon undone
FELT_OF_SLO = 0.5  # mean latency above this share of the SLO is worth a drain, below it only less traffic
URGENT_ERRORS = 0.5
URGENT_ENDPOINTS = 3
CRASHING_RESTARTS = 3  # a pod that keeps dying by itself is the rollout's problem: its replacement would die too


@dataclass(frozen=True, slots=True)
class Suspect:
    """A pod that stood out among its peers."""

    workload: str
    pod: str
    signal: str
    last_seen_s: float
    sightings: int
    work_ratio: float
    drained_at_s: float | None = None

    @property
    def confidence(self) -> float:
        """That it is no coincidence: each further look halves the doubt."""
        return 1.0 - 0.5**self.sightings


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
    memory: HealingMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], HealingMemory]:
    """What healing would do now, what it has to say per workload, and what it remembers.

    `signals` is the forecast of `seen.signals`, its series named by `SignalTarget.key`. With stale objects or without
    fresh metrics nothing new begins and nothing goes further than it is; what has to be undone still is.
    """
    if not seen.api_ok:
        return (), {}, memory
    blind = seen.metrics_age_s is None or seen.metrics_age_s > METRICS_STALE_S
    ward = _Ward(seen, signals, policies, lead_s, memory, now_s, blind)
    for workload in seen.workloads:
        policy = policies.workloads.get(workload.name)
        if policy is not None and policy.stateless:
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
        memory: HealingMemory,
        now_s: float,
        blind: bool,
    ) -> None:
        self.seen, self.policies, self.lead_s, self.memory = seen, policies, lead_s, memory
        self.now_s, self.blind = now_s, blind
        self.issued_at_s = 0.0 if signals is None else signals.issued_at_s
        self.step_s = 60.0 if signals is None else signals.step_s
        self.proposals: list[Proposal] = []
        self.reasons: dict[str, tuple[Reason, ...]] = {}
        self.weights = memory.weights
        self.suspects: dict[str, Suspect] = {}
        self.drains: dict[str, Drain] = {}
        self.replacements: dict[str, Replacement] = {}
        self.watches: dict[str, Watch] = {}
        self.forecast_known = risk.is_current(signals, now_s)
        self.curves: dict[str, list[Curve]] = {}
        for curve in risk.curves(seen, signals, now_s, self._is_wanted, _always(memory)).values():
            self.curves.setdefault(curve.target.workload, []).append(curve)
        self.old_suspects: dict[str, list[Suspect]] = {}
        for suspect in memory.suspects.values():
            self.old_suspects.setdefault(suspect.workload, []).append(suspect)

    def _is_wanted(self, target: SignalTarget) -> bool:
        policy = self.policies.workloads.get(target.workload)
        return target.kind in growth.KINDS and policy is not None and policy.stateless

    def remembered(self) -> HealingMemory:
        watches = self.watches if self.forecast_known else self.memory.watches
        return HealingMemory(watches, self.suspects, self.drains, self.replacements, self.weights)

    def visit(self, workload: WorkloadSeen, policy: WorkloadPolicy) -> None:
        name = workload.name
        odd = None if self.blind else outliers.worst(workload, policy.slo_latency_s, self.now_s)
        suspects = self._look_at(workload, odd)
        curves = self.curves.get(name, [])
        running, drain = self.memory.replacements.get(name), self.memory.drains.get(name)
        if running is not None:
            self._go_on(running, workload)
        elif drain is not None:
            self._tend(drain, workload, policy, curves)
        if not (curves or suspects or name in self.weights.standing):
            return
        expected = self._expect(workload, policy, curves)
        if running is not None or drain is not None or self.blind:
            return
        if expected is not None and expected.confirmed:
            self._meet(expected.pod, expected.signal, expected.probability, expected.reasons, workload, policy)
        elif odd is None or not self._treat(odd, self.suspects[f"{name}/{odd.pod}"], workload, policy):
            self._weigh(workload, policy, odd)

    def _say(self, name: str, *reasons: Reason) -> None:
        if reasons:
            self.reasons[name] = (*self.reasons.get(name, ()), *reasons)

    def _look_at(self, workload: WorkloadSeen, odd: Outlier | None) -> bool:
        """Suspects of this workload after this look; whether there are any."""
        name, found = workload.name, False
        for old in self.old_suspects.get(name, ()):
            recent = self.now_s - old.last_seen_s <= FORGET_S
            drained = old.drained_at_s is not None and self.now_s - old.drained_at_s <= REMEMBER_DRAIN_S
            if recent or drained:
                self.suspects[f"{name}/{old.pod}"] = old if recent else replace(old, sightings=0)
                found = True
        if odd is None:
            return found
        key = f"{name}/{odd.pod}"
        before = self.suspects.get(key)
        self.suspects[key] = Suspect(
            name,
            odd.pod,
            odd.signal,
            self.now_s,
            1 if before is None or before.signal != odd.signal else before.sightings + 1,
            odd.work_ratio,
            None if before is None else before.drained_at_s,
        )
        return True

    def _go_on(self, running: Replacement, workload: WorkloadSeen) -> None:
        proposal, reasons, after = replacement.step(running, workload, self.now_s)
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
    ) -> None:
        """Replace the pod if that is allowed and there is room for another, else drain it."""
        name, healing = workload.name, policy.healing
        room = workload.room_pods is None or workload.room_pods >= 1
        sure = confidence >= confidence_needed(Rung.REPLACE, healing.act_probability) - 1e-9
        if healing.replace_allowed and allows(Rung.REPLACE, policy) and room and sure:
            proposal, begun = replacement.begin(workload, pod, signal, confidence, reasons, self.now_s)
            self.proposals.append(proposal)
            self.replacements[name] = begun
        elif allows(Rung.DRAIN, policy):
            self._drain(pod, signal, confidence, reasons, workload, healing.act_ttl_s, urgent=False)
        else:
            self._say(name, Reason(ReasonCode.RUNG_NOT_ALLOWED, {"highest_rung": healing.highest_rung.name}))

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
        """Drain an outlier that stays one, replace it when an earlier drain has not helped; False: not yet."""
        felt = odd.signal == "errors" or odd.value >= FELT_OF_SLO * policy.slo_latency_s
        if not felt or suspect.sightings < DRAIN_SIGHTINGS[odd.signal] or len(workload.endpoints) < 2:
            return False
        if not _can_be_met(workload, odd.pod, self.now_s):
            return False
        reasons = (_reason(odd),)
        self._say(workload.name, *reasons)
        if suspect.drained_at_s is not None or _drain_would_be_refused(workload):
            self._meet(odd.pod, odd.signal, suspect.confidence, reasons, workload, policy)
            return True
        if not allows(Rung.DRAIN, policy):
            return False
        urgent = odd.value >= URGENT_ERRORS and odd.signal == "errors" and len(workload.endpoints) >= URGENT_ENDPOINTS
        ttl_s = min(policy.healing.act_ttl_s, drains.PROBATION_S)
        self._drain(odd.pod, odd.signal, suspect.confidence, reasons, workload, ttl_s, urgent)
        self.suspects[f"{workload.name}/{odd.pod}"] = replace(suspect, drained_at_s=self.now_s + ttl_s)
        return True

    def _weigh(self, workload: WorkloadSeen, policy: WorkloadPolicy, odd: Outlier | None) -> None:
        name = workload.name
        endpoints = {pod.name for pod in workload.endpoints}
        slow = [
            suspect
            for suspect in self.suspects.values()
            if suspect.workload == name
            and suspect.sightings >= WEIGH_SIGHTINGS[suspect.signal]
            and suspect.pod in endpoints
        ]
        if not allows(Rung.REWEIGHT, policy) or len(endpoints) < 2:
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


def _drain_would_be_refused(workload: WorkloadSeen) -> bool:
    """Whether a disruption budget is so wide that others could evict every endpoint a drain leaves."""
    return len(workload.endpoints) - 1 <= (workload.disruptions_allowed or 0)


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
