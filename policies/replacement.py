"""Make-before-break: a degrading pod leaves only after its replacement serves.

The order is detach → replacement Ready and warm → traffic off → drained → look again → evict. Whatever goes wrong
before the eviction is undone: traffic on, then reattach. A pod that harms users is of no use while it serves on: its
traffic goes off at once where the others can carry the load, and only its eviction waits for the replacement.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from policies.decision import Action, DetachPod, EvictPod, Proposal, Reason, ReasonCode, ReattachPod, SetTraffic
from policies.model import PodSeen, Rung, WorkloadSeen
from policies.outliers import SIGNALS as OUTLIER_SIGNALS

DEADLINE_S = 600.0
ASK_S = 45.0  # a detach not seen after three ticks was refused
WARM_UP_S = 15.0  # Ready says "answers"; caches and connections come with the first requests
DRAIN_S = 15.0  # endpoint propagation and requests under way
WORSE_ERROR_RATIO = 0.05  # more errors than before by this much after the drain: the replacement does not help


class Phase(StrEnum):
    """Where a replacement stands. Each name says what is being waited for."""

    DETACHING = "detaching"  # until the pod is seen outside its ReplicaSet
    WAITING = "waiting"  # until the replacement is Ready and warm
    DRAINING = "draining"  # until the pod gets no traffic any more
    EVICTING = "evicting"  # until the pod is gone
    UNDOING = "undoing"  # until traffic is on and the pod is back in its ReplicaSet


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement under way. All that a restarted controller needs to carry on."""

    workload: str
    pod: str
    phase: Phase
    started_at_s: float
    phase_since_s: float
    deadline_s: float
    ready_before: int  # pods that were Ready when it began, this one included
    confidence: float
    signal: str  # what was expected to fail, for the explanation
    error_ratio_before: float | None = None
    relieved: bool = False  # it harms users, and the others carry its load until the replacement serves
    off_since_s: float | None = None  # when the pod was first seen without traffic


Step = tuple[Proposal | None, tuple[Reason, ...], Replacement | None]


def begin(
    workload: WorkloadSeen,
    pod: str,
    signal: str,
    confidence: float,
    reasons: tuple[Reason, ...],
    relieved: bool,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Replacement]:
    """The first step: the pod leaves its ReplicaSet, which makes another one, and keeps serving unless `relieved`."""
    ready = sum(1 for candidate in workload.pods if candidate.ready and not candidate.detached)
    replacement = Replacement(
        workload.name,
        pod,
        Phase.DETACHING,
        now_s,
        now_s,
        now_s + DEADLINE_S,
        ready_before=ready,
        confidence=confidence,
        signal=signal,
        error_ratio_before=workload.error_ratio,
        relieved=relieved,
    )
    detach = _proposal(replacement, DetachPod(workload.name, pod, replacement.deadline_s), reasons)
    return ((detach, _off(replacement, reasons)) if relieved else (detach,)), replacement


def step(replacement: Replacement, workload: WorkloadSeen, carried: bool, drain_limit_s: float, now_s: float) -> Step:
    """What to do next, what there is to say, and the replacement as it stands; None when it is over.

    `carried`: the pod harms users and the others can do without it as of now. `drain_limit_s`: how long requests under
    way may keep it once it gets no new ones.
    """
    pod = next((candidate for candidate in workload.pods if candidate.name == replacement.pod), None)
    if pod is None or pod.deleting:
        return None, (_reason(ReasonCode.REPLACEMENT_READY, replacement, gone="yes"),), None
    if replacement.phase is not Phase.UNDOING and now_s >= replacement.deadline_s:
        replacement = _enter(replacement, Phase.UNDOING, now_s)
    match replacement.phase:
        case Phase.DETACHING:
            return _detaching(replacement, pod, now_s)
        case Phase.WAITING:
            return _waiting(replacement, pod, workload, carried, drain_limit_s, now_s)
        case Phase.DRAINING:
            return _draining(replacement, pod, workload, drain_limit_s, now_s)
        case Phase.EVICTING:
            return _evicting(replacement, pod, workload, now_s)
        case Phase.UNDOING:
            return _undoing(replacement, pod, now_s)


def _detaching(replacement: Replacement, pod: PodSeen, now_s: float) -> Step:
    if pod.detached:
        waiting = _enter(replacement, Phase.WAITING, now_s)
        return None, (_reason(ReasonCode.REPLACEMENT_WAITING, waiting),), waiting
    if now_s - replacement.started_at_s >= ASK_S:
        # It was refused. What was taken along with it has to come back.
        return (None, (), None) if pod.traffic_on else _undoing(_enter(replacement, Phase.UNDOING, now_s), pod, now_s)
    action = DetachPod(replacement.workload, pod.name, replacement.deadline_s)
    return _proposal(replacement, action, (_reason(_cause(replacement), replacement),)), (), replacement


