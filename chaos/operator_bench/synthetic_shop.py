"""A shop of any size that exists only as answers: its objects, its policies, and its metrics as functions of time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Object = dict[str, Any]
Floats = NDArray[np.float64]

PER_NAMESPACE = 20
PODS_EACH = 2
_HASH, _SUFFIXES = "6d4cf56db9", "bcdfghjklmnpqrstvwxz"
_CREATED, _READY = "2026-01-01T00:00:00Z", "2026-01-01T00:00:30Z"
_MIB = 2.0**20
_LIMIT_MIB = 256.0
_POD_PORT = "management"


@dataclass(frozen=True, slots=True)
class SyntheticShop:
    """`workloads` Deployments of two pods in namespaces of twenty, the first of each the entry that drives the others.

    Each has three series worth forecasting: its demand, flat but for a ripple, and the memory of both its pods, over
    half of their limit. Nothing in it ever calls for an act.
    """

    workloads: int

    @property
    def namespaces(self) -> tuple[str, ...]:
        return tuple(f"shop-{number}" for number in range(-(-self.workloads // PER_NAMESPACE)))

    def places(self) -> Iterator[tuple[str, str, bool]]:
        """Namespace, name and whether it is an entry, of every workload."""
        for number in range(self.workloads):
            yield f"shop-{number // PER_NAMESPACE}", f"web-{number}", number % PER_NAMESPACE == 0

    def demand_rps(self) -> Floats:
        """Of each workload, on average."""
        return np.asarray(10.0 + np.arange(self.workloads) % 40, dtype=np.float64)


def pod_names(name: str) -> list[str]:
    """As a Deployment gives them."""
    number = int(name.rpartition("-")[2])
    letters = "".join(_SUFFIXES[(number // len(_SUFFIXES) ** place) % len(_SUFFIXES)] for place in range(4))
    return [f"{name}-{_HASH}-{letters}{_SUFFIXES[pod]}" for pod in range(PODS_EACH)]


def objects(shop: SyntheticShop, pod_port: int) -> Iterator[Object]:
    """Everything that the API server shows, policies included; pods answer at loopback's `pod_port`."""
    nodes = max(3, shop.workloads * PODS_EACH // 50)
    for number in range(nodes):
        yield _node(number)
    for namespace in shop.namespaces:
        yield {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "uid": f"uid-{namespace}"}}
        yield policy(shop, namespace, pod_port)
    for number, (namespace, name, _) in enumerate(shop.places()):
        owner = f"{name}-{_HASH}"
        template = {"metadata": {"labels": {"app": name}}, "spec": {"containers": [_container(pod_port)]}}
        yield _made(
            *("apps/v1", "Deployment", namespace, name),
            {"replicas": PODS_EACH, "selector": {"matchLabels": {"app": name}}, "template": template},
            {"observedGeneration": 1, "replicas": PODS_EACH, "updatedReplicas": PODS_EACH, "readyReplicas": PODS_EACH},
        )
        yield _made("apps/v1", "ReplicaSet", namespace, owner, {"replicas": PODS_EACH}, {}, owner=("Deployment", name))
        yield _made(
            *("autoscaling/v2", "HorizontalPodAutoscaler", namespace, name),
            {
                "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
                "minReplicas": PODS_EACH,
                "maxReplicas": 20,
            },
            {},
        )
        yield _made("v1", "Service", namespace, name, {"selector": {"app": name}, "clusterIP": "127.0.0.1"}, {})
        for place, pod in enumerate(pod_names(name)):
            body = _made(
                *("v1", "Pod", namespace, pod),
                {"containers": [_container(pod_port)], "nodeName": f"node-{(number * PODS_EACH + place) % nodes}"},
                {
                    "phase": "Running",
                    "podIP": "127.0.0.1",
                    "conditions": [{"type": "Ready", "status": "True", "lastTransitionTime": _READY}],
                },
                owner=("ReplicaSet", owner),
            )
            body["metadata"]["labels"] = {"app": name, "pod-template-hash": _HASH}
            yield body


