"""From resources to what the decision core and the adapters are told. Pure; nothing in a resource makes it fail."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from forecasting.forecast import DeclaredEvent
from foresail.resources.bindings import WorkloadBinding, binding_of
from foresail.resources.matching import WorkloadRef, matched, one_of_each_name
from foresail.resources.occurrences import expanded
from foresail.resources.policy_resource import PolicyResource
from foresail.resources.problems import PolicyName, Problem, ProblemKind
from foresail.resources.spec import Spec
from foresail.resources.targets import Role, Target
from foresail.resources.workload_policy import workload_policy
from policies.model import PolicySet, WorkloadPolicy


@dataclass(frozen=True, slots=True)
class Mapped:
    """Policies and bindings by workload key, and what is wrong with the resources."""

    policies: PolicySet
    bindings: Mapping[str, WorkloadBinding]
    problems: tuple[Problem, ...]

    def workloads_of(self, policy: PolicyName) -> tuple[str, ...]:
        return tuple(key for key, binding in self.bindings.items() if binding.policy == policy)

    def problems_of(self, policy: PolicyName) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.policy == policy)


@dataclass(frozen=True, slots=True)
class _Claim:
    resource: PolicyResource
    target: Target
    workload: WorkloadRef


def mapped(
    resources: Iterable[PolicyResource], workloads: Iterable[WorkloadRef], now_s: float, kill_switch: bool = False
) -> Mapped:
    """Every workload under the oldest usable policy that names it; a younger one does without it and is told so."""
    resources = tuple({resource.name: resource for resource in resources}.values())
    by_namespace: dict[str, dict[str, WorkloadRef]] = {}
    for workload in one_of_each_name(workloads):
        by_namespace.setdefault(workload.namespace, {})[workload.name] = workload
    problems = [problem for resource in resources for problem in resource.problems]
    claims: dict[str, _Claim] = {}
    usable = [(resource, resource.spec) for resource in resources if resource.spec is not None]
    for resource, spec in sorted(usable, key=lambda pair: (pair[0].created_at_s, pair[0].name)):
        problems += _claimed(resource, spec, by_namespace.get(resource.name.namespace, {}), claims)
    own: dict[PolicyName, dict[str, list[WorkloadRef]]] = {}
    for claim in claims.values():
        own.setdefault(claim.resource.name, {}).setdefault(claim.target.name, []).append(claim.workload)
    policies: dict[str, WorkloadPolicy] = {}
    bindings: dict[str, WorkloadBinding] = {}
    for resource, spec in usable:
        problems += _written(resource, spec, own.get(resource.name, {}), now_s, policies, bindings)
    return Mapped(PolicySet(policies, kill_switch), bindings, tuple(problems))


def _claimed(
    resource: PolicyResource, spec: Spec, workloads: Mapping[str, WorkloadRef], claims: dict[str, _Claim]
) -> list[Problem]:
    """Takes what no older policy has, and says what could not be had."""
    problems: list[Problem] = []
    found = matched(spec, workloads)
    for index, target in enumerate(spec.targets):
        field = f"spec.targets[{index}]"
        if not found[target.name]:
            problems.append(_no_workload(resource, target, field, workloads))
        for workload in found[target.name]:
            taken = claims.get(workload.key)
            if taken is None:
                claims[workload.key] = _Claim(resource, target, workload)
            else:
                problems += _conflict(taken, resource, workload.key, field)
    return problems


def _no_workload(resource: PolicyResource, target: Target, field: str, workloads: Mapping[str, WorkloadRef]) -> Problem:
    namespace, wanted = resource.name.namespace, target.workload
    if wanted is None:
        message = f"no workload of {namespace} that is left carries these labels: label the workload, not only its pods"
        return Problem(resource.name, ProblemKind.NO_WORKLOAD, f"{field}.selector", message)
    other = workloads.get(wanted.name)
    but = "" if other is None or other.kind == wanted.kind else f", but a {other.kind}"
    fix = "correct kind or name, or create it"
    if wanted.kind not in ("Deployment", "StatefulSet"):
        fix += "; other kinds than Deployment and StatefulSet have to be in the chart's scaleResources"
    message = f"there is no {wanted.kind} {namespace}/{wanted.name}{but}: {fix}"
    return Problem(resource.name, ProblemKind.NO_WORKLOAD, f"{field}.workload", message)


def _conflict(taken: _Claim, younger: PolicyResource, workload: str, field: str) -> list[Problem]:
    older = taken.resource
    index = older.spec.targets.index(taken.target) if older.spec is not None else 0
    return [
        Problem(
            younger.name,
            ProblemKind.CONFLICT,
            field,
            f"{workload} is under the older policy {older.name} and stays there: remove it from one of the two",
            workload,
        ),
        Problem(
            older.name,
            ProblemKind.CONFLICT,
            f"spec.targets[{index}]",
            f"{workload} is also named by the younger policy {younger.name}, which does without it: remove it from"
            " one of the two",
            workload,
        ),
    ]


def _written(
    resource: PolicyResource,
    spec: Spec,
    own: Mapping[str, Sequence[WorkloadRef]],
    now_s: float,
    policies: dict[str, WorkloadPolicy],
    bindings: dict[str, WorkloadBinding],
) -> list[Problem]:
    """Adds policies and bindings of one resource's workloads, `own` by target. Those of a target differ in little."""
    entries, problems = _entries(resource, spec, own)
    events, event_problems = _events(resource, spec, now_s)
    for target in spec.targets:
        workloads = own.get(target.name, ())
        if not workloads:
            continue
        entry = None if target.driven_by is None else entries.get(target.driven_by)
        first = workloads[0]
        policy = workload_policy(spec, target, first.key, entry, events.get(target.name, ()), resource.paused)
        binding = binding_of(resource.name, spec, target, first.key, first.kind)
        for workload in workloads:
            policies[workload.key] = replace(policy, workload=workload.key)
            bindings[workload.key] = replace(binding, workload=workload.key, kind=workload.kind)
    return problems + event_problems


