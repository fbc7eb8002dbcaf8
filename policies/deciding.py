"""From accepted and stopped proposals to decisions: one per workload, with its mode, reasons and a stable name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from policies.decision import Action, Decision, Proposal, Reason, ReasonCode, ShiftZone, Veto
from policies.model import Mode, PolicySet

Reasons = Mapping[str, tuple[Reason, ...]]


def decided(
    names: Sequence[str],
    accepted: Sequence[Proposal],
    vetoes: Sequence[Veto],
    said: Sequence[Reasons],
    policies: PolicySet,
    now_s: float,
    *,
    model: str | None = None,
    fast: bool = False,
) -> tuple[Decision, ...]:
    """One decision for each of `names`, in their order. `said` are the reasons of each part of the core by workload."""
    chosen: dict[str, list[Proposal]] = {}
    for proposal in accepted:
        chosen.setdefault(proposal.workload, []).append(proposal)
    stopped: dict[str, list[Veto]] = {}
    for veto in vetoes:
        stopped.setdefault(veto.proposal.workload, []).append(veto)
    decisions = []
    for name in names:
        mode = policies.workloads[name].mode
        proposals = chosen.get(name, ())
        actions, withheld = _by_mode([proposal.action for proposal in proposals], mode, policies)
        reasons = _reasons(proposals, said, name)
        if withheld:
            reasons = (*reasons, Reason(ReasonCode.MODE, {"mode": mode.value}))
        decisions.append(
            Decision(
                id=decision_id(name, now_s, fast=fast),
                at_s=now_s,
                workload=name,
                mode=mode,
                actions=actions,
                reasons=reasons,
                withheld=withheld,
                vetoes=tuple(stopped.get(name, ())),
                confidence=_confidence(proposals),
                model=model,
                fast=fast,
            )
        )
    return tuple(decisions)


def _by_mode(
    actions: Sequence[Action], mode: Mode, policies: PolicySet
) -> tuple[tuple[Action, ...], tuple[Action, ...]]:
    """(what is done, what is only shown). A zone shift leaves out the workloads whose policy does not enforce."""
    if mode is not Mode.ENFORCE:
        return (), tuple(actions)
    return tuple(_enforced(action, policies) for action in actions), ()


def _enforced(action: Action, policies: PolicySet) -> Action:
    if not isinstance(action, ShiftZone):
        return action
    names = (name for name in action.workloads if name in policies.workloads)
    return replace(action, workloads=tuple(name for name in names if policies.workloads[name].mode is Mode.ENFORCE))


def _reasons(proposals: Sequence[Proposal], said: Sequence[Reasons], name: str) -> tuple[Reason, ...]:
    """What the proposals and the parts of the core say about a workload, each thing once."""
    groups = [proposal.reasons for proposal in proposals]
    groups += [part[name] for part in said if part.get(name)]
    if len(groups) == 1:
        return groups[0]
    reasons: list[Reason] = []
    for group in groups:
        for reason in group:
            if reason not in reasons:
                reasons.append(reason)
    return tuple(reasons) or (Reason(ReasonCode.NOTHING_TO_DO),)


def _confidence(proposals: Sequence[Proposal]) -> float | None:
    """Of the boldest act; floors count only where there is nothing else."""
    return max(proposals, key=lambda proposal: proposal.rung).confidence if proposals else None


def hold(policies: PolicySet, reason: Reason, now_s: float) -> tuple[Decision, ...]:
    """The decision to do nothing, for every workload, for one reason."""
    return tuple(
        Decision(decision_id(name, now_s), now_s, name, policy.mode, (), (reason,))
        for name, policy in policies.workloads.items()
    )


def decision_id(workload: str, now_s: float, *, fast: bool = False) -> str:
    """The same for the same workload and time, before and after a restart."""
    return f"{'f' if fast else 'd'}-{round(now_s * 1000)}-{workload}"
