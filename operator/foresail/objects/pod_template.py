"""What a pod spec asks for, and what its pods are probed on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from foresail.objects.fields import Json, at, entries, quantity, strings, text, whole
from foresail.objects.records import PodTemplate, ProbeTarget, Resources, Toleration

_MEASURES = ("cpu", "memory")


def pod_template(template: object) -> PodTemplate:
    spec = at(template, "spec")
    return PodTemplate(
        labels=strings(template, "metadata", "labels"),
        resources=pod_resources(spec),
        fingerprint=_fingerprint(spec),
        node_selector=strings(spec, "nodeSelector"),
        tolerations=tuple(_toleration(entry) for entry in entries(spec, "tolerations")),
        probe=_probe(spec),
        claims=tuple(
            claim
            for volume in entries(spec, "volumes")
            if (claim := text(volume, "persistentVolumeClaim", "claimName")) is not None
        ),
        hard_spread=any(
            text(entry, "whenUnsatisfiable") == "DoNotSchedule" and text(entry, "nodeTaintsPolicy") != "Honor"
            for entry in entries(spec, "topologySpreadConstraints")
        ),
    )


def pod_resources(spec: object) -> Resources:
    """Requests and limits of a running pod: containers, sidecars (init containers that restart) and overhead.

    A limit counts only where every container has one. Init containers that end before the pod starts are left out:
    what they need besides, the scheduler keeps free, but no request is served with it.
    """
    running = _running(spec)
    pod = at(spec, "resources")
    values: list[float | None] = []
    for measure in _MEASURES:
        overhead = quantity(spec, "overhead", measure) or 0.0
        own_limit, own_request = quantity(pod, "limits", measure), quantity(pod, "requests", measure)
        limits = [quantity(container, "resources", "limits", measure) for container in running]
        requests = [_request(container, measure) for container in running]
        known_requests = [value for value in requests if value is not None]
        known_limits = [value for value in limits if value is not None]
        request = own_request if own_request is not None else sum(known_requests) if known_requests else None
        limit = own_limit if own_limit is not None else sum(known_limits) if limits == known_limits != [] else None
        values += [None if request is None else request + overhead, None if limit is None else limit + overhead]
    return Resources(*values)


def scheduled_request(spec: object, measure: str) -> float:
    """What the scheduler sets aside for a pod, in cores or bytes: the most that it needs at any time of its life."""
    overhead = quantity(spec, "overhead", measure) or 0.0
    for_pod = quantity(spec, "resources", "requests", measure)
    if for_pod is not None:
        return for_pod + overhead
    sidecars = peak = 0.0
    for container in entries(spec, "initContainers"):
        request = _request(container, measure) or 0.0
        if _is_sidecar(container):
            sidecars += request
            peak = max(peak, sidecars)
        else:
            peak = max(peak, sidecars + request)
    running = sidecars + sum(_request(container, measure) or 0.0 for container in entries(spec, "containers"))
    return max(peak, running) + overhead


def _request(container: Json, measure: str) -> float | None:
    """A limit without a request is its own request, as the API server's defaults have it."""
    request = quantity(container, "resources", "requests", measure)
    return request if request is not None else quantity(container, "resources", "limits", measure)


def _running(spec: object) -> tuple[Json, ...]:
    sidecars = tuple(container for container in entries(spec, "initContainers") if _is_sidecar(container))
    return sidecars + entries(spec, "containers")


def _is_sidecar(container: Json) -> bool:
    return text(container, "restartPolicy") == "Always"


def _fingerprint(spec: object) -> int:
    """A number of 52 bits that is the same for "1000m" and "1", in whatever order containers and fields come."""
    described = sorted(
        [
            text(container, "name") or "",
            text(container, "image") or "",
            *(
                f"{kind}.{measure}={quantity(container, 'resources', kind, measure)}"
                for kind in ("requests", "limits")
                for measure in _MEASURES
            ),
        ]
        for container in _running(spec)
    )
    for_pod = [quantity(spec, "resources", kind, measure) for kind in ("requests", "limits") for measure in _MEASURES]
    digest = hashlib.sha256(json.dumps([described, for_pod]).encode("utf-8", "surrogatepass")).digest()
    # 52 bits survive a trip through anybody's JSON.
    return int.from_bytes(digest[:8]) >> 12


def _toleration(entry: Json) -> Toleration:
    exists = text(entry, "operator") == "Exists"
    return Toleration(text(entry, "key"), None if exists else (text(entry, "value") or ""), text(entry, "effect"))


def _probe(spec: object) -> ProbeTarget | None:
    """The first readiness probe over HTTP or TCP; without one, a connection to the first port."""
    containers = entries(spec, "containers")
    for container in containers:
        target = _http_probe(container) or _tcp_probe(container)
        if target is not None:
            return target
    return next(
        (
            ProbeTarget(port)
            for container in containers
            for entry in entries(container, "ports")
            if (port := _port(entry.get("containerPort"), ())) is not None and text(entry, "protocol") in (None, "TCP")
        ),
        None,
    )


def _http_probe(container: Json) -> ProbeTarget | None:
    http = at(container, "readinessProbe", "httpGet")
    port = _port(at(http, "port"), entries(container, "ports"))
    if port is None:
        return None
    host = next(
        (
            text(entry, "value")
            for entry in entries(http, "httpHeaders")
            if (text(entry, "name") or "").lower() == "host"
        ),
        None,
    )
    return ProbeTarget(port, text(http, "path") or "/", text(http, "scheme") == "HTTPS", host)


def _tcp_probe(container: Json) -> ProbeTarget | None:
    port = _port(at(container, "readinessProbe", "tcpSocket", "port"), entries(container, "ports"))
    return None if port is None else ProbeTarget(port)


def _port(value: object, named: Iterable[Json]) -> int | None:
    """A port by number or by name."""
    if isinstance(value, str):
        value = next((whole(entry, "containerPort") for entry in named if entry.get("name") == value), None)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 65536 else None
