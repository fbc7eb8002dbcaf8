"""Paths of the API server's objects."""

from __future__ import annotations

HPAS = ("autoscaling/v2", "horizontalpodautoscalers")
SCALED_OBJECTS = ("keda.sh/v1alpha1", "scaledobjects")
DEPLOYMENTS = ("apps/v1", "deployments")
STATEFUL_SETS = ("apps/v1", "statefulsets")
REPLICA_SETS = ("apps/v1", "replicasets")
PODS = ("v1", "pods")
NODES = ("v1", "nodes")
SERVICES = ("v1", "services")
CONFIG_MAPS = ("v1", "configmaps")
CLAIMS = ("v1", "persistentvolumeclaims")
ROUTES = ("gateway.networking.k8s.io/v1", "httproutes")

Kind = tuple[str, str]  # apiVersion and plural


def path(kind: Kind, namespace: str | None, name: str = "", subresource: str = "") -> str:
    """Of an object, or of a whole kind where `name` is empty; `namespace` None: all of them, or none."""
    api_version, plural = kind
    root = f"/apis/{api_version}" if "/" in api_version else f"/api/{api_version}"
    where = "" if namespace is None else f"/namespaces/{namespace}"
    parts = [part for part in (plural, name, subresource) if part]
    return f"{root}{where}/{'/'.join(parts)}"
