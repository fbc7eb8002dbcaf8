"""Manifests of a small shop for onboarding's tests: everything in order, until a test takes something away."""

from __future__ import annotations

from typing import Any

from foresail.onboarding.awaited_pods import with_awaited_pods
from foresail.onboarding.onboard import Onboarding, onboarding
from foresail.onboarding.snapshot import snapshot

LABEL = "foresail.dev/traffic"
Manifest = dict[str, Any]


def deployment(name: str = "web", *, label: str | None = "on", replicas: int | None = 2, **spec: Any) -> Manifest:
    labels = {"app": name} | ({} if label is None else {LABEL: label})
    pod = {
        "terminationGracePeriodSeconds": 30,
        "containers": [
            {
                "name": name,
                "image": "web:1",
                "ports": [{"containerPort": 8080}, {"containerPort": 9090}],
                "readinessProbe": {"httpGet": {"path": "/ready", "port": 8080}},
                "lifecycle": {"preStop": {"sleep": {"seconds": 5}}},
                "resources": {"requests": {"cpu": "100m"}, "limits": {"memory": "64Mi"}},
            }
        ],
    }
    given = {} if replicas is None else {"replicas": replicas}
    template = {"metadata": {"labels": labels}, "spec": pod}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"selector": {"matchLabels": {"app": name}}, "template": template, **given, **spec},
    }


def stateful_set(name: str = "web", **changed: Any) -> Manifest:
    made = deployment(name, **changed)
    made["kind"] = "StatefulSet"
    made["spec"] |= {"serviceName": f"{name}-names"}
    return made


def service(name: str = "web", app: str = "web", *, label: bool = True, **spec: Any) -> Manifest:
    selector = {"app": app} | ({LABEL: "on"} if label else {})
    return _object("v1", "Service", name, {"selector": selector, **spec})


def hpa(name: str = "web", *, least: int = 2, most: int = 5, percent: int = 70, **spec: Any) -> Manifest:
    metric = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": percent}}
    bounds = {"minReplicas": least, "maxReplicas": most, "metrics": [{"type": "Resource", "resource": metric}]}
    target = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}
    return _object("autoscaling/v2", "HorizontalPodAutoscaler", name, {"scaleTargetRef": target, **bounds, **spec})


def budget(**spec: Any) -> Manifest:
    return _object("policy/v1", "PodDisruptionBudget", "web", {"selector": {"matchLabels": {"app": "web"}}, **spec})


def policy(*targets: Manifest, **spec: Any) -> Manifest:
    named = list(targets) or [{"name": "web", "workload": {"name": "web"}}]
    drain = {"port": 9090}
    return _object(
        "foresail.dev/v1alpha1", "ResiliencePolicy", "storefront", {"targets": named, "drain": drain, **spec}
    )


def in_order() -> list[Manifest]:
    """A Deployment that nothing is missing from."""
    return [deployment(replicas=None), service(), hpa(), budget(minAvailable=1)]


def onboarded(*objects: Manifest, under: Manifest | None = None) -> Onboarding:
    """As from files."""
    held = with_awaited_pods(snapshot(objects, live=False))
    return onboarding(held, [under or policy()], now_s=0.0)


def onboarded_live(*objects: Manifest, under: Manifest | None = None) -> Onboarding:
    """As from a cluster: only the pods that are given are there."""
    return onboarding(snapshot(objects, live=True), [under or policy()], now_s=0.0)


def pod(name: str, *, label: str | None = "on", ready: bool = True, app: str = "web") -> Manifest:
    """Of Deployment `web`, whose ReplicaSet goes along in `replica_set`."""
    labels = {"app": app, "pod-template-hash": "1"} | ({} if label is None else {LABEL: label})
    made = _object("v1", "Pod", name, {"containers": []})
    owner = {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "web-1", "controller": True}
    made["metadata"] |= {"labels": labels, "uid": name, "ownerReferences": [owner]}
    condition = {"type": "Ready", "status": "True" if ready else "False"}
    return {**made, "status": {"phase": "Running", "conditions": [condition]}}


def replica_set() -> Manifest:
    made = _object("apps/v1", "ReplicaSet", "web-1", {"replicas": 2})
    owner = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web", "uid": "web", "controller": True}
    made["metadata"] |= {"uid": "web-1", "labels": {"pod-template-hash": "1"}, "ownerReferences": [owner]}
    return made


def running(made: Manifest) -> Manifest:
    """A Deployment as the API server shows it, rolled out."""
    made["metadata"] |= {"uid": made["metadata"]["name"], "generation": 1}
    return {**made, "status": {"observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2}}


def _object(api_version: str, kind: str, name: str, spec: Manifest) -> Manifest:
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {"name": name, "namespace": "shop"},
        "spec": spec,
    }
