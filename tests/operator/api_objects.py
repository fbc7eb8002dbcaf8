"""API objects as the server would show them, with as little in them as a test needs."""

from __future__ import annotations

from typing import Any

Object = dict[str, Any]


def meta(name: str, namespace: str | None = "shop", **more: Any) -> Object:
    return {"name": name, "uid": f"uid-{name}"} | ({"namespace": namespace} if namespace else {}) | more


def owned_by(kind: str, name: str, group: str = "apps/v1") -> list[Object]:
    return [{"apiVersion": group, "kind": kind, "name": name, "uid": f"uid-{name}", "controller": True}]


def container(name: str = "app", image: str = "shop:1", **resources: Object) -> Object:
    return {"name": name, "image": image, "resources": resources}


def deployment(name: str = "web", replicas: int = 2, **spec: Any) -> Object:
    containers = spec.pop("containers", [container(requests={"cpu": "250m", "memory": "64Mi"})])
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": meta(name, generation=1),
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": {"app": name}},
            "template": {
                "metadata": {"labels": {"app": name}},
                "spec": {"containers": containers, **spec.pop("pod", {})},
            },
            **spec,
        },
        "status": {"observedGeneration": 1, "replicas": replicas, "updatedReplicas": replicas},
    }


def stateful_set(name: str = "db", replicas: int = 2) -> Object:
    return deployment(name, replicas) | {
        "kind": "StatefulSet",
        "status": {"observedGeneration": 1, "currentRevision": "r1", "updateRevision": "r1", "replicas": replicas},
    }


def replica_set(name: str = "web-1", owner: str = "web", hash_: str = "1") -> Object:
    return {
        "apiVersion": "apps/v1",
        "kind": "ReplicaSet",
        "metadata": meta(name, labels={"app": owner, "pod-template-hash": hash_})
        | {"ownerReferences": owned_by("Deployment", owner)},
        "spec": {"replicas": 2},
    }


def pod(
    name: str = "web-1-a",
    owner: str | None = "web-1",
    kind: str = "ReplicaSet",
    node: str | None = "n1",
    ready_at: str | None = "2026-01-01T00:00:30Z",
    labels: Object | None = None,
    cpu: str = "250m",
    phase: str = "Running",
    **metadata: Any,
) -> Object:
    conditions = [] if ready_at is None else [{"type": "Ready", "status": "True", "lastTransitionTime": ready_at}]
    owners = {"ownerReferences": owned_by(kind, owner)} if owner else {}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": meta(
            name,
            creationTimestamp="2026-01-01T00:00:00Z",
            labels={"app": "web", "pod-template-hash": "1"} if labels is None else labels,
            **owners,
            **metadata,
        ),
        "spec": {"containers": [container(requests={"cpu": cpu})]} | ({"nodeName": node} if node else {}),
        "status": {"phase": phase, "podIP": "127.0.0.1", "conditions": conditions},
    }


def node(name: str = "n1", zone: str | None = "a", ready: str = "True", cpu: str = "4", **spec: Any) -> Object:
    labels = {"topology.kubernetes.io/zone": zone} if zone else {}
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": meta(name, None, labels=labels),
        "spec": spec,
        "status": {
            "conditions": [{"type": "Ready", "status": ready}],
            "allocatable": {"cpu": cpu, "memory": "8Gi", "pods": "110"},
        },
    }


def hpa(name: str = "web", target: str = "web", least: int | None = 2, most: int = 10, **behavior: Any) -> Object:
    bounds = {"maxReplicas": most} | ({} if least is None else {"minReplicas": least})
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": meta(name),
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": target},
            **bounds,
            "behavior": behavior,
        },
    }


def scaled_object(name: str = "web", **spec: Any) -> Object:
    annotations = spec.pop("annotations", {})
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": meta(name, annotations=annotations),
        "spec": {"scaleTargetRef": {"name": "web"}, **spec},
    }


def budget(name: str = "web", allowed: int | None = 1, app: str = "web") -> Object:
    return {
        "apiVersion": "policy/v1",
        "kind": "PodDisruptionBudget",
        "metadata": meta(name),
        "spec": {"selector": {"matchLabels": {"app": app}}},
        "status": {} if allowed is None else {"disruptionsAllowed": allowed},
    }


def quota(name: str = "most", hard: Object | None = None, used: Object | None = None, **spec: Any) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "ResourceQuota",
        "metadata": meta(name),
        "spec": spec,
        "status": {"hard": hard or {}, "used": used or {}},
    }


def service(name: str = "web", selector: Object | None = None) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": meta(name),
        "spec": {"selector": {"app": "web"} if selector is None else selector, "clusterIP": "10.0.0.1"},
    }
