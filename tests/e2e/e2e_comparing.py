"""Objects of a namespace as people wrote them, to be compared before and after."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from e2e_programs import Kubectl

#: What a storefront is made of. Secrets too: only whether they are the same is shown.
KINDS = (
    *("deployments", "statefulsets", "horizontalpodautoscalers", "services", "poddisruptionbudgets", "configmaps"),
    *("secrets", "networkpolicies", "serviceaccounts", "roles", "rolebindings", "pods", "resiliencepolicies"),
)
#: Patroni's state, which is written every few seconds, and Helm's record of releases.
_BY_THEMSELVES = (*(f"shop-postgres-{part}" for part in ("config", "leader", "failover", "sync")), "sh.helm.release.")
_KUBERNETES = ("deployment.kubernetes.io/", "autoscaling.alpha.kubernetes.io/")
_PATRONI = "status"  # its annotation of members, with the position in the log
_PLACE = "topology.kubernetes.io/"  # of the node that a pod came to, which changes by itself as well
_RELEASE = "app.kubernetes.io/instance"


def objects(kubectl: Kubectl, namespace: str, without_release: str = "") -> dict[str, Any]:
    """Specs, labels and annotations, by kind and name. Pods by their ReplicaSet: which ones stand changes by itself.

    `without_release`: whose own objects are left out.
    """
    found: dict[str, Any] = {}
    for item in kubectl.json("get", "-n", namespace, ",".join(KINDS))["items"]:
        meta = item["metadata"]
        kind = item["kind"]
        if meta["name"].startswith(_BY_THEMSELVES) or meta.get("labels", {}).get(_RELEASE, "nobody") == without_release:
            continue
        found[f"{kind} {_name(item)}"] = {
            "labels": {k: v for k, v in meta.get("labels", {}).items() if not (kind == "Pod" and k.startswith(_PLACE))},
            "annotations": dict(_annotations(meta)),
            **{part: item[part] for part in ("data", "rules", "subjects", "roleRef") if part in item},
            **({"spec": _spec(item)} if kind != "Pod" else {}),
        }
    return found


def differences(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """One line for each object that is not as it was; values of Secrets are not told."""
    lines = [f"{name} is gone" for name in sorted(before.keys() - after.keys())]
    lines += [f"{name} is new" for name in sorted(after.keys() - before.keys())]
    for name in sorted(before.keys() & after.keys()):
        for part in sorted(before[name].keys() | after[name].keys()):
            was, now = before[name].get(part), after[name].get(part)
            if was != now:
                told = "" if name.startswith("Secret ") else f": {was} → {now}"
                lines.append(f"{part} of {name}{told}")
    return lines


def _name(item: Any) -> str:
    owners = item["metadata"].get("ownerReferences", [])
    if item["kind"] == "Pod" and owners:
        return f"of {owners[0]['kind']} {owners[0]['name']}"
    return str(item["metadata"]["name"])


def _annotations(meta: Any) -> Iterator[tuple[str, str]]:
    for key, value in meta.get("annotations", {}).items():
        if key != _PATRONI and not key.startswith(_KUBERNETES):
            yield key, value


def _spec(item: Any) -> Any:
    """Without the number of pods where an autoscaler decides it."""
    spec = dict(item.get("spec", {}))
    if item["kind"] == "Deployment":
        spec.pop("replicas", None)
    return spec
