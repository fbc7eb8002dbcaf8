"""API objects into records. An object without a name is None; everything else that is odd in it is left out."""

from __future__ import annotations

from collections.abc import Mapping

from foresail.objects import names
from foresail.objects.fields import NOTHING, Json, at, entries, flag, quantity, strings, text, time_s, whole
from foresail.objects.pod_template import pod_template, scheduled_request
from foresail.objects.records import (
    BudgetRecord,
    HpaRecord,
    Meta,
    NodeRecord,
    Owner,
    PodRecord,
    QuotaRecord,
    ReplicaSetRecord,
    RouteRecord,
    ScaledObjectRecord,
    ServiceRecord,
    Taint,
    WorkloadRecord,
)
from foresail.objects.selectors import Selector, label_selector

KEDA_MAX_REPLICAS = 100  # where maxReplicaCount is not set

#: Annotations beside ours that are kept.
_KEPT = {names.KEDA_PAUSED, names.KEDA_PAUSED_REPLICAS, names.KEDA_PAUSED_SCALE_OUT}
#: Quotas with other scopes do not count pods that serve for ever.
_SCOPES_OF_ORDINARY_PODS = {"NotTerminating", "NotBestEffort"}


def meta(value: Json, with_labels: bool = True) -> Meta | None:
    name = text(value, "metadata", "name")
    if name is None:
        return None
    annotations = {
        key: word
        for key, word in strings(value, "metadata", "annotations").items()
        if key.startswith(names.OURS) or key in _KEPT
    }
    return Meta(
        namespace=text(value, "metadata", "namespace") or "",
        name=name,
        uid=text(value, "metadata", "uid") or "",
        labels=strings(value, "metadata", "labels") if with_labels else NOTHING,
        annotations=annotations or NOTHING,
        owner=_owner(value),
        generation=whole(value, "metadata", "generation"),
        resource_version=text(value, "metadata", "resourceVersion"),
    )


def _owner(value: Json) -> Owner | None:
    for entry in entries(value, "metadata", "ownerReferences"):
        if flag(entry, "controller"):
            group, slash, _ = (text(entry, "apiVersion") or "").rpartition("/")
            kind, name = text(entry, "kind") or "", text(entry, "name") or ""
            return Owner(kind, name, text(entry, "uid") or "", group + slash)
    return None


def deployment(value: Json) -> WorkloadRecord | None:
    found = meta(value)
    if found is None:
        return None
    return WorkloadRecord(
        meta=found,
        kind="Deployment",
        replicas=_replicas(value),
        selector=label_selector(value, "spec", "selector"),
        template=pod_template(at(value, "spec", "template")),
        strategy=text(value, "spec", "strategy", "type") or "RollingUpdate",
        paused=flag(value, "spec", "paused"),
        observed_generation=whole(value, "status", "observedGeneration"),
        status_replicas=whole(value, "status", "replicas") or 0,
        updated_replicas=whole(value, "status", "updatedReplicas") or 0,
        ready_replicas=whole(value, "status", "readyReplicas") or 0,
        progress_reason=text(_condition(value, "Progressing"), "reason"),
    )


def stateful_set(value: Json) -> WorkloadRecord | None:
    found = meta(value)
    if found is None:
        return None
    return WorkloadRecord(
        meta=found,
        kind="StatefulSet",
        replicas=_replicas(value),
        selector=label_selector(value, "spec", "selector"),
        template=pod_template(at(value, "spec", "template")),
        strategy=text(value, "spec", "updateStrategy", "type") or "RollingUpdate",
        observed_generation=whole(value, "status", "observedGeneration"),
        status_replicas=whole(value, "status", "replicas") or 0,
        updated_replicas=whole(value, "status", "updatedReplicas") or 0,
        ready_replicas=whole(value, "status", "readyReplicas") or 0,
        current_revision=text(value, "status", "currentRevision"),
        update_revision=text(value, "status", "updateRevision"),
        claims=tuple(
            name
            for claim in entries(value, "spec", "volumeClaimTemplates")
            if (name := text(claim, "metadata", "name")) is not None
        ),
    )


def replica_set(value: Json) -> ReplicaSetRecord | None:
    found = meta(value, with_labels=False)
    if found is None:
        return None
    labels = strings(value, "metadata", "labels")
    return ReplicaSetRecord(
        found, _replicas(value), labels.get(names.TEMPLATE_HASH_LABEL), labels.get(names.ROLLOUTS_HASH_LABEL)
    )


def pod(value: Json) -> PodRecord | None:
    found = meta(value)
    if found is None:
        return None
    spec, status = at(value, "spec"), at(value, "status")
    ready, scheduled = _condition(value, "Ready"), _condition(value, "PodScheduled")
    restarts = [
        whole(entry, "restartCount") or 0
        for statuses in ("containerStatuses", "initContainerStatuses")
        for entry in entries(status, statuses)
        # An init container that failed and tried again has not restarted the pod.
        if statuses == "containerStatuses" or at(entry, "state", "running") is not None
    ]
    return PodRecord(
        meta=found,
        node=text(spec, "nodeName"),
        ip=text(status, "podIP"),
        phase=text(status, "phase"),
        created_at_s=time_s(value, "metadata", "creationTimestamp"),
        scheduled_at_s=time_s(scheduled, "lastTransitionTime") if text(scheduled, "status") == "True" else None,
        ready_at_s=time_s(ready, "lastTransitionTime") if text(ready, "status") == "True" else None,
        deleting=at(value, "metadata", "deletionTimestamp") is not None,
        restarts=sum(restarts),
        cpu_request_cores=scheduled_request(spec, "cpu"),
        memory_request_bytes=scheduled_request(spec, "memory"),
    )