def _waiting(
    replacement: Replacement, pod: PodSeen, workload: WorkloadSeen, carried: bool, drain_limit_s: float, now_s: float
) -> Step:
    if not pod.detached:  # somebody put it back
        return None, (_reason(ReasonCode.REPLACEMENT_UNDONE, replacement),), None
    come = has_come(replacement, workload, now_s)
    if come or carried or not pod.traffic_on:
        code = ReasonCode.REPLACEMENT_READY if come else _cause(replacement)
        draining = _enter(replace(replacement, relieved=not come), Phase.DRAINING, now_s)
        if not pod.traffic_on:
            return _draining(draining, pod, workload, drain_limit_s, now_s)
        return _off(draining, (_reason(code, draining),)), (), draining
    return None, (_reason(ReasonCode.REPLACEMENT_WAITING, replacement),), replacement


def has_come(replacement: Replacement, workload: WorkloadSeen, now_s: float) -> bool:
    """Whether as many pods serve without the old one as did with it, the newest of them warm.

    Fewer will do when the workload was meanwhile scaled down.
    """
    warm = [
        candidate
        for candidate in workload.pods
        if candidate.ready
        and candidate.traffic_on
        and not candidate.detached
        and candidate.ready_at_s is not None
        and now_s - candidate.ready_at_s >= WARM_UP_S
    ]
    return len(warm) >= min(replacement.ready_before, max(1, workload.replicas))


def _draining(
    replacement: Replacement, pod: PodSeen, workload: WorkloadSeen, drain_limit_s: float, now_s: float
) -> Step:
    come = has_come(replacement, workload, now_s)
    if pod.traffic_on:
        if not come and not replacement.relieved:  # it came and went
            waiting = _enter(replacement, Phase.WAITING, now_s)
            return None, (_reason(ReasonCode.REPLACEMENT_WAITING, waiting),), waiting
        code = ReasonCode.REPLACEMENT_READY if come else _cause(replacement)
        return _off(replacement, (_reason(code, replacement),)), (), replacement
    if replacement.off_since_s is None:
        replacement = replace(replacement, off_since_s=now_s)
    off_since_s = now_s if replacement.off_since_s is None else replacement.off_since_s
    idle = pod.rate_rps is not None and pod.rate_rps <= 0.5
    served_off = now_s - off_since_s >= (DRAIN_S if idle else max(DRAIN_S, drain_limit_s))  # unknown is not idle
    if not served_off or (replacement.relieved and not come):
        return None, (_reason(ReasonCode.REPLACEMENT_WAITING, replacement),), replacement
    return _evicting(_enter(replacement, Phase.EVICTING, now_s), pod, workload, now_s)


def _evicting(replacement: Replacement, pod: PodSeen, workload: WorkloadSeen, now_s: float) -> Step:
    before = replacement.error_ratio_before or 0.0
    worse = workload.error_ratio is not None and workload.error_ratio - before > WORSE_ERROR_RATIO
    if worse or not has_come(replacement, workload, now_s) or not pod.detached:
        return _undoing(_enter(replacement, Phase.UNDOING, now_s), pod, now_s)
    ready = (_reason(ReasonCode.REPLACEMENT_READY, replacement),)
    return _proposal(replacement, EvictPod(workload.name, pod.name), ready), (), replacement


def _undoing(replacement: Replacement, pod: PodSeen, now_s: float) -> Step:
    """Traffic first, then the ReplicaSet: one write at a time, each seen before the next."""
    undone = (_reason(ReasonCode.REPLACEMENT_UNDONE, replacement),)
    if not pod.traffic_on:
        return _undo(replacement, SetTraffic(replacement.workload, pod.name, on=True), undone), (), replacement
    if pod.detached:
        return _undo(replacement, ReattachPod(replacement.workload, pod.name), undone), (), replacement
    return None, undone, None


def _off(replacement: Replacement, reasons: tuple[Reason, ...]) -> Proposal:
    action = SetTraffic(replacement.workload, replacement.pod, on=False, expires_at_s=replacement.deadline_s)
    return _proposal(replacement, action, reasons)


def _cause(replacement: Replacement) -> ReasonCode:
    return ReasonCode.OUTLIER if replacement.signal in OUTLIER_SIGNALS else ReasonCode.FAILURE_EXPECTED


def _enter(replacement: Replacement, phase: Phase, now_s: float) -> Replacement:
    return replace(replacement, phase=phase, phase_since_s=now_s)


def _reason(code: ReasonCode, replacement: Replacement, **facts: float | str) -> Reason:
    return Reason(
        code, {"pod": replacement.pod, "signal": replacement.signal, "phase": replacement.phase.value, **facts}
    )


def _proposal(replacement: Replacement, action: Action, reasons: tuple[Reason, ...]) -> Proposal:
    return Proposal(replacement.workload, Rung.REPLACE, action, replacement.confidence, reasons, disruptive=True)


def _undo(replacement: Replacement, action: Action, reasons: tuple[Reason, ...]) -> Proposal:
    return Proposal(replacement.workload, Rung.REPLACE, action, 1.0, reasons, disruptive=False)
