"""All that onboarding has to say about workloads under policies. Pure: objects and policies in, report out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from foresail.actuators import paths
from foresail.actuators.api import Json
from foresail.objects.object_state import ObjectState
from foresail.onboarding import ladder, preconditions, traffic_label
from foresail.onboarding.findings import Change, WorkloadReport
from foresail.onboarding.gitops import Written, written_field
from foresail.onboarding.lean_hpa import leaner
from foresail.onboarding.snapshot import Snapshot
from foresail.resources.mapping import Mapped, mapped
from foresail.resources.matching import WorkloadRef
from foresail.resources.policy_resource import read_policy
from foresail.resources.problems import Problem
from foresail.resources.targets import Role
from foresail.state_directory import StateDirectory

#: What a policy of ours can name at once.
_MOST_TARGETS = 64


@dataclass(frozen=True, slots=True)
class Onboarding:
    """`written`: the fields that Foresail writes in these workloads' objects, for whoever keeps them as in Git."""

    workloads: tuple[WorkloadReport, ...]
    problems: tuple[Problem, ...]
    written: tuple[Written, ...]

    @property
    def missing(self) -> int:
        return len(self.problems) + sum(report.missing for report in self.workloads)


def onboarding(held: Snapshot, policies: Iterable[object], now_s: float) -> Onboarding:
    """What is left to do for every workload that a policy selects."""
    state = held.state()
    resources = [read_policy(body) for body in policies]
    declared = mapped(resources, _references(state), now_s)
    directory = StateDirectory(lambda: state, lambda: declared.bindings)
    reports = [_report(held, state, declared, directory, key) for key in sorted(declared.bindings)]
    served = [state.workloads[key] for key in sorted(declared.bindings) if declared.policies.workloads[key].stateless]
    return Onboarding(tuple(reports), declared.problems, tuple(written_field(workload) for workload in served))


def policies_for_all(held: Snapshot, namespaces: Sequence[str]) -> list[Json]:
    """Policies as if every Deployment of the namespaces were named by one, for the time before there are any."""
    policies: list[Json] = []
    for namespace in namespaces:
        names = sorted(row["metadata"]["name"] for row in held.of(paths.DEPLOYMENTS, namespace))
        for begin in range(0, len(names), _MOST_TARGETS):
            targets = [
                {"name": f"target-{number}", "workload": {"name": name}}
                for number, name in enumerate(names[begin : begin + _MOST_TARGETS])
            ]
            policies.append(
                {
                    "apiVersion": "foresail.dev/v1alpha1",
                    "kind": "ResiliencePolicy",
                    "metadata": {"name": f"none-yet-{begin}" if begin else "none-yet", "namespace": namespace},
                    "spec": {"targets": targets},
                }
            )
    return policies


def _references(state: ObjectState) -> list[WorkloadRef]:
    return [
        WorkloadRef(found.record.meta.namespace, found.record.meta.name, found.kind, found.record.meta.labels)
        for found in state.workloads.values()
    ]


def _report(
    held: Snapshot, state: ObjectState, declared: Mapped, directory: StateDirectory, key: str
) -> WorkloadReport:
    workload, binding, policy = state.workloads[key], declared.bindings[key], declared.policies.workloads[key]
    target = directory.find(key)
    if target is None:
        raise LookupError(f"{key} is bound, but not there")
    own = held.get(target.path)
    entrances = traffic_label.services_of(held, state, workload)
    candidate = ladder.Candidate(held, workload, target, policy, binding)
    serves = policy.stateless
    return WorkloadReport(
        workload=key,
        kind=workload.kind,
        policy=str(binding.policy),
        target=binding.target,
        role=_role(policy.stateless, policy.entry),
        steps=traffic_label.steps_towards(held, workload, entrances) if serves else (),
        findings=(
            *traffic_label.label_findings(held, workload, entrances, own),
            *preconditions.findings(held, workload, own, binding, _at_rest(candidate)),
        )
        if serves
        else (),
        rungs=ladder.answers(candidate),
        lean=_leaner(held, candidate) if serves else None,
    )


def _at_rest(candidate: ladder.Candidate) -> int:
    """How many pods stand where nothing is asked of the workload."""
    workload = candidate.workload
    if workload.record.replicas == 0 or workload.hpa is None:
        return max(workload.record.replicas, 0 if candidate.held.live else len(workload.pods))
    return workload.hpa.min_replicas


def _leaner(held: Snapshot, candidate: ladder.Candidate) -> Change | None:
    hpa = candidate.workload.hpa
    if hpa is None or candidate.target.scaled_object is not None:
        return None
    return leaner(held.get(paths.path(paths.HPAS, hpa.meta.namespace, hpa.meta.name)))


def _role(stateless: bool, entry: str | None) -> Role:
    if not stateless:
        return Role.STORE
    return Role.ENTRY if entry is None else Role.DRIVEN
