"""The brakes. Every proposal passes here; undoing is never stopped.

What the brakes stop: everything but undoing while the kill switch or a pause is on; and *disruptive* acts when the
cluster is unhealthy, when another one runs on the workload or ran a moment ago, when too many pods would be out of
rotation, when the last endpoint would go, in a storm of acts, during rollouts, under other people's cordons, and where
other people undid ours.

Emergencies are acts of the fast lane on positive evidence: pods that answer nobody, a zone that does not, a gateway
that fails now. Taking out what serves nothing disrupts nothing, so they need no token and no cooldown, and no storm
stops them (but they count towards it). A single dead pod still counts against the drain cap, since an overloaded pod
can look dead; a whole dead node or zone does not. The last endpoint always stays.

A brownout takes no pod away: it holds no token and starts no cooldown, so that a pod of a dimmed gateway can be healed.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from policies import ladder
from policies.acts import (
    dims,
    is_dead,
    is_disruptive,
    is_emergency,
    is_floor,
    is_structural,
    is_undo,
    target_of,
    urgency,
    workloads_of,
)
from policies.decision import (
    EvictPod,
    Proposal,
    Reason,
    ReasonCode,
    SetBrownout,
    SetFloor,
    SetTraffic,
    ShiftZone,
    SwitchOver,
    Veto,
)
from policies.model import FastSeen, Mode, NodeSeen, Observation, PolicySet, WorkloadPolicy, WorkloadSeen
from policies.rotation import Rotation
from policies.tokens import (
    GuardrailMemory,
    after_act,
    after_undo,
    continues,
    is_contested,
    settled,
    withdraw,
    workloads_by_name,
)

__all__ = ["GuardrailMemory", "healthy_node_ratio", "is_contested", "judge", "withdraw"]

METRICS_STALE_S = 90.0  # six scrapes of 15 s: older figures are no evidence for a disruptive act
FAILED_ZONE_RATIO = 0.90  # share of a zone's nodes not Ready that makes it a failed zone


def judge(
    proposals: Sequence[Proposal],
    context: Observation | FastSeen,
    policies: PolicySet,
    memory: GuardrailMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], tuple[Veto, ...], GuardrailMemory]:
    """What may be done, in the order in which to do it, what may not and why.

    Undoing comes first, then floors, then disruptive acts, weights last. Only acts of policies in Enforce mode are
    remembered: what nobody does holds no token. A zone shift may be let through for some of its workloads only.
    """
    memory = settled(memory, context, now_s)
    if not proposals:
        return (), (), memory
    bench = _Bench(context, policies, memory, now_s)
    accepted: list[Proposal] = []
    vetoes: list[Veto] = []
    for proposal in sorted(proposals, key=urgency):
        allowed, reason = bench.hear(proposal)
        if reason is not None:
            vetoes.append(Veto(proposal, reason))
        if allowed is not None:
            accepted.append(allowed)
    return tuple(accepted), tuple(vetoes), bench.memory


class _Bench:
    """One judgement. Its memory grows while proposals are heard one after the other."""

    def __init__(
        self, context: Observation | FastSeen, policies: PolicySet, memory: GuardrailMemory, now_s: float
    ) -> None:
        self.context = context
        self.policies = policies
        self.memory = memory
        self.now_s = now_s
        self.workloads = workloads_by_name(context)
        self.asked_off = set(memory.asked_off_s)
        self.rotation = Rotation.of(context, self.asked_off)
        self.healthy_ratio = healthy_node_ratio(context.nodes)
        self.touched: set[str] = set()  # workloads whose pods or weights change by this judgement
        self.floored: set[str] = set()
        self.emergency_counted = False

    def hear(self, proposal: Proposal) -> tuple[Proposal | None, Reason | None]:
        """The proposal as far as it may go, and what stops the rest of it."""
        names = workloads_of(proposal.action)
        objections = {name: self._objection(proposal, name) for name in names}
        free = tuple(name for name in names if objections[name] is None)
        reason = next((objection for objection in objections.values() if objection is not None), None)
        if not free:
            return None, reason
        if isinstance(proposal.action, ShiftZone):
            first = proposal.workload if proposal.workload in free else free[0]
            proposal = replace(proposal, workload=first, action=replace(proposal.action, workloads=free))
        self._remember(proposal)
        return proposal, reason

    def _objection(self, proposal: Proposal, name: str) -> Reason | None:
        """The first brake that stops a proposal on one workload."""
        action = proposal.action
        if is_undo(action):
            return self._lift_of_other_lane(proposal)
        policy = self.policies.workloads.get(name)
        if policy is None:
            return Reason(ReasonCode.MODE, {"mode": "no policy"})
        workload = self.workloads.get(name)
        stopped = self._stopped(proposal, policy, workload)
        if stopped is not None:
            return stopped
        if is_floor(action):
            return Reason(ReasonCode.TOKEN_TAKEN, {"kind": "floor"}) if name in self.floored else None
        if not is_disruptive(action):
            # Weights: one thing at a time on a workload, and the other one mattered more.
            return ladder.objection(proposal, policy) or self._taken(name)
        if workload is None and isinstance(action, SwitchOver):
            workload = WorkloadSeen(name, replicas=0, pods=())  # a database may be seen as members only
        if workload is None or (isinstance(self.context, Observation) and not self.context.api_ok):
            return Reason(ReasonCode.STALE_OBJECTS)
        if continues(action, name, self.memory):
            return self._next_step(proposal, policy, workload)
        return ladder.objection(proposal, policy) or self._first_step(proposal, policy, workload)

    def _stopped(self, proposal: Proposal, policy: WorkloadPolicy, workload: WorkloadSeen | None) -> Reason | None:
        """Kill switch and pauses stop all but undoing; a floor on its way down undoes."""
        action = proposal.action
        if isinstance(action, SetFloor) and workload is not None and action.floor < (workload.hpa_min or 0):
            return None
        if self.policies.kill_switch:
            return Reason(ReasonCode.KILL_SWITCH)
        if policy.guardrails.paused:
            return Reason(ReasonCode.PAUSED, {"by": "the policy"})
        if workload is not None and workload.paused:
            return Reason(ReasonCode.PAUSED, {"by": "the workload"})
        return None

    def _next_step(self, proposal: Proposal, policy: WorkloadPolicy, workload: WorkloadSeen) -> Reason | None:
        """A running act goes on unless a rollout began, or the pods it counted on are gone."""
        if dims(proposal.action):
            return self._raise_of_other_lane(proposal)
        return self._rollout(proposal, workload) or self._rotation(proposal, policy, workload)

    def _first_step(self, proposal: Proposal, policy: WorkloadPolicy, workload: WorkloadSeen) -> Reason | None:
        brakes = [self._unhealthy(policy), self._contested(workload.name), self._rollout(proposal, workload)]
        if not is_emergency(proposal):
            brakes += [self._blind(), self._token(proposal, policy, workload.name)]
            brakes += [] if dims(proposal.action) else [self.rotation.foreign_cordon(workload)]
        return next((brake for brake in brakes if brake is not None), None) or self._rotation(
            proposal, policy, workload
        )

    def _unhealthy(self, policy: WorkloadPolicy) -> Reason | None:
        ratio, floor = self.healthy_ratio, policy.guardrails.cluster_health_floor
        if ratio is None or ratio >= floor:
            return None
        return Reason(ReasonCode.CLUSTER_UNHEALTHY, {"healthy_ratio": ratio, "floor": floor})

    def _blind(self) -> Reason | None:
        """A forecast made from figures that have since stopped coming is no evidence."""
        if isinstance(self.context, FastSeen):
            return None
        age_s = self.context.metrics_age_s
        if age_s is None:
            return Reason(ReasonCode.NO_METRICS)
        return Reason(ReasonCode.NO_METRICS, {"age_s": age_s}) if age_s > METRICS_STALE_S else None

    def _contested(self, name: str) -> Reason | None:
        return Reason(ReasonCode.CONTESTED) if is_contested(self.memory, name, self.now_s) else None

    def _rollout(self, proposal: Proposal, workload: WorkloadSeen) -> Reason | None:
        exempt = dims(proposal.action) or is_structural(proposal)
        return Reason(ReasonCode.ROLLOUT) if workload.rollout_in_progress and not exempt else None

    def _taken(self, name: str) -> Reason | None:
        """Who else changes which pods serve a workload."""
        act = self.memory.in_flight.get(name)
        if act is not None:
            return Reason(ReasonCode.TOKEN_TAKEN, {"kind": act.kind, "target": act.target})
        return Reason(ReasonCode.TOKEN_TAKEN) if name in self.touched else None

    def _token(self, proposal: Proposal, policy: WorkloadPolicy, name: str) -> Reason | None:
        """One act at a time, a pause between two, and not too many anywhere."""
        brakes = policy.guardrails
        # A ceiling takes no pod away, so that it adds nothing to what the token and the pause guard against.
        if not dims(proposal.action):
            taken = self._taken(name)
            if taken is not None:
                return taken
            last_s = self.memory.last_act_s.get(name)
            if last_s is not None and self.now_s - last_s < brakes.cooldown_s:
                return Reason(ReasonCode.COOLDOWN, {"left_s": brakes.cooldown_s - (self.now_s - last_s)})
        acts = sum(1 for at_s in self.memory.acts_at_s if self.now_s - at_s < brakes.storm_window_s)
        most = max(brakes.storm_acts, math.ceil(brakes.storm_ratio * len(self.policies.workloads)))
        if acts >= most:
            return Reason(ReasonCode.STORM, {"acts": acts, "most": most, "window_s": brakes.storm_window_s})
        return None

    def _lift_of_other_lane(self, proposal: Proposal) -> Reason | None:
        """A lane lifts only its own ceiling."""
        dimmed = self.memory.dimmed.get(proposal.workload)
        if not isinstance(proposal.action, SetBrownout) or dimmed is None or dimmed.fast == proposal.fast:
            return None
        return Reason(ReasonCode.TOKEN_TAKEN, {"kind": "brownout"})

    def _raise_of_other_lane(self, proposal: Proposal) -> Reason | None:
        """A lane raises only its own ceiling, but either may lower it further."""
        dimmed = self.memory.dimmed.get(proposal.workload)
        if not isinstance(proposal.action, SetBrownout) or dimmed is None or dimmed.fast == proposal.fast:
            return None
        if proposal.action.ceiling <= dimmed.ceiling:
            return None
        return Reason(ReasonCode.TOKEN_TAKEN, {"kind": "brownout"})

    def _rotation(self, proposal: Proposal, policy: WorkloadPolicy, workload: WorkloadSeen) -> Reason | None:
        """The drain cap and the last endpoint, for acts that take pods out of rotation."""
        action, cap_ratio = proposal.action, policy.guardrails.drain_cap_ratio
        if isinstance(action, ShiftZone):
            return self.rotation.zone_leaves(workload, action.zone)
        if not isinstance(action, SetTraffic | EvictPod):
            return None
        if is_dead(proposal):
            return self.rotation.dead_pod_leaves(workload, action.pod, None if is_structural(proposal) else cap_ratio)
        act = self.memory.in_flight.get(workload.name)
        replacing = act is not None and act.kind == "replace" and act.target == target_of(action)
        return self.rotation.live_pod_leaves(workload, action.pod, cap_ratio, for_good=replacing)

    def _remember(self, proposal: Proposal) -> None:
        action = proposal.action
        names = workloads_of(action)
        if is_floor(action):
            self.floored.update(names)
            return
        dead = is_dead(proposal)
        if not isinstance(action, SetBrownout):
            self.touched.update(names)
        if isinstance(action, SetTraffic) and not action.on:
            self.asked_off.add(f"{action.workload}/{action.pod}")
        if not any(self._enforced(name) for name in names):
            return
        if is_undo(action):
            self.memory = after_undo(self.memory, action)
        elif is_disruptive(action):
            # However many pods die with a node, taking them out is one act, and it holds no token: nothing is running.
            counted = not (dead and self.emergency_counted)
            token = isinstance(action, ShiftZone) or not (dead or dims(action))
            self.memory = after_act(self.memory, action, proposal.fast, token, counted, self.now_s)
            self.emergency_counted |= dead

    def _enforced(self, name: str) -> bool:
        policy = self.policies.workloads.get(name)
        return policy is not None and policy.mode is Mode.ENFORCE


def healthy_node_ratio(nodes: Sequence[NodeSeen]) -> float | None:
    """Share of nodes that are Ready, outside one failed zone; None without nodes. Unknown is not Ready."""
    if not nodes:
        return None
    zones: dict[str, list[bool]] = {}
    for node in nodes:
        zones.setdefault(node.zone, []).append(node.ready is True)
    failed = [
        zone for zone, ready in zones.items() if ready.count(False) >= FAILED_ZONE_RATIO * len(ready) and len(zones) > 1
    ]
    excluded = max(failed, key=lambda zone: (len(zones[zone]), zone), default=None)
    counted = [ready for zone, states in zones.items() if zone != excluded for ready in states]
    return sum(counted) / len(counted)
