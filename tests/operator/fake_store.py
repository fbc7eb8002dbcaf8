"""Objects as an API server keeps them: versions, generations, JSON patches with `test`, history for watches."""

from __future__ import annotations

import contextlib
import copy
import threading
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

Object = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Resource:
    """One row of what the server serves."""

    api_version: str
    plural: str
    kind: str
    namespaced: bool = True
    scale: bool = False
    replicas_at: str = "replicas"  # where in its spec
    status: bool = True  # has a status subresource, so that writes of the object itself leave its status alone


RESOURCES = (
    Resource("v1", "namespaces", "Namespace", namespaced=False),
    Resource("v1", "nodes", "Node", namespaced=False),
    Resource("v1", "pods", "Pod"),
    Resource("v1", "services", "Service"),
    Resource("v1", "configmaps", "ConfigMap", status=False),
    Resource("v1", "events", "Event", status=False),
    Resource("v1", "resourcequotas", "ResourceQuota"),
    Resource("v1", "persistentvolumeclaims", "PersistentVolumeClaim"),
    Resource("events.k8s.io/v1", "events", "Event", status=False),
    Resource("apps/v1", "deployments", "Deployment", scale=True),
    Resource("apps/v1", "statefulsets", "StatefulSet", scale=True),
    Resource("apps/v1", "replicasets", "ReplicaSet", scale=True),
    Resource("apps/v1", "daemonsets", "DaemonSet"),
    Resource("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler"),
    Resource("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget"),
    Resource("coordination.k8s.io/v1", "leases", "Lease", status=False),
    Resource("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", status=False),
    Resource("keda.sh/v1alpha1", "scaledobjects", "ScaledObject"),
    Resource("gateway.networking.k8s.io/v1", "httproutes", "HTTPRoute"),
    Resource("argoproj.io/v1alpha1", "rollouts", "Rollout", scale=True),
    Resource("foresail.dev/v1alpha1", "resiliencepolicies", "ResiliencePolicy"),
)