def policy(shop: SyntheticShop, namespace: str, pod_port: int) -> Object:
    """In Enforce: one entry that drives the others of its namespace."""
    targets = []
    names = [(name, entry) for place, name, entry in shop.places() if place == namespace]
    for name, entry in names:
        role = {"role": "Entry"} if entry else {"role": "Driven", "drivenBy": names[0][0]}
        # So that what stands is enough, whatever is learned: a benchmark of holding, not of acting.
        scaling = {"capacityPriorRequestsPerSecond": 1000.0}
        targets.append({"name": name, "workload": {"kind": "Deployment", "name": name}, "scaling": scaling, **role})
    spec = {
        "mode": "Enforce",
        "metrics": {"preset": "otel-http"},
        "targets": targets,
        "drain": {"port": pod_port},
    }
    return {
        "apiVersion": "foresail.dev/v1alpha1",
        "kind": "ResiliencePolicy",
        "metadata": {
            "name": "shop",
            "namespace": namespace,
            "uid": f"uid-{namespace}-policy",
            "generation": 1,
            "creationTimestamp": _CREATED,
        },
        "spec": spec,
    }


def metrics(shop: SyntheticShop) -> dict[str, tuple[list[dict[str, str]], Callable[[Floats], Floats]]]:
    """By the tag that the operator's queries carry: labels of the rows, and their values `(rows, steps)` over times."""
    places = list(shop.places())
    groups = [{"namespace": namespace, "foresail_group": name} for namespace, name, _ in places]
    pods = [{"namespace": namespace, "pod": pod} for namespace, name, _ in places for pod in pod_names(name)]
    demand = shop.demand_rps()[:, None]
    each = np.repeat(demand / PODS_EACH, PODS_EACH, axis=0)
    phases = np.arange(len(pods))[:, None]

    def ripple(times: Floats, size: float) -> Floats:
        """Different for every row, the same whenever it is asked for."""
        rows = np.arange(len(groups))[:, None]
        return np.asarray(1.0 + size * np.sin(times / 7.0 + rows) * np.cos(times / 61.0 + 3.0 * rows))

    def by_pod(times: Floats) -> Floats:
        return np.asarray(each * np.repeat(ripple(times, 0.03), PODS_EACH, axis=0))

    def memory_bytes(times: Floats) -> Floats:
        return np.asarray(_MIB * _LIMIT_MIB * (0.55 + 0.02 * np.sin(times / 300.0 + phases)))

    return {
        "otel-http/offered": (groups, lambda times: demand * ripple(times, 0.03)),
        "otel-http/failed": (groups, lambda times: 0.0 * times + np.zeros(demand.shape)),
        "otel-http/latency_p99": (groups, lambda times: 0.2 * ripple(times, 0.1)),
        "otel-http/requests": (pods, by_pod),
        "otel-http/errors": (pods, lambda times: 0.0 * by_pod(times)),
        "otel-http/busy_s": (pods, lambda times: 0.05 * by_pod(times)),
        "otel-http/latency_p99:pod": (pods, lambda times: 0.2 * np.repeat(ripple(times, 0.1), PODS_EACH, axis=0)),
        "usage/cpu_cores": (pods, lambda times: 0.01 * by_pod(times)),
        "usage/memory_bytes": (pods, memory_bytes),
    }


def _container(pod_port: int) -> Object:
    return {
        "name": "app",
        "image": "shop:1",
        "ports": [{"name": _POD_PORT, "containerPort": pod_port}],
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": _POD_PORT}},
        "resources": {
            "requests": {"cpu": "250m", "memory": "128Mi"},
            "limits": {"cpu": "1", "memory": f"{_LIMIT_MIB:.0f}Mi"},
        },
    }


def _node(number: int) -> Object:
    zone = {"topology.kubernetes.io/zone": f"zone-{number % 3}"}
    body = _made(
        *("v1", "Node", None, f"node-{number}", {}),
        {
            "conditions": [{"type": "Ready", "status": "True"}],
            "allocatable": {"cpu": "64", "memory": "256Gi", "pods": "110"},
        },
    )
    body["metadata"]["labels"] = zone
    return body


def _made(
    api_version: str,
    kind: str,
    namespace: str | None,
    name: str,
    spec: Object,
    status: Object,
    owner: tuple[str, str] | None = None,
) -> Object:
    meta: Object = {
        "name": name,
        "uid": f"uid-{namespace}-{kind}-{name}",
        "generation": 1,
        "creationTimestamp": _CREATED,
    }
    if namespace is not None:
        meta["namespace"] = namespace
    if owner is not None:
        uid = f"uid-{namespace}-{owner[0]}-{owner[1]}"
        meta["ownerReferences"] = [
            {"apiVersion": "apps/v1", "kind": owner[0], "name": owner[1], "uid": uid, "controller": True}
        ]
    return {"apiVersion": api_version, "kind": kind, "metadata": meta, "spec": spec, "status": status}