def _entries(
    resource: PolicyResource, spec: Spec, own: Mapping[str, Sequence[WorkloadRef]]
) -> tuple[dict[str, str], list[Problem]]:
    """The workload behind every `drivenBy`. Where that is not exactly one, the driven ones stand on their own."""
    entries: dict[str, str] = {}
    problems: list[Problem] = []
    for index, target in enumerate(spec.targets):
        if target.driven_by is None or target.name not in own:
            continue
        candidates = own.get(target.driven_by, ())
        if len(candidates) == 1:
            entries[target.driven_by] = candidates[0].key
            continue
        message = (
            f"target {target.driven_by} matches {len(candidates)} workloads, so its demand is forecast by itself: let"
            f" {target.driven_by} name exactly one"
        )
        problems.append(Problem(resource.name, ProblemKind.ENTRY_UNCLEAR, f"spec.targets[{index}].drivenBy", message))
    return entries, problems


def _events(
    resource: PolicyResource, spec: Spec, now_s: float
) -> tuple[dict[str, tuple[DeclaredEvent, ...]], list[Problem]]:
    """Occurrences by target. An event that names no target concerns all entries, and through them what they drive."""
    entries = [target.name for target in spec.targets if target.role is Role.ENTRY]
    events: dict[str, tuple[DeclaredEvent, ...]] = {}
    problems: list[Problem] = []
    for index, found in enumerate(expanded(spec.events, now_s)):
        for target in found.event.targets or entries:
            events[target] = (*events.get(target, ()), *found.occurrences)
        if found.dropped is not None:
            field = f"spec.events[{index}]"
            problems.append(Problem(resource.name, ProblemKind.EVENT_DROPPED, field, found.dropped))
    return events, problems
