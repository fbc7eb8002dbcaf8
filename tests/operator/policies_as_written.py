"""Policies as people write them, for tests: plain bodies, small and large."""

from __future__ import annotations

from typing import Any

from foresail.resources.policy_resource import PolicyResource, read_policy

GATEWAY: dict[str, Any] = {"name": "gateway", "workload": {"name": "gateway"}}
CART: dict[str, Any] = {"name": "cart", "workload": {"name": "cart"}, "role": "Driven", "drivenBy": "gateway"}
POSTGRES: dict[str, Any] = {
    "name": "postgres",
    "workload": {"kind": "StatefulSet", "name": "postgres"},
    "role": "Store",
}


def body(name: str = "shop", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    """A ResiliencePolicy of namespace `shop` about the gateway, unless `spec` says otherwise."""
    return {
        "apiVersion": "foresail.dev/v1alpha1",
        "kind": "ResiliencePolicy",
        "metadata": {
            "name": name,
            "namespace": "shop",
            "uid": f"uid-{name}",
            "generation": 3,
            "creationTimestamp": created,
        },
        "spec": {"targets": [GATEWAY], **spec},
    }


def policy(name: str = "shop", created: str = "2026-01-01T00:00:00Z", **spec: Any) -> PolicyResource:
    """The same, read; it must be without mistakes."""
    resource = read_policy(body(name, created, **spec))
    assert resource.spec is not None, [str(problem) for problem in resource.problems]
    return resource


def event(**fields: Any) -> dict[str, Any]:
    """A sale that happens once, 600 s long, of three times the demand."""
    once = {} if "recurrence" in fields else {"start": "2026-11-27T08:00:00Z"}
    return {"name": "sale", "durationSeconds": 600, "multiplier": 3, **once, **fields}
