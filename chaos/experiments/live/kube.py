"""Pods and workloads of the shop as the API server tells them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.injecting.verbs import LivePod
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.measured.rows import WorkloadRow
from chaos.experiments.problems import VerbFailed
from chaos.experiments.shop_map import ROLES, STORES

COMPONENT = "app.kubernetes.io/component"
PRIMARY_LABEL = "demo-shop/database-role"
PRIMARY = "primary"

KINDS = ("Deployment", "StatefulSet", "HorizontalPodAutoscaler", "Pod")

#: Runs kubectl with these words and gives what it printed. Raises `ClusterFailed`.
Kubectl = Callable[..., str]
Object = Mapping[str, Any]


class Reader(Protocol):
    def items(self, namespace: str, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind, such as Pod, each with its kind. Raises `ClusterFailed`."""
        ...


@dataclass(frozen=True, slots=True)
class KubePods:
    """`Pods` and `Databases` of one namespace. They are asked for each second: `reader` must be light."""

    reader: Reader
    kubectl: Kubectl
    namespace: str

    def of(self, service: str) -> tuple[LivePod, ...]:
        return tuple(sorted((live_pod(one, service) for one in self._living(service)), key=lambda pod: pod.name))

    def kill(self, pod: str) -> None:
        words = ("delete", "pod", pod, "--grace-period=0", "--force", "--ignore-not-found", "--wait=false")
        with cluster_failures_as(VerbFailed):
            self.kubectl("-n", self.namespace, *words)

    def primary(self, service: str) -> str | None:
        """The pod that Patroni labelled so and that runs; two of them, in the middle of a failover, are none."""
        found = [p for p in self._living(service) if p["metadata"].get("labels", {}).get(PRIMARY_LABEL) == PRIMARY]
        return str(found[0]["metadata"]["name"]) if len(found) == 1 else None

    def _living(self, service: str) -> list[Object]:
        with cluster_failures_as(VerbFailed):
            return [pod for pod in self.reader.items(self.namespace, "Pod", f"{COMPONENT}={service}") if lives(pod)]


@dataclass(frozen=True, slots=True)
class KubeWorkloads:
    """Replicas of the shop's workloads at a moment."""

    reader: Reader
    namespace: str

    def rows(self, at_s: float) -> tuple[WorkloadRow, ...] | None:
        """None: the API server does not say. An outage of it is part of some experiments."""
        try:
            return workload_rows([one for kind in KINDS for one in self.reader.items(self.namespace, kind)], at_s)
        except ClusterFailed:
            return None


def live_pod(pod: Object, service: str) -> LivePod:
    status = pod.get("status", {})
    containers = status.get("containerStatuses", ())
    return LivePod(
        name=str(pod["metadata"]["name"]),
        service=service,
        node=pod.get("spec", {}).get("nodeName"),
        address=status.get("podIP"),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions", ())),
        restarts=sum(int(container.get("restartCount", 0)) for container in containers),
    )


def lives(pod: Object) -> bool:
    """Neither ended nor being deleted."""
    ended = pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
    return not ended and "deletionTimestamp" not in pod["metadata"]


def workload_rows(items: list[Object], at_s: float) -> tuple[WorkloadRow, ...]:
    """One row for each role and store that has a workload. Pods that are being deleted still cost."""
    floors: dict[str, int] = {}
    placed: dict[str, int] = {}
    workloads: dict[str, Object] = {}
    for item in items:
        service = str(item["metadata"].get("labels", {}).get(COMPONENT, ""))
        if item["kind"] == "HorizontalPodAutoscaler":
            floors[service] = int(item["spec"].get("minReplicas", 1))
        elif item["kind"] == "Pod":
            ended = item.get("status", {}).get("phase") in ("Succeeded", "Failed")
            placed[service] = placed.get(service, 0) + (not ended and "nodeName" in item.get("spec", {}))
        else:
            workloads[service] = item
    return tuple(
        WorkloadRow(
            at_s=at_s,
            service=service,
            desired=int(workloads[service]["spec"].get("replicas", 1)),
            ready=int(workloads[service].get("status", {}).get("readyReplicas", 0)),
            pods=placed.get(service, 0),
            floor=floors.get(service),
        )
        for service in (*ROLES, *STORES)
        if service in workloads
    )


def unready(looks: Sequence[tuple[WorkloadRow, ...]]) -> tuple[str, ...]:
    """Services that have fewer pods ready, at the last look, than were wanted at every one of them.

    What was asked for only since is on its way: pods that are started ahead of a sale are no illness.
    """
    wanted: dict[str, int] = {}
    for look in looks:
        for row in look:
            wanted[row.service] = min(row.desired, wanted.get(row.service, row.desired))
    return tuple(row.service for row in looks[-1] if row.ready < wanted[row.service]) if looks else ()
