"""Conditions of a ResiliencePolicy. Messages hold no figure that changes from tick to tick: each change is a write."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from foresail.resources.policy_resource import PolicyResource
from foresail.resources.problems import Problem, ProblemKind
from foresail.resources.shown import iso
from foresail.resources.status import CalibrationShown, Condition, ConditionType, Truth, Verdict
from policies.decision import Decision, ReasonCode
from policies.floors import FloorState

_MESSAGE_LENGTH = 2048


@dataclass(frozen=True, slots=True)
class ConditionSeen:
    """One condition as it is now, without history."""

    type: ConditionType
    status: Truth
    reason: str
    message: str = ""


def conditions_of(
    policy: PolicyResource,
    problems: Sequence[Problem],
    workloads: Sequence[str],
    decisions: Sequence[Decision],
    floors: Mapping[str, FloorState],
    calibration: CalibrationShown | None,
    now_s: float,
    kill_switch: bool = False,
) -> tuple[ConditionSeen, ...]:
    """All conditions of one policy. `decisions` are those of its workloads' last full tick, none before the first."""
    return (
        _ready(policy, problems, workloads),
        _conflict(problems),
        _paused(policy, kill_switch),
        _contested(decisions, floors, now_s),
        _of_decisions(
            decisions,
            ConditionType.DEMAND_ABOVE_MAX,
            ReasonCode.DEMAND_ABOVE_MAX,
            ("MaxReplicasTooLow", "DemandFits"),
            lambda names: f"forecast demand needs more than maxReplicas allows: raise maxReplicas of {names}",
        ),
        _of_decisions(
            decisions,
            ConditionType.METRICS_MISSING,
            ReasonCode.NO_METRICS,
            ("NoAnswerFromPrometheus", "MetricsSeen"),
            lambda names: f"everything holds for {names}: check Prometheus and spec.metrics",
        ),
        _calibration(calibration),
    )


def with_history(
    seen: Sequence[ConditionSeen], before: Sequence[Condition], generation: int | None, now_s: float
) -> tuple[Condition, ...]:
    """The conditions with the time at which each one's status last changed."""
    known = {condition.type: condition for condition in before}
    written = []
    for one in {one.type: one for one in seen}.values():
        old = known.get(one.type)
        since = old.last_transition_time if old is not None and old.status is one.status else iso(now_s)
        written.append(
            Condition(
                type=one.type,
                status=one.status,
                reason=one.reason,
                message=one.message[:_MESSAGE_LENGTH],
                observed_generation=generation,
                last_transition_time=since,
            )
        )
    return tuple(sorted(written, key=lambda condition: list(ConditionType).index(condition.type)))


def _ready(policy: PolicyResource, problems: Sequence[Problem], workloads: Sequence[str]) -> ConditionSeen:
    told = "; ".join(f"{problem.field}: {problem.message}" for problem in problems)
    if policy.spec is None:
        return ConditionSeen(ConditionType.READY, Truth.FALSE, ProblemKind.INVALID.value, told)
    if not workloads:
        reason = problems[0].kind.value if problems else ProblemKind.NO_WORKLOAD.value
        return ConditionSeen(ConditionType.READY, Truth.FALSE, reason, told or "spec.targets: no workload matches")
    if problems:
        return ConditionSeen(ConditionType.READY, Truth.TRUE, "PartlyFollowed", told)
    return ConditionSeen(ConditionType.READY, Truth.TRUE, "Followed")


def _conflict(problems: Sequence[Problem]) -> ConditionSeen:
    conflicts = [problem for problem in problems if problem.kind is ProblemKind.CONFLICT]
    if not conflicts:
        return ConditionSeen(ConditionType.CONFLICT, Truth.FALSE, "OnePolicyPerWorkload")
    told = "; ".join(f"{problem.field}: {problem.message}" for problem in conflicts)
    return ConditionSeen(ConditionType.CONFLICT, Truth.TRUE, ProblemKind.CONFLICT.value, told)


def _paused(policy: PolicyResource, kill_switch: bool) -> ConditionSeen:
    if kill_switch:
        message = "the operator's kill switch is on: set stop to false in its ConfigMap to go on"
        return ConditionSeen(ConditionType.PAUSED, Truth.TRUE, "KillSwitch", message)
    if policy.paused:
        message = 'the annotation foresail.dev/paused is set: remove it or write "false" to go on'
        return ConditionSeen(ConditionType.PAUSED, Truth.TRUE, "Annotation", message)
    return ConditionSeen(ConditionType.PAUSED, Truth.FALSE, "NotPaused")


def _contested(decisions: Sequence[Decision], floors: Mapping[str, FloorState], now_s: float) -> ConditionSeen:
    names = {workload for workload, state in floors.items() if (state.contested_until_s or now_s) > now_s}
    names |= _with_code(decisions, ReasonCode.CONTESTED)
    if not names:
        return ConditionSeen(ConditionType.CONTESTED, Truth.FALSE, "NobodyElseWrites")
    message = (
        f"somebody else keeps changing what Foresail wrote to {_listed(names)}: see `foresail onboard` for ignore rules"
    )
    return ConditionSeen(ConditionType.CONTESTED, Truth.TRUE, "ChangedByOthers", message)


def _of_decisions(
    decisions: Sequence[Decision],
    kind: ConditionType,
    code: ReasonCode,
    reasons: tuple[str, str],
    message: Callable[[str], str],
) -> ConditionSeen:
    """True where the last full decision of some workload names `code`."""
    if not any(not decision.fast for decision in decisions):
        return ConditionSeen(kind, Truth.UNKNOWN, "NothingDecidedYet")
    names = _with_code(decisions, code)
    if not names:
        return ConditionSeen(kind, Truth.FALSE, reasons[1])
    return ConditionSeen(kind, Truth.TRUE, reasons[0], message(_listed(names)))


def _calibration(calibration: CalibrationShown | None) -> ConditionSeen:
    kind = ConditionType.CALIBRATION_POOR
    if calibration is None or calibration.verdict is Verdict.LEARNING:
        return ConditionSeen(kind, Truth.UNKNOWN, "Learning")
    if calibration.verdict is Verdict.GOOD:
        return ConditionSeen(kind, Truth.FALSE, "ForecastsEarnTrust")
    message = (
        f"not trusted at the moment: {_listed(calibration.doubted)}; disruptive acts that rest on these are not done"
    )
    return ConditionSeen(kind, Truth.TRUE, "ForecastsOftenWrong", message)


def _with_code(decisions: Sequence[Decision], code: ReasonCode) -> set[str]:
    """Workloads whose full decisions name `code`, as reason or as veto."""
    return {
        decision.workload
        for decision in decisions
        if not decision.fast
        and (
            any(reason.code is code for reason in decision.reasons)
            or any(veto.reason.code is code for veto in decision.vetoes)
        )
    }


def _listed(names: Sequence[str] | set[str]) -> str:
    told = sorted(names)
    return ", ".join(told[:5]) + (f" and {len(told) - 5} more" if len(told) > 5 else "")
