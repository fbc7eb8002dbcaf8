"""What the fake API server answers to each path: verbs, subresources, selectors, watches, discovery."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fake_store import Object, Refusal, Resource, Store, json_patch, merge

if TYPE_CHECKING:
    from fake_api import Request


@dataclass(frozen=True, slots=True)
class Route:
    resource: Resource | None
    namespace: str | None = None  # None: all of them
    name: str = ""
    subresource: str = ""
    plain: str = ""  # a path outside the object tree


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Any
    stream: Iterator[Object] | None = None


def refused(refusal: Refusal) -> Answer:
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure", "code": refusal.status}
    status |= {"message": refusal.message, "reason": refusal.reason}
    return Answer(refusal.status, status | ({"details": refusal.details} if refusal.details else {}))


def parse(store: Store, path: str) -> Route:
    parts = [part for part in path.split("/") if part]
    if parts[:1] == ["api"] and len(parts) > 2:
        api_version, rest = parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        api_version, rest = f"{parts[1]}/{parts[2]}", parts[3:]
    else:
        return Route(None, plain=path)
    namespace: str | None = None
    if rest[0] == "namespaces" and len(rest) > 2 and rest[2] not in ("status", "finalize"):
        namespace, rest = rest[1], rest[2:]
    resource = store.resource(api_version, rest[0])
    name = rest[1] if len(rest) > 1 else ""
    subresource = rest[2] if len(rest) > 2 else ""
    if name and not resource.namespaced:
        namespace = ""
    if subresource not in _subresources(resource):
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    return Route(resource, namespace, name, subresource)


def answer(store: Store, route: Route, request: Request, stopping: Callable[[], bool]) -> Answer:
    if route.resource is None:
        return Answer(200, _discovery(store, route.plain))
    if route.subresource == "eviction":
        return _evict(store, route, request)
    if route.subresource == "scale":
        return _scale(store, route, request)
    if not route.name:
        return _collection(store, route, request, stopping)
    where = route.namespace or ""
    match request.method:
        case "GET":
            return Answer(200, store.get(route.resource, where, route.name))
        case "DELETE":
            uid = ((request.body or {}).get("preconditions") or {}).get("uid")
            return Answer(200, store.delete(route.resource, where, route.name, uid))
    update = store.update_status if route.subresource == "status" else store.update
    return Answer(200, update(route.resource, where, route.name, lambda row: _written(row, request)))


def _written(row: Object, request: Request) -> Object:
    """The object after a PUT or PATCH with this body."""
    if request.method == "PUT":
        return dict(request.body)
    content = request.headers.get("content-type", "")
    if "json-patch" in content:
        if not isinstance(request.body, list):
            raise Refusal(400, "BadRequest", "a JSON patch is a list")
        return json_patch(row, request.body)
    if "merge-patch" in content:
        merged: Object = merge(row, request.body)
        return merged
    raise Refusal(415, "UnsupportedMediaType", f"unknown patch type {content}")


def _subresources(resource: Resource) -> set[str]:
    found = {""} | ({"status"} if resource.status else set()) | ({"scale"} if resource.scale else set())
    return found | ({"eviction"} if resource.plural == "pods" else set())


def _collection(store: Store, route: Route, request: Request, stopping: Callable[[], bool]) -> Answer:
    resource = route.resource
    assert resource is not None
    if request.method == "POST":
        namespace = (route.namespace or "") if resource.namespaced else ""
        return Answer(201, store.create(resource, namespace, request.body))
    if request.method != "GET":
        raise Refusal(405, "MethodNotAllowed", "the fake deletes no collections")
    fits = _selector(request)
    if request.query.get("watch") in ("1", "true", "True"):
        return Answer(200, None, _watch(store, route, request, fits, stopping))
    rows, version = store.list(resource, route.namespace)
    rows = [row for row in rows if fits(row)]
    start = int(request.query.get("continue") or 0)
    size = int(request.query.get("limit") or 0) or len(rows)
    meta: Object = {"resourceVersion": str(version)}
    if start + size < len(rows):
        meta |= {"continue": str(start + size), "remainingItemCount": len(rows) - start - size}
    listed = {"apiVersion": resource.api_version, "kind": f"{resource.kind}List", "metadata": meta}
    return Answer(200, listed | {"items": rows[start : start + size]})


def _watch(
    store: Store, route: Route, request: Request, fits: Callable[[Object], bool], stopping: Callable[[], bool]
) -> Iterator[Object]:
    resource = route.resource
    assert resource is not None
    asked = request.query.get("resourceVersion") or ""
    seen = int(asked or 0)
    ends_at = time.monotonic() + float(request.query.get("timeoutSeconds") or 300)
    if seen == 0:
        rows, seen = store.list(resource, route.namespace)
        for row in rows:
            if fits(row):
                yield {"type": "ADDED", "object": row}
    while not stopping() and (left_s := ends_at - time.monotonic()) > 0:
        try:
            with store.changed:
                events = list(store.since(resource, route.namespace, seen))
                seen = store.version  # of all kinds: what the others do must not keep this one awake
        except Refusal as refusal:
            yield {"type": "ERROR", "object": refused(refusal).body}
            return
        for _, event, row in events:
            if fits(row):
                yield {"type": event, "object": row}
        with store.changed:
            if not stopping() and store.version <= seen:
                store.changed.wait(min(left_s, 0.5))
    if request.query.get("allowWatchBookmarks") in ("1", "true", "True") and not stopping():
        meta = {"resourceVersion": str(store.version)}
        yield {
            "type": "BOOKMARK",
            "object": {"apiVersion": resource.api_version, "kind": resource.kind, "metadata": meta},
        }


def _selector(request: Request) -> Callable[[Object], bool]:
    labels, fields = request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")

    def fits(row: Object) -> bool:
        own = row["metadata"].get("labels") or {}
        return all(_label_fits(own, term) for term in _terms(labels)) and all(
            _field_fits(row, term) for term in _terms(fields)
        )

    return fits


def _terms(selector: str) -> list[str]:
    terms, depth, current = [], 0, ""
    for letter in selector:
        depth += (letter == "(") - (letter == ")")
        if letter == "," and depth == 0:
            terms.append(current)
            current = ""
        else:
            current += letter
    return [term.strip() for term in [*terms, current] if term.strip()]


def _label_fits(labels: dict[str, str], term: str) -> bool:
    if " notin " in term or " in " in term:
        key, _, listed = term.partition(" notin " if " notin " in term else " in ")
        values = {value.strip() for value in listed.strip(" ()").split(",")}
        return (labels.get(key.strip()) in values) != (" notin " in term)
    if "!=" in term:
        key, value = term.split("!=")
        return labels.get(key.strip()) != value.strip()
    if "=" in term:
        key, value = term.replace("==", "=").split("=")
        return labels.get(key.strip()) == value.strip()
    return term[1:] not in labels if term.startswith("!") else term in labels


def _field_fits(row: Object, term: str) -> bool:
    wanted = "!=" not in term
    path, value = term.replace("==", "=").split("=") if wanted else term.split("!=")
    found: Any = row
    for part in path.strip().split("."):
        found = found.get(part, "") if isinstance(found, dict) else ""
    return (str(found) == value.strip()) is wanted


def _scale(store: Store, route: Route, request: Request) -> Answer:
    resource, where = route.resource, route.namespace or ""
    assert resource is not None

    def shown(row: Object) -> Object:
        kept = ("name", "namespace", "uid", "resourceVersion", "creationTimestamp")
        meta = {key: row["metadata"][key] for key in kept if key in row["metadata"]}
        scale = {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": meta}
        spec, status = row.get("spec", {}), row.get("status", {})
        replicas = spec.get(resource.replicas_at, 0 if resource.api_version.startswith("argo") else 1)
        pairs = (spec.get("selector") or {}).get("matchLabels") or {}
        selector = status.get("selector") or ",".join(f"{key}={value}" for key, value in sorted(pairs.items()))
        return scale | {
            "spec": {"replicas": replicas},
            "status": {"replicas": status.get("replicas", 0), "selector": selector},
        }

    def written(row: Object) -> Object:
        scale = _written(shown(row), request)
        count = scale.get("spec", {}).get("replicas", 0)
        if not isinstance(count, int) or count < 0:
            raise Refusal(422, "Invalid", "spec.replicas: Invalid value")
        meta = scale.get("metadata", {})
        row["metadata"]["resourceVersion"] = meta.get("resourceVersion") or row["metadata"]["resourceVersion"]
        row["metadata"]["uid"] = meta.get("uid", row["metadata"]["uid"])
        row.setdefault("spec", {})[resource.replicas_at] = count
        return row

    if request.method == "GET":
        return Answer(200, shown(store.get(resource, where, route.name)))
    return Answer(200, shown(store.update(resource, where, route.name, written)))


def _evict(store: Store, route: Route, request: Request) -> Answer:
    resource, where = route.resource, route.namespace or ""
    assert resource is not None
    with store.changed:
        pod = store.get(resource, where, route.name)
        uid = (((request.body or {}).get("deleteOptions") or {}).get("preconditions") or {}).get("uid")
        if uid is not None and uid != pod["metadata"]["uid"]:
            raise Refusal(409, "Conflict", "the UID in the precondition does not match the UID in record")
        budgets = store.resource("policy/v1", "poddisruptionbudgets")
        for budget in store.list(budgets, where)[0]:
            wanted = budget["spec"].get("selector", {}).get("matchLabels", {})
            labels = pod["metadata"].get("labels") or {}
            if not all(labels.get(key) == value for key, value in wanted.items()):
                continue
            left = budget.get("status", {}).get("disruptionsAllowed", 0)
            if left < 1:
                message = "Cannot evict pod as it would violate the pod's disruption budget."
                raise Refusal(429, "TooManyRequests", message)
            spent = lambda row, left=left: row | {"status": row["status"] | {"disruptionsAllowed": left - 1}}  # noqa: E731
            store.update_status(budgets, where, budget["metadata"]["name"], spent)
        store.delete(resource, where, route.name)
    return Answer(201, {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success"})


def _discovery(store: Store, path: str) -> Object:
    parts = [part for part in path.split("/") if part]
    versions = sorted({resource.api_version for resource in store.resources.values()})
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if parts == ["apis"]:
        named = [{"groupVersion": v, "version": v.split("/")[1]} for v in versions if "/" in v]
        groups = [{"name": v["groupVersion"].split("/")[0], "versions": [v], "preferredVersion": v} for v in named]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    if parts == ["version"]:
        return {"major": "1", "minor": "34", "gitVersion": "v1.34.0"}
    if parts[-1:] in (["healthz"], ["livez"], ["readyz"]):
        return {"status": "ok"}
    asked = parts[1] if parts[:1] == ["api"] else "/".join(parts[1:3])
    if parts[:1] not in (["api"], ["apis"]) or asked not in versions:
        raise Refusal(404, "NotFound", "the server could not find the requested resource")
    listed: list[Object] = []
    for resource in store.resources.values():
        if resource.api_version == asked:
            for sub in sorted(_subresources(resource)):
                name = f"{resource.plural}/{sub}" if sub else resource.plural
                verbs = ["create", "delete", "get", "list", "patch", "update", "watch"]
                row = {"name": name, "singularName": resource.kind.lower(), "kind": resource.kind}
                listed.append(row | {"namespaced": resource.namespaced, "verbs": verbs})
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": asked, "resources": listed}
