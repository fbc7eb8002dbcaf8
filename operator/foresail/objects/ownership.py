"""Which workload a pod belongs to: by its owners, or, once it is detached from them, by what its labels still say."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from foresail.objects import names
from foresail.objects.fields import text
from foresail.objects.records import PodRecord, ReplicaSetRecord, WorkloadRecord


@dataclass(frozen=True, slots=True)
class Place:
    """A pod's workload, and whether its ReplicaSet no longer counts it."""

    workload: str
    detached: bool = False


class PodOwners:
    """Looks up owners among the workloads and ReplicaSets of one moment."""

    def __init__(self, workloads: Iterable[WorkloadRecord], replica_sets: Iterable[ReplicaSetRecord]) -> None:
        self._workloads = {workload.meta.uid: workload for workload in workloads if workload.meta.uid}
        self._of_replica_set: dict[str, str] = {}
        self._hashes: set[tuple[str, str]] = set()
        self.replica_sets: dict[str, list[ReplicaSetRecord]] = {}
        for replica_set in replica_sets:
            owner = replica_set.meta.owner
            workload = self._workloads.get(owner.uid) if owner is not None else None
            if workload is None:
                continue
            key = self._whole(workload).meta.key
            self._of_replica_set[replica_set.meta.uid] = key
            self.replica_sets.setdefault(key, []).append(replica_set)
            if replica_set.template_hash is not None:
                self._hashes.add((key, replica_set.template_hash))
        self._scalables: dict[str, list[WorkloadRecord]] = {}
        for workload in self._workloads.values():
            if workload.resource is not None:
                self._scalables.setdefault(workload.meta.namespace, []).append(workload)
        self._deployments: dict[str, list[WorkloadRecord]] = {}
        for workload in self._workloads.values():
            if workload.kind == "Deployment":
                self._deployments.setdefault(workload.meta.namespace, []).append(workload)

    def of(self, pod: PodRecord) -> Place | None:
        """None: nobody's, or somebody's that is not watched (a DaemonSet, a Job)."""
        original = original_hash(pod)
        left = original is not None and pod.meta.labels.get(names.TEMPLATE_HASH_LABEL) != original
        owner = pod.meta.owner
        if owner is not None:
            key = self._of_replica_set.get(owner.uid)
            if key is None and owner.uid in self._workloads:
                key = self._whole(self._workloads[owner.uid]).meta.key
            if key is None:
                key = self._scaled_with(pod)
            return None if key is None else Place(key, detached=left)
        if original is None or not left:
            return None
        return self._released(pod, original)

    def _whole(self, workload: WorkloadRecord) -> WorkloadRecord:
        """What scales it: a StatefulSet may be only a part of something larger with a scale of its own."""
        owner = workload.meta.owner
        larger = None if owner is None else self._workloads.get(owner.uid)
        return workload if larger is None or larger.resource is None else larger

    def _scaled_with(self, pod: PodRecord) -> str | None:
        """By the selector of a scale, for pods whose owner is not watched."""
        fitting = [
            workload.meta.key
            for workload in self._scalables.get(pod.meta.namespace, ())
            if _selects(workload, pod.meta.labels)
        ]
        return fitting[0] if len(fitting) == 1 else None

    def _released(self, pod: PodRecord, original: str) -> Place | None:
        """The workload of a pod that has no owner any more: its labels match, and it once had that hash."""
        before = {**pod.meta.labels, names.TEMPLATE_HASH_LABEL: original}
        matching = [
            workload for workload in self._deployments.get(pod.meta.namespace, ()) if _selects(workload, before)
        ]
        known = [workload for workload in matching if (workload.meta.key, original) in self._hashes]
        # The ReplicaSet may have been cleaned up meanwhile: then one workload that fits is proof enough.
        if known:
            return Place(known[0].meta.key, detached=True)
        return Place(matching[0].meta.key, detached=True) if len(matching) == 1 else None


def original_hash(pod: PodRecord) -> str | None:
    """The pod-template-hash that a pod had before we detached it, None where we never did."""
    noted = pod.meta.annotations.get(names.DETACHED)
    if noted is None:
        return None
    try:
        described = json.loads(noted)
    except ValueError:
        return noted  # the bare hash
    return text(described, "original") if isinstance(described, dict) else noted


def _selects(workload: WorkloadRecord, labels: Mapping[str, str]) -> bool:
    return workload.selector is not None and workload.selector.matches(labels)
