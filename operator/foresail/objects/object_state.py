"""The cluster as it was last seen: one immutable value, with everything that belongs to a workload joined to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from foresail.objects import names
from foresail.objects.ownership import PodOwners
from foresail.objects.records import (
    BudgetRecord,
    HpaRecord,
    NodeRecord,
    PodRecord,
    QuotaRecord,
    ReplicaSetRecord,
    RouteRecord,
    ScaledObjectRecord,
    ServiceRecord,
    WorkloadRecord,
)
from foresail.objects.selectors import LabelIndex

R = TypeVar("R")
S = TypeVar("S", BudgetRecord, ServiceRecord)

TERMINAL = ("Succeeded", "Failed")


@dataclass(frozen=True, slots=True)
class Records:
    """What the caches hold, by `namespace/name` (nodes by name)."""

    pods: Mapping[str, PodRecord] = field(default_factory=dict)
    nodes: Mapping[str, NodeRecord] = field(default_factory=dict)
    deployments: Mapping[str, WorkloadRecord] = field(default_factory=dict)
    stateful_sets: Mapping[str, WorkloadRecord] = field(default_factory=dict)
    replica_sets: Mapping[str, ReplicaSetRecord] = field(default_factory=dict)
    hpas: Mapping[str, HpaRecord] = field(default_factory=dict)
    scaled_objects: Mapping[str, ScaledObjectRecord] = field(default_factory=dict)
    budgets: Mapping[str, BudgetRecord] = field(default_factory=dict)
    quotas: Mapping[str, QuotaRecord] = field(default_factory=dict)
    services: Mapping[str, ServiceRecord] = field(default_factory=dict)
    routes: Mapping[str, RouteRecord] = field(default_factory=dict)
    scalables: Mapping[str, WorkloadRecord] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class WorkloadObjects:
    """A workload and all that concerns it. Pods that have ended are left out."""

    record: WorkloadRecord
    pods: tuple[PodRecord, ...] = ()
    detached: frozenset[str] = frozenset()  # names of pods that have left their ReplicaSet for good
    replica_sets: tuple[ReplicaSetRecord, ...] = ()
    hpa: HpaRecord | None = None
    scaled_object: ScaledObjectRecord | None = None
    budgets: tuple[BudgetRecord, ...] = ()
    services: tuple[ServiceRecord, ...] = ()
    routes: tuple[RouteRecord, ...] = ()  # to any of these Services; none where routes are not watched
    quotas: tuple[QuotaRecord, ...] = ()
    canary: bool = False  # another tool shifts traffic between versions of it

    @property
    def key(self) -> str:
        return self.record.meta.key

    @property
    def kind(self) -> str:
        return self.record.kind


@dataclass(frozen=True, slots=True)
class ObjectState:
    """Snapshot of everything. `ambiguous`: names borne by a Deployment, which counts, and by a StatefulSet."""

    workloads: Mapping[str, WorkloadObjects]
    nodes: Mapping[str, NodeRecord]
    pods: Mapping[str, PodRecord]
    ambiguous: frozenset[str] = frozenset()
    sees_all_pods: bool = True  # False: only some namespaces are watched, so nobody knows how full nodes are


def joined(records: Records, sees_all_pods: bool = True) -> ObjectState:
    """The state that the records describe."""
    workloads = {**records.scalables, **records.stateful_sets, **records.deployments}
    owners = PodOwners(workloads.values(), records.replica_sets.values())
    pods, detached = _grouped(records.pods.values(), owners)
    index = _indexes(workloads.values())
    budgets = _selecting(records.budgets.values(), index)
    services = _selecting(records.services.values(), index)
    hpas = {(hpa.meta.namespace, hpa.target_kind, hpa.target_name): hpa for hpa in _last_first(records.hpas)}
    scaled = {
        (found.meta.namespace, found.target_kind, found.target_name): found
        for found in _last_first(records.scaled_objects)
    }
    routes = _leading(records.routes.values(), services)
    quotas: defaultdict[str, list[QuotaRecord]] = defaultdict(list)
    for quota in records.quotas.values():
        quotas[quota.meta.namespace].append(quota)
    canaries = _canaries(records, pods)
    return ObjectState(
        workloads={
            key: WorkloadObjects(
                record=workload,
                pods=tuple(sorted(pods.get(key, ()), key=lambda pod: (pod.created_at_s or 0.0, pod.meta.name))),
                detached=frozenset(detached.get(key, ())),
                replica_sets=tuple(owners.replica_sets.get(key, ())),
                hpa=hpas.get((workload.meta.namespace, workload.kind, workload.meta.name)),
                scaled_object=scaled.get((workload.meta.namespace, workload.kind, workload.meta.name)),
                budgets=tuple(budgets.get(key, ())),
                services=tuple(services.get(key, ())),
                routes=tuple(routes.get(key, ())),
                quotas=tuple(quotas.get(workload.meta.namespace, ())),
                canary=key in canaries,
            )
            for key, workload in workloads.items()
        },
        nodes=records.nodes,
        pods=records.pods,
        ambiguous=frozenset(records.deployments.keys() & records.stateful_sets.keys()),
        sees_all_pods=sees_all_pods,
    )


def _last_first(records: Mapping[str, R]) -> Iterable[R]:
    """So that in a mapping made of them the first by name wins, whatever order they came in."""
    return (records[key] for key in sorted(records, reverse=True))


def _grouped(pods: Iterable[PodRecord], owners: PodOwners) -> tuple[dict[str, list[PodRecord]], dict[str, list[str]]]:
    """Living pods by workload, and the names of those that are detached."""
    grouped: dict[str, list[PodRecord]] = {}
    detached: dict[str, list[str]] = {}
    for pod in pods:
        if pod.phase in TERMINAL:
            continue
        place = owners.of(pod)
        if place is None:
            continue
        grouped.setdefault(place.workload, []).append(pod)
        if place.detached:
            detached.setdefault(place.workload, []).append(pod.meta.name)
    return grouped, detached


def _indexes(workloads: Iterable[WorkloadRecord]) -> dict[str, LabelIndex[str]]:
    """By namespace, the workloads whose pods bear given labels."""
    by_namespace: defaultdict[str, list[tuple[str, Mapping[str, str]]]] = defaultdict(list)
    for workload in workloads:
        by_namespace[workload.meta.namespace].append((workload.meta.key, workload.template.labels))
    return {namespace: LabelIndex(things) for namespace, things in by_namespace.items()}


def _selecting(selecting: Iterable[S], index: Mapping[str, LabelIndex[str]]) -> dict[str, list[S]]:
    """By workload, the budgets or Services that select its pods."""
    found: dict[str, list[S]] = {}
    for record in selecting:
        workloads = index.get(record.meta.namespace)
        if record.selector is not None and workloads is not None:
            for key in workloads.matching(record.selector):
                found.setdefault(key, []).append(record)
    return found


def _leading(
    routes: Iterable[RouteRecord], services: Mapping[str, Iterable[ServiceRecord]]
) -> dict[str, list[RouteRecord]]:
    """By workload, the routes to one of its Services, by name."""
    by_service: defaultdict[str, list[RouteRecord]] = defaultdict(list)
    for route in sorted(routes, key=lambda route: route.meta.key):
        for backend in route.backends:
            by_service[names.key(route.meta.namespace, backend)].append(route)
    found: dict[str, list[RouteRecord]] = {}
    for key, own in services.items() if by_service else ():
        leading = {route.meta.key: route for service in own for route in by_service.get(service.meta.key, ())}
        found[key] = [leading[name] for name in sorted(leading)]
    return found


def _canaries(records: Records, pods: Mapping[str, list[PodRecord]]) -> set[str]:
    """Workloads that Flagger or Argo Rollouts is at work on.

    Flagger owns `x-primary` and starts pods of `x` only while it tries a new version. Argo's Rollouts leave a
    Deployment that they take over at 0; while both have pods, traffic is being shifted.
    """
    found: set[str] = set()
    for key, workload in records.deployments.items():
        owner = workload.meta.owner
        if owner is not None and owner.group == names.FLAGGER_GROUP and key.endswith("-primary"):
            tried = records.deployments.get(key.removesuffix("-primary"))
            if tried is not None and tried.replicas > 0:
                found |= {key, tried.meta.key}
        if any(names.ROLLOUTS_HASH_LABEL in pod.meta.labels for pod in pods.get(key, ())):
            found.add(key)
    return found
