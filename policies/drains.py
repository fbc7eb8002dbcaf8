"""Drains: a pod out of rotation for a while, after capacity for it has come, and back again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from policies import growth
from policies.decision import Proposal, Reason, ReasonCode, SetTraffic
from policies.model import PodSeen, Rung, WorkloadPolicy, WorkloadSeen
from policies.outliers import SIGNALS as OUTLIER_SIGNALS
from policies.risk import Curve

ASK_S = 45.0  # a label not seen after three ticks was refused
PREPARE_SLACK_S = 30.0  # beyond the lead time: one tick for the floor and one for the HPA
IMMINENT_S = 60.0
RENEW_S = 45.0  # before the expiry: three ticks
PROBATION_S = 180.0  # of an outlier
OVERDUE_S = 5.0
SIGNAL_STEP_S = 60.0

Tended = tuple[Proposal | None, tuple[Reason, ...], "Drain | None"]


@dataclass(frozen=True, slots=True)
class Drain:
    """A pod out of rotation by our hand, or about to be: `off_seen` tells."""

    workload: str
    pod: str
    signal: str
    confidence: float
    asked_at_s: float
    expires_at_s: float
    ttl_s: float
    endpoints_before: int
    preparing: bool  # the floor is raised first
    off_seen: bool = False


def begin(
    workload: WorkloadSeen,
    pod: str,
    signal: str,
    confidence: float,
    reasons: tuple[Reason, ...],
    ttl_s: float,
    urgent: bool,
    now_s: float,
) -> tuple[Proposal | None, Drain]:
    """A drain that first waits for one more endpoint; an urgent one does not."""
    drain = Drain(
        workload.name,
        pod,
        signal,
        confidence,
        asked_at_s=now_s,
        expires_at_s=now_s + ttl_s,
        ttl_s=ttl_s,
        endpoints_before=len(workload.endpoints),
        preparing=not urgent,
    )
    return (_off(drain, reasons) if urgent else None), drain


def tend(
    drain: Drain,
    workload: WorkloadSeen,
    policy: WorkloadPolicy,
    lead_s: float,
    curves: Sequence[Curve],
    now_s: float,
) -> Tended:
    """What a drain under way needs: its flip when capacity is there, its renewal, its undo; None when it is over."""
    pod = next((candidate for candidate in workload.pods if candidate.name == drain.pod), None)
    if pod is None or pod.deleting or pod.detached:
        return None, (), None
    # What a leak will do says nothing about a pod that left because it was slow.
    own = [curve for curve in curves if curve.target.member == drain.pod and drain.signal == curve.target.kind.value]
    if drain.preparing:
        return _prepare(drain, workload, lead_s, own, now_s)
    if not pod.traffic_on:
        return _while_off(replace(drain, off_seen=True), pod, policy, lead_s, own, now_s)
    if drain.off_seen:
        over = ReasonCode.EXPIRED if now_s >= drain.expires_at_s else ReasonCode.RECOVERED
        return None, (_reason(over, drain),), None
    if now_s - drain.asked_at_s >= ASK_S:
        return None, (), None
    return _off(drain, (_reason(_cause(drain), drain),)), (), drain


def _prepare(drain: Drain, workload: WorkloadSeen, lead_s: float, own: Sequence[Curve], now_s: float) -> Tended:
    """The flip comes when one more endpoint serves, when it has had the time to, or when the pod is about to fail."""
    come = len(workload.endpoints) > drain.endpoints_before
    waited = now_s - drain.asked_at_s >= lead_s + PREPARE_SLACK_S
    imminent = any(curve.by(now_s + IMMINENT_S) >= 0.5 for curve in own)
    if not (come or waited or imminent):
        return None, (_reason(ReasonCode.REPLACEMENT_WAITING, drain),), drain
    flipped = replace(drain, preparing=False, asked_at_s=now_s, expires_at_s=now_s + drain.ttl_s)
    return _off(flipped, (_reason(_cause(drain), drain),)), (), flipped


def _while_off(
    drain: Drain, pod: PodSeen, policy: WorkloadPolicy, lead_s: float, own: Sequence[Curve], now_s: float
) -> Tended:
    if now_s >= drain.expires_at_s:
        # It comes back by itself; the write is for the case that it did not.
        overdue = now_s - drain.expires_at_s >= OVERDUE_S
        expired = (_reason(ReasonCode.EXPIRED, drain),)
        return (_on(drain, expired) if overdue else None), expired, drain
    deadline_s = now_s + growth.horizon_s(policy, lead_s, SIGNAL_STEP_S)
    probability = max((curve.by(deadline_s) for curve in own), default=None)
    if probability is not None and probability < policy.healing.release_probability:
        recovered = (
            Reason(ReasonCode.RECOVERED, {"pod": pod.name, "signal": drain.signal, "probability": probability}),
        )
        return _on(drain, recovered), recovered, drain
    if probability is not None and drain.expires_at_s - now_s <= RENEW_S:
        renewed = replace(drain, expires_at_s=now_s + drain.ttl_s)
        return _off(renewed, (_reason(ReasonCode.FAILURE_EXPECTED, drain),)), (), renewed
    return None, (_reason(_cause(drain), drain, until_s=drain.expires_at_s),), drain


def _cause(drain: Drain) -> ReasonCode:
    return ReasonCode.OUTLIER if drain.signal in OUTLIER_SIGNALS else ReasonCode.FAILURE_EXPECTED


def _reason(code: ReasonCode, drain: Drain, **facts: float | str) -> Reason:
    return Reason(code, {"pod": drain.pod, "signal": drain.signal, **facts})


def _off(drain: Drain, reasons: tuple[Reason, ...]) -> Proposal:
    action = SetTraffic(drain.workload, drain.pod, on=False, expires_at_s=drain.expires_at_s)
    return Proposal(drain.workload, Rung.DRAIN, action, drain.confidence, reasons, disruptive=True)


def _on(drain: Drain, reasons: tuple[Reason, ...]) -> Proposal:
    action = SetTraffic(drain.workload, drain.pod, on=True)
    return Proposal(drain.workload, Rung.DRAIN, action, 1.0, reasons, disruptive=False)
