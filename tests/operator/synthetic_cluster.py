"""The API objects behind a `SyntheticShop`: what a cluster shows whose Prometheus is mocked."""

from __future__ import annotations

from typing import Any

import api_objects
from mock_prometheus import SyntheticShop

from foresail.objects import kinds
from foresail.objects.object_state import ObjectState, Records, joined

Object = dict[str, Any]

_FIELDS = {
    "Deployment": "deployments",
    "ReplicaSet": "replica_sets",
    "HorizontalPodAutoscaler": "hpas",
    "Pod": "pods",
    "Node": "nodes",
}
_PARSERS = {
    "Deployment": kinds.DEPLOYMENTS,
    "ReplicaSet": kinds.REPLICA_SETS,
    "HorizontalPodAutoscaler": kinds.HPAS,
    "Pod": kinds.PODS,
    "Node": kinds.NODES,
}


def objects_of(shop: SyntheticShop) -> list[Object]:
    """Per workload a Deployment with its ReplicaSet, its pods and its HPA; one node holds them all."""
    bodies = [api_objects.node(cpu="100000")]
    for key in shop.names():
        namespace, _, name = key.partition("/")
        pods = [pod.partition("/")[2] for pod in shop.pods_of(key)]
        hash_ = pods[0].removeprefix(f"{name}-").partition("-")[0]
        labels = {"app": name, "pod-template-hash": hash_}
        limits = api_objects.container(
            requests={"cpu": "250m", "memory": "128Mi"}, limits={"cpu": "1", "memory": "256Mi"}
        )
        rows = [
            api_objects.deployment(name, replicas=shop.pods, containers=[limits]),
            api_objects.replica_set(f"{name}-{hash_}", owner=name, hash_=hash_),
            api_objects.hpa(name, target=name, least=2, most=50),
            *(api_objects.pod(pod, owner=f"{name}-{hash_}", labels=dict(labels)) for pod in pods),
        ]
        for row in rows:
            row["metadata"] |= {
                "namespace": namespace,
                "uid": f"uid-{namespace}-{row['kind']}-{row['metadata']['name']}",
            }
            for owner in row["metadata"].get("ownerReferences", ()):
                owner["uid"] = f"uid-{namespace}-{owner['kind']}-{owner['name']}"
        bodies.extend(rows)
    return bodies


def policy_of(shop: SyntheticShop, namespace: str = "shop-0", mode: str = "Enforce") -> Object:
    """One policy over the workloads of a namespace, each an entry of its own."""
    names = [key.partition("/")[2] for key in shop.names() if key.startswith(f"{namespace}/")]
    return {
        "apiVersion": "foresail.dev/v1alpha1",
        "kind": "ResiliencePolicy",
        "metadata": {"name": "shop", "namespace": namespace, "uid": f"uid-policy-{namespace}", "generation": 1},
        "spec": {
            "mode": mode,
            "targets": [
                {"name": name, "role": "Entry", "workload": {"kind": "Deployment", "name": name}} for name in names
            ],
            "metrics": {"preset": "otel-http"},
        },
    }


def state_of(bodies: list[Object]) -> ObjectState:
    """What watches would make of these objects."""
    records: dict[str, dict[str, Any]] = {field: {} for field in _FIELDS.values()}
    for body in bodies:
        record = _PARSERS[body["kind"]].parse(body)
        assert record is not None
        records[_FIELDS[body["kind"]]][record.meta.key] = record
    return joined(Records(**records))
