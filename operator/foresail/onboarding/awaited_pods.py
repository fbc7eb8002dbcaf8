"""Pods that manifests would make: acts are checked on pods, and a rendered chart has none yet."""

from __future__ import annotations

from collections.abc import Iterator

from foresail.actuators import paths
from foresail.actuators.api import Json
from foresail.objects.fields import at, entries, strings, text, whole
from foresail.objects.names import TEMPLATE_HASH_LABEL
from foresail.onboarding.snapshot import Snapshot, snapshot

_HASH = "awaited"
_READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}


def with_awaited_pods(manifests: Snapshot) -> Snapshot:
    """Manifests together with the pods of every workload in them, all Ready, as many as stand at least."""
    given = [_kept(item) for named in manifests.objects.values() for item in named.values()]
    made = [item for workload in given for item in _made(manifests, workload)]
    return snapshot([*given, *made], manifests.live)


def _kept(item: Json) -> Json:
    """Owners are found by uid, which manifests have none of."""
    meta = item["metadata"]
    return {**item, "metadata": {**meta, "uid": meta.get("uid") or _uid(item)}}


def _made(manifests: Snapshot, workload: Json) -> Iterator[Json]:
    kind, name, namespace = workload.get("kind"), workload["metadata"]["name"], workload["metadata"]["namespace"]
    if kind not in ("Deployment", "StatefulSet"):
        return
    owner, labels = workload, dict(strings(workload, "spec", "template", "metadata", "labels"))
    if kind == "Deployment":
        labels[TEMPLATE_HASH_LABEL] = _HASH
        owner = _owned("apps/v1", "ReplicaSet", f"{name}-{_HASH}", namespace, workload, labels, {"replicas": 1}, {})
        yield owner
    spec = at(workload, "spec", "template", "spec")
    volumes = [*entries(spec, "volumes"), *_claims(workload)]
    for number in range(_replicas(manifests, workload)):
        pod = {**(spec if isinstance(spec, dict) else {}), "volumes": volumes}
        yield _owned("v1", "Pod", f"{owner['metadata']['name']}-{number}", namespace, owner, labels, pod, _READY)


def _owned(
    api_version: str, kind: str, name: str, namespace: str, owner: Json, labels: Json, spec: Json, status: Json
) -> Json:
    controller = {"apiVersion": owner["apiVersion"], "kind": owner["kind"], "controller": True}
    meta = {"name": name, "namespace": namespace, "uid": f"{kind}/{namespace}/{name}", "labels": labels}
    reference = {**controller, "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"]}
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {**meta, "ownerReferences": [reference]},
        "spec": spec,
        "status": status,
    }


def _claims(workload: Json) -> list[Json]:
    """Volumes of a StatefulSet's own claims."""
    return [
        {"name": name, "persistentVolumeClaim": {"claimName": name}}
        for claim in entries(workload, "spec", "volumeClaimTemplates")
        if (name := text(claim, "metadata", "name")) is not None
    ]


def _replicas(manifests: Snapshot, workload: Json) -> int:
    """What stands at rest: the workload's own number, or its HPA's least where that is more."""
    namespace, name, kind = workload["metadata"]["namespace"], workload["metadata"]["name"], workload["kind"]
    own = whole(workload, "spec", "replicas")
    least = [
        whole(hpa, "spec", "minReplicas") or 1
        for hpa in manifests.of(paths.HPAS, namespace)
        if at(hpa, "spec", "scaleTargetRef", "name") == name and at(hpa, "spec", "scaleTargetRef", "kind") == kind
    ]
    return max([1 if own is None else own, *least])


def _uid(item: Json) -> str:
    return f"{item.get('kind')}/{item['metadata'].get('namespace')}/{item['metadata'].get('name')}"
