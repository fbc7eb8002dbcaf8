"""An API server that holds a synthetic shop, and its pods, in a process of its own.

    python -m chaos.operator_bench.stand_in_api WORKLOADS

Prints `{"api": address, "pods": port}` and ends with its standard input. It lists, watches, creates, replaces, patches
and deletes, checks versions, and counts what it is asked: `/_requests` answers `{"VERB plural": count}`. It is lean so
that it leaves the machine to the operator; what else an API server does is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from aiohttp import web

from chaos.operator_bench.json_patches import PatchRefused, patched
from chaos.operator_bench.synthetic_shop import Object, SyntheticShop, objects

_PLURALS = {
    "Node": "nodes",
    "Namespace": "namespaces",
    "Pod": "pods",
    "Service": "services",
    "Deployment": "deployments",
    "ReplicaSet": "replicasets",
    "HorizontalPodAutoscaler": "horizontalpodautoscalers",
    "ResiliencePolicy": "resiliencepolicies",
}
#: Served though the shop has none of them; KEDA's are not: a cluster may lack them.
_EMPTY = ("statefulsets", "poddisruptionbudgets", "resourcequotas", "configmaps", "leases", "events")
_CLUSTER_WIDE = ("nodes", "namespaces")
_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"
_PAGE = (
    b"# TYPE http_server_request_duration_seconds histogram\n"
    b'http_server_request_duration_seconds_count{http_response_status_code="200"} %d\n'
)
Key = tuple[str, str]  # namespace, name


class StandInApi:
    """Objects by plural, under the event loop's single thread."""

    def __init__(self, bodies: Iterable[Object]) -> None:
        self.requests: Counter[str] = Counter()
        self._rows: defaultdict[str, dict[Key, Object]] = defaultdict(dict)
        self._events: defaultdict[str, list[tuple[int, str, Object]]] = defaultdict(list)
        self._version = 1
        self._changed: defaultdict[str, asyncio.Event] = defaultdict(asyncio.Event)
        for plural in _EMPTY:
            self._rows[plural] = {}
        for body in bodies:
            body["metadata"]["resourceVersion"] = "1"
            self._rows[_PLURALS[body["kind"]]][_key(body)] = body

    def app(self) -> web.Application:
        app = web.Application(client_max_size=64 * 2**20)
        app.router.add_route("*", "/{path:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/_requests":
            return web.json_response(dict(self.requests))
        parts = request.path.strip("/").split("/")
        # api/v1/… or apis/group/version/…
        rest = parts[2:] if parts[0] == "api" else parts[3:]
        namespace = None
        if len(rest) > 2 and rest[0] == "namespaces":
            namespace, rest = rest[1], rest[2:]
        if not rest:
            self.requests["GET discovery"] += 1
            return web.json_response(_discovery(parts))
        plural, name, sub = (*rest, "", "")[:3]
        watching = request.query.get("watch") in ("true", "1")
        self.requests[f"{'WATCH' if watching else request.method} {plural}{f'/{sub}' if sub else ''}"] += 1
        if plural not in self._rows:
            return _status(404)
        if watching:
            return await self._watch(request, plural, namespace)
        if not name and request.method == "GET":
            return self._list(request, plural, namespace)
        body = await request.json() if request.can_read_body else None
        return self._object(request.method, plural, (namespace or "", name), sub, body)

    def _object(self, method: str, plural: str, key: Key, sub: str, body: Any) -> web.Response:
        if method == "POST":
            key = (key[0], body["metadata"]["name"])
            if key in self._rows[plural]:
                return _status(409)
            body["metadata"].setdefault("namespace", key[0])
            body["metadata"]["uid"] = f"uid-{plural}-{key[0]}-{key[1]}"
            return web.json_response(self._store(plural, key, body, "ADDED"), status=201)
        before = self._rows[plural].get(key)
        if before is None:
            return _status(404)
        if method == "GET":
            return web.json_response(before)
        if method == "DELETE":
            del self._rows[plural][key]
            self._tell(plural, "DELETED", before)
            return web.json_response(before)
        try:
            after = body if method == "PUT" else patched(before, body)
        except PatchRefused as refused:
            return _status(422, str(refused))
        sent = after["metadata"].get("resourceVersion")
        if sent not in (None, before["metadata"]["resourceVersion"]):
            return _status(409)
        after["metadata"]["uid"] = before["metadata"]["uid"]
        if not sub and after.get("spec") != before.get("spec"):
            after["metadata"]["generation"] = before["metadata"].get("generation", 1) + 1
        return web.json_response(self._store(plural, key, after, "MODIFIED"))

    def _list(self, request: web.Request, plural: str, namespace: str | None) -> web.Response:
        rows = [row for (where, _), row in self._rows[plural].items() if namespace in (None, where)]
        begin = int(request.query.get("continue") or 0)
        size = int(request.query.get("limit") or 0) or max(1, len(rows))
        meta = {"resourceVersion": str(self._version)}
        if begin + size < len(rows):
            meta["continue"] = str(begin + size)
        return web.json_response({"kind": "List", "metadata": meta, "items": rows[begin : begin + size]})

    async def _watch(self, request: web.Request, plural: str, namespace: str | None) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "application/json"})
        answer.enable_chunked_encoding()
        await answer.prepare(request)
        seen = int(request.query.get("resourceVersion") or self._version)
        loop = asyncio.get_running_loop()
        ends_at_s = loop.time() + float(request.query.get("timeoutSeconds") or 300.0)
        with contextlib.suppress(ConnectionError):
            while (left_s := ends_at_s - loop.time()) > 0:
                for version, event, row in self._events[plural]:
                    if version > seen and namespace in (None, row["metadata"].get("namespace")):
                        await answer.write(json.dumps({"type": event, "object": row}).encode() + b"\n")
                seen = max(seen, self._version)
                changed = self._changed[plural]
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(changed.wait(), min(left_s, 60.0))
                if not changed.is_set():
                    # As an API server does about once a minute.
                    bookmark = {"metadata": {"resourceVersion": str(self._version)}}
                    await answer.write(json.dumps({"type": "BOOKMARK", "object": bookmark}).encode() + b"\n")
            await answer.write_eof()
        return answer

    def _store(self, plural: str, key: Key, row: Object, event: str) -> Object:
        self._rows[plural][key] = row
        self._tell(plural, event, row)
        return row

    def _tell(self, plural: str, event: str, row: Object) -> None:
        self._version += 1
        row["metadata"]["resourceVersion"] = str(self._version)
        self._events[plural].append((self._version, event, json.loads(json.dumps(row))))
        self._changed.pop(plural, asyncio.Event()).set()