def node(value: Json) -> NodeRecord | None:
    found = meta(value)
    if found is None:
        return None
    pods = quantity(value, "status", "allocatable", "pods")
    return NodeRecord(
        meta=found,
        ready={"True": True, "False": False}.get(text(_condition(value, "Ready"), "status") or ""),
        unschedulable=flag(value, "spec", "unschedulable"),
        taints=tuple(
            Taint(text(entry, "key") or "", text(entry, "value") or "", text(entry, "effect") or "")
            for entry in entries(value, "spec", "taints")
        ),
        cpu_cores=quantity(value, "status", "allocatable", "cpu"),
        memory_bytes=quantity(value, "status", "allocatable", "memory"),
        pods=None if pods is None else int(pods),
    )


def hpa(value: Json) -> HpaRecord | None:
    found = meta(value)
    if found is None:
        return None
    least = whole(value, "spec", "minReplicas")
    return HpaRecord(
        meta=found,
        target_kind=text(value, "spec", "scaleTargetRef", "kind") or "",
        target_name=text(value, "spec", "scaleTargetRef", "name") or "",
        min_replicas=1 if least is None else least,
        max_replicas=whole(value, "spec", "maxReplicas"),
        scale_up_disabled=text(value, "spec", "behavior", "scaleUp", "selectPolicy") == "Disabled",
    )


def scaled_object(value: Json) -> ScaledObjectRecord | None:
    found = meta(value)
    if found is None:
        return None
    most = whole(value, "spec", "maxReplicaCount")
    annotations = found.annotations
    return ScaledObjectRecord(
        meta=found,
        target_kind=text(value, "spec", "scaleTargetRef", "kind") or "Deployment",
        target_name=text(value, "spec", "scaleTargetRef", "name") or "",
        min_replicas=whole(value, "spec", "minReplicaCount") or 0,
        max_replicas=KEDA_MAX_REPLICAS if most is None else most,
        paused=_is_set(annotations, names.KEDA_PAUSED)
        or _is_set(annotations, names.KEDA_PAUSED_SCALE_OUT)
        or names.KEDA_PAUSED_REPLICAS in annotations,
    )


def budget(value: Json) -> BudgetRecord | None:
    found = meta(value, with_labels=False)
    if found is None:
        return None
    return BudgetRecord(found, label_selector(value, "spec", "selector"), whole(value, "status", "disruptionsAllowed"))


def quota(value: Json) -> QuotaRecord | None:
    """What is left of what the quota limits; nothing where it counts other pods than ours."""
    found = meta(value, with_labels=False)
    if found is None:
        return None
    scopes = at(value, "spec", "scopes")
    foreign = isinstance(scopes, list) and any(scope not in _SCOPES_OF_ORDINARY_PODS for scope in scopes)
    hard, used = at(value, "status", "hard"), at(value, "status", "used")
    if foreign or at(value, "spec", "scopeSelector") or not isinstance(hard, Mapping):
        return QuotaRecord(found, {})
    left = {}
    for resource in hard:
        most = quantity(hard, resource) if isinstance(resource, str) else None
        if most is not None:
            left[resource] = most - (quantity(used, resource) or 0.0)
    return QuotaRecord(found, left)


def service(value: Json) -> ServiceRecord | None:
    found = meta(value, with_labels=False)
    if found is None:
        return None
    pairs = strings(value, "spec", "selector")
    return ServiceRecord(found, Selector(pairs) if pairs else None, text(value, "spec", "clusterIP") == "None")


def route(value: Json) -> RouteRecord | None:
    found = meta(value, with_labels=False)
    if found is None:
        return None
    backends = {
        name
        for rule in entries(value, "spec", "rules")
        for backend in entries(rule, "backendRefs")
        if (name := text(backend, "name")) is not None and leads_to_service(backend, found.namespace)
    }
    return RouteRecord(found, frozenset(backends))


def leads_to_service(backend: Json, namespace: str) -> bool:
    """Whether a backendRef means a Service of the route's own namespace; another one may bear the same name."""
    core = text(backend, "kind") in (None, "Service") and text(backend, "group") is None
    return core and text(backend, "namespace") in (None, namespace)


def _replicas(value: Json) -> int:
    """spec.replicas, 1 where it is not set, as the API server's defaults have it."""
    replicas = whole(value, "spec", "replicas")
    return 1 if replicas is None else replicas


def _condition(value: Json, kind: str) -> Json | None:
    return next((entry for entry in entries(value, "status", "conditions") if entry.get("type") == kind), None)


def _is_set(annotations: Mapping[str, str], name: str) -> bool:
    return annotations.get(name, "false").strip().lower() not in ("false", "f", "0", "")
