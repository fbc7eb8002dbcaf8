"""Which workloads of a namespace belong to which target of a policy."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from foresail.resources.spec import Spec
from foresail.resources.targets import Target


@dataclass(frozen=True, slots=True)
class WorkloadRef:
    """A workload as far as policies need to know it. `labels` are its own, not its pods'."""

    namespace: str
    name: str
    kind: str
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.namespace}/{self.name}"


def one_of_each_name(workloads: Iterable[WorkloadRef]) -> list[WorkloadRef]:
    """By namespace and name. Where a Deployment and a StatefulSet share both, the Deployment counts."""
    ordered = sorted(workloads, key=lambda workload: (workload.key, workload.kind), reverse=True)
    return list({workload.key: workload for workload in ordered}.values())[::-1]


def matched(spec: Spec, workloads: Mapping[str, WorkloadRef]) -> dict[str, tuple[WorkloadRef, ...]]:
    """Workloads by target, each in one target only: one by its name goes first, then the first whose labels fit.

    `workloads` are those of the policy's namespace by name; the answer keeps their order.
    """
    taken: set[str] = set()
    found: dict[str, tuple[WorkloadRef, ...]] = {}
    for target in sorted(spec.targets, key=lambda target: target.workload is None):
        names: Iterable[str] = workloads if target.workload is None else (target.workload.name,)
        fitting = [name for name in names if name in workloads and name not in taken and _fits(target, workloads[name])]
        taken.update(fitting)
        found[target.name] = tuple(workloads[name] for name in fitting)
    return found


def _fits(target: Target, workload: WorkloadRef) -> bool:
    if target.workload is not None:
        return workload.kind == target.workload.kind and workload.name == target.workload.name
    if target.selector is None or workload.kind != target.selector.kind:
        return False
    return all(workload.labels.get(label) == value for label, value in target.selector.match_labels.items())