class Pod(asyncio.Protocol):
    """Any pod of the shop: ready, and its gateway's counter at as many requests as seconds have passed."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"GET /metrics"):
            page = _PAGE % int(asyncio.get_running_loop().time())
            self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(page) + page)
            return
        self._transport.write(_ANSWER)
        self._transport.close()


def _key(body: Object) -> Key:
    return (body["metadata"].get("namespace", ""), body["metadata"]["name"])


def _status(code: int, message: str = "") -> web.Response:
    reasons = {404: "NotFound", 409: "Conflict", 422: "Invalid"}
    body = {"kind": "Status", "status": "Failure", "code": code, "reason": reasons[code], "message": message}
    return web.json_response(body, status=code)


def _discovery(parts: list[str]) -> Object:
    """What kopf asks for, which only looks for our own kind."""
    if parts == ["api"]:
        return {"kind": "APIVersions", "versions": ["v1"]}
    if parts == ["apis"]:
        version = {"groupVersion": "foresail.dev/v1alpha1", "version": "v1alpha1"}
        group = {"name": "foresail.dev", "versions": [version], "preferredVersion": version}
        return {"kind": "APIGroupList", "groups": [group]}
    if parts[1] != "foresail.dev":
        return {"kind": "APIResourceList", "resources": []}
    verbs = ["get", "list", "watch", "patch"]
    row = {"name": "resiliencepolicies", "singularName": "resiliencepolicy", "kind": "ResiliencePolicy"}
    return {"kind": "APIResourceList", "resources": [row | {"namespaced": True, "verbs": verbs}]}


async def _run(workloads: int) -> None:
    loop = asyncio.get_running_loop()
    pods = await loop.create_server(Pod, "127.0.0.1", 0, backlog=4096)
    pod_port = pods.sockets[0].getsockname()[1]
    runner = web.AppRunner(StandInApi(objects(SyntheticShop(workloads), pod_port)).app(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, shutdown_timeout=0.5).start()
    address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    sys.stdout.write(json.dumps({"api": address, "pods": pod_port}) + "\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.read)
    await runner.cleanup()


if __name__ == "__main__":
    asyncio.run(_run(int(sys.argv[1])))