class Refusal(Exception):
    """An answer other than 2xx, as the API server words it."""

    def __init__(self, status: int, reason: str, message: str, details: Object | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.message, self.details = status, reason, message, details


@dataclass(slots=True)
class Store:
    """All objects, under one lock. Times are whatever `now` answers; versions count up from 1."""

    resources: dict[tuple[str, str], Resource] = field(
        default_factory=lambda: {(resource.api_version, resource.plural): resource for resource in RESOURCES}
    )
    objects: dict[tuple[str, str], dict[tuple[str, str], Object]] = field(default_factory=dict)
    history: list[tuple[int, str, Resource, Object]] = field(default_factory=list)
    version: int = 0
    oldest_version: int = 0  # watches from before it are answered 410
    changed: threading.Condition = field(default_factory=lambda: threading.Condition(threading.RLock()))

    def resource(self, api_version: str, plural: str) -> Resource:
        found = self.resources.get((api_version, plural))
        if found is None:
            raise Refusal(404, "NotFound", "the server could not find the requested resource")
        return found

    def by_kind(self, api_version: str, kind: str) -> Resource:
        return next(r for r in self.resources.values() if r.api_version == api_version and r.kind == kind)

    def rows(self, resource: Resource) -> dict[tuple[str, str], Object]:
        return self.objects.setdefault((resource.api_version, resource.plural), {})

    def get(self, resource: Resource, namespace: str, name: str) -> Object:
        with self.changed:
            found = self.rows(resource).get((namespace, name))
            if found is None:
                details = {"name": name, "kind": resource.plural}
                raise Refusal(404, "NotFound", f'{resource.plural} "{name}" not found', details)
            return copy.deepcopy(found)

    def list(self, resource: Resource, namespace: str | None) -> tuple[list[Object], int]:
        with self.changed:
            rows = sorted(self.rows(resource).items())
            found = [copy.deepcopy(row) for (where, _), row in rows if namespace in (None, where)]
            return found, self.version

    def create(self, resource: Resource, namespace: str, body: Object, keep_status: bool = False) -> Object:
        with self.changed:
            made = copy.deepcopy(body)
            meta = made.setdefault("metadata", {})
            if not meta.get("name") and meta.get("generateName"):
                meta["name"] = f"{meta['generateName']}{uuid.uuid4().hex[:5]}"
            if not meta.get("name"):
                raise Refusal(422, "Invalid", "metadata.name: Required value")
            if (namespace, meta["name"]) in self.rows(resource):
                raise Refusal(409, "AlreadyExists", f'{resource.plural} "{meta["name"]}" already exists')
            made["apiVersion"], made["kind"] = resource.api_version, resource.kind
            if resource.namespaced:
                meta["namespace"] = namespace
            meta.setdefault("uid", str(uuid.uuid4()))
            meta.setdefault("creationTimestamp", "2026-01-01T00:00:00Z")
            meta["generation"] = 1
            if resource.status and not keep_status:
                made.pop("status", None)
            return self._store(resource, made, "ADDED")

    def update(self, resource: Resource, namespace: str, name: str, change: Callable[[Object], Object]) -> Object:
        """What `change` makes of a copy of the object; its status stays where that is a resource of its own."""
        with self.changed:
            before = self.get(resource, namespace, name)
            after = change(copy.deepcopy(before))
            _check_identity(resource, before, after)
            if resource.status:
                after.pop("status", None)
                if "status" in before:
                    after["status"] = before["status"]
            if after == before:
                return before  # the API server writes nothing for a change that changes nothing
            if after.get("spec") != before.get("spec"):
                after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
            return self._store(resource, after, "MODIFIED")

    def update_status(
        self, resource: Resource, namespace: str, name: str, change: Callable[[Object], Object]
    ) -> Object:
        with self.changed:
            before = self.get(resource, namespace, name)
            after = change(copy.deepcopy(before))
            _check_identity(resource, before, after)
            kept = copy.deepcopy(before)
            kept["status"] = after.get("status", {})
            return before if kept == before else self._store(resource, kept, "MODIFIED")

    def delete(self, resource: Resource, namespace: str, name: str, uid: str | None = None) -> Object:
        with self.changed:
            found = self.get(resource, namespace, name)
            if uid is not None and uid != found["metadata"]["uid"]:
                raise Refusal(409, "Conflict", "the UID in the precondition does not match the UID in record")
            del self.rows(resource)[(namespace, name)]
            self.version += 1
            found["metadata"]["resourceVersion"] = str(self.version)
            self.history.append((self.version, "DELETED", resource, copy.deepcopy(found)))
            self.changed.notify_all()
            return found

    def since(self, resource: Resource, namespace: str | None, version: int) -> Iterator[tuple[int, str, Object]]:
        """What happened after `version`, oldest first."""
        with self.changed:
            if version < self.oldest_version:
                raise Refusal(410, "Expired", f"too old resource version: {version} ({self.oldest_version})")
            for at, event, kind, row in self.history:
                if at > version and kind == resource and namespace in (None, row["metadata"].get("namespace", "")):
                    yield at, event, copy.deepcopy(row)

    @contextlib.contextmanager
    def untouched(self) -> Iterator[None]:
        """As `dryRun=All`: what happens inside is forgotten."""
        with self.changed:
            before = copy.deepcopy(self.objects), list(self.history), self.version
            try:
                yield
            finally:
                self.objects, self.history, self.version = before

    def forget_history(self) -> None:
        """As after compaction: a watch from before now is answered 410 Gone."""
        with self.changed:
            self.history.clear()
            self.oldest_version = self.version

    def _store(self, resource: Resource, row: Object, event: str) -> Object:
        self.version += 1
        row["metadata"]["resourceVersion"] = str(self.version)
        key = (row["metadata"].get("namespace", "") if resource.namespaced else "", row["metadata"]["name"])
        self.rows(resource)[key] = copy.deepcopy(row)
        self.history.append((self.version, event, resource, copy.deepcopy(row)))
        self.changed.notify_all()
        return copy.deepcopy(row)


def _check_identity(resource: Resource, before: Object, after: Object) -> None:
    name = before["metadata"]["name"]
    sent = after.get("metadata", {})
    if sent.get("resourceVersion") not in (None, "", before["metadata"]["resourceVersion"]):
        message = f'Operation cannot be fulfilled on {resource.plural} "{name}": the object has been modified'
        raise Refusal(409, "Conflict", message)
    if sent.get("uid", before["metadata"]["uid"]) != before["metadata"]["uid"]:
        raise Refusal(409, "Conflict", "Precondition failed: UID in object meta differs")
    for fixed in ("name", "namespace", "uid", "creationTimestamp", "generation", "resourceVersion"):
        if fixed in before["metadata"]:
            after.setdefault("metadata", {})[fixed] = before["metadata"][fixed]


def merge(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merge(merged.get(key), value)
    return merged


def json_patch(target: Object, operations: list[Object]) -> Object:
    """RFC 6902 without copy and move. A failed `test` or a path that is not there is a 422, as in the API server."""
    document: Any = copy.deepcopy(target)
    for operation in operations:
        tokens = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
        parent = document
        for token in tokens[:-1]:
            parent = _step(parent, token, operation)
        last, verb = tokens[-1], operation["op"]
        if verb == "add":
            _add(parent, last, operation)
            continue
        current = _step(parent, last, operation)
        if verb == "test":
            if current != operation.get("value"):
                raise _unfit(f"testing path {operation['path']} value failed")
        elif verb == "replace":
            parent[int(last) if isinstance(parent, list) else last] = copy.deepcopy(operation["value"])
        elif verb == "remove":
            del parent[int(last) if isinstance(parent, list) else last]
        else:
            raise Refusal(400, "BadRequest", f"unknown operation {verb}")
    return document


def _step(parent: Any, token: str, operation: Object) -> Any:
    if isinstance(parent, list) and token.isdigit() and int(token) < len(parent):
        return parent[int(token)]
    if isinstance(parent, dict) and token in parent:
        return parent[token]
    raise _unfit(f"{operation['op']} operation does not apply: doc is missing path: {operation['path']}")


def _add(parent: Any, last: str, operation: Object) -> None:
    value = copy.deepcopy(operation["value"])
    if isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), value)
    elif isinstance(parent, dict):
        parent[last] = value
    else:
        raise _unfit(f"add operation does not apply: doc is missing path: {operation['path']}")


def _unfit(cause: str) -> Refusal:
    message = f"the server rejected our request due to an error in our request: {cause}"
    return Refusal(422, "Invalid", message)
