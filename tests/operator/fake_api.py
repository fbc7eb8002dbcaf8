"""A Kubernetes API server for tests: objects in memory, served over real HTTP on loopback to the official client.

    from fake_api import FakeApi

    def test_something(fake_api: FakeApi) -> None:            # fixture of tests/operator/conftest.py, one per test
        fake_api.put({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "shop"}})
        client.CoreV1Api(fake_api.client()).list_namespaced_pod("shop")
        fake_api.change("pods", "shop", "a", lambda pod: pod["metadata"].update(labels={"x": "y"}))  # somebody else
        assert fake_api.get("pods", "shop", "a")["metadata"]["labels"] == {"x": "y"}

What it serves: get, list (label and field selectors, limit/continue), watch (bookmarks, 410 after `forget_history`),
create, replace, delete (uid preconditions), JSON patch with `test`, merge patch, the subresources status, scale and
eviction (budgets answer 429), `dryRun`, resourceVersion conflicts as 409, discovery, `/version`. Kinds:
`fake_store.RESOURCES`; `without("scaledobjects")` is a cluster that lacks the kind, `serve(Resource(...))` adds one.

What can be made to fail, each with a `match` (text in "VERB /path", every request where it is empty):
`fail(500, match=..., times=1)`, `forbid("patch", "pods")` (403), `cut(match=...)` ends the connection without an
answer, `hang(match=...)` gives none until `heal()`; `down()` refuses connections and cuts those that stand, `up()`
listens on the same port again. A failure with `after=True` happens after the write was done: the answer is lost, the
write is not. `before(match, act)` runs `act()` once just before a matching request, which is how somebody else gets
between a read and a write. `requests` is what was asked, oldest first; `writes` those of it that were not reads.
`close()` at the end (the fixture does it).
"""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import fake_routes
from fake_store import Object, Refusal, Resource, Store
from kubernetes import client

MUTATING = ("POST", "PUT", "PATCH", "DELETE")
VERBS = {"GET": "get", "POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    body: Any
    headers: dict[str, str]

    @property
    def line(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(slots=True)
class _Failure:
    match: str
    status: int  # 0: hang, -1: cut
    times: int | None
    after: bool


@dataclass(slots=True)
class _Interception:
    match: str
    act: Callable[[], object]


@dataclass(slots=True)
class FakeApi:
    """See the module's docstring. All methods may be called from any thread."""

    store: Store = field(default_factory=Store)
    requests: list[Request] = field(default_factory=list)
    _failures: list[_Failure] = field(default_factory=list)
    _interceptions: list[_Interception] = field(default_factory=list)
    _forbidden: set[tuple[str, str]] = field(default_factory=set)
    _healed: threading.Event = field(default_factory=threading.Event)
    _server: _Server | None = None
    _thread: threading.Thread | None = None
    _port: int = 0
    _clients: list[client.ApiClient] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.up()

    # Objects

    def put(self, body: Object) -> Object:
        """Creates the object, status included, or replaces it whole."""
        resource = self.store.by_kind(body["apiVersion"], body["kind"])
        namespace = body["metadata"].get("namespace", "default") if resource.namespaced else ""
        with self.store.changed:
            self.store.rows(resource).pop((namespace, body["metadata"]["name"]), None)
            return self.store.create(resource, namespace, body, keep_status=True)

    def get(self, plural: str, namespace: str, name: str) -> Object:
        resource = self._resource(plural)
        return self.store.get(resource, namespace if resource.namespaced else "", name)

    def exists(self, plural: str, namespace: str, name: str) -> bool:
        with contextlib.suppress(Refusal):
            return bool(self.get(plural, namespace, name))
        return False

    def change(self, plural: str, namespace: str, name: str, edit: Callable[[Object], object]) -> Object:
        """Somebody else's write: `edit` changes the object in place, status included."""

        def edited(row: Object) -> Object:
            edit(row)
            return row

        resource = self._resource(plural)
        where = namespace if resource.namespaced else ""
        with self.store.changed:
            changed = self.store.update_status(resource, where, name, edited) if resource.status else None
            return self.store.update(resource, where, name, edited) or changed

    def delete(self, plural: str, namespace: str, name: str) -> None:
        resource = self._resource(plural)
        self.store.delete(resource, namespace if resource.namespaced else "", name)

    def serve(self, resource: Resource) -> None:
        self.store.resources[(resource.api_version, resource.plural)] = resource

    def without(self, plural: str) -> None:
        """The cluster lacks this kind: 404 for all of it."""
        resource = self._resource(plural)
        del self.store.resources[(resource.api_version, resource.plural)]

    def forget_history(self) -> None:
        self.store.forget_history()

    # Failures

    def fail(self, status: int, match: str = "", times: int | None = None, after: bool = False) -> None:
        self._failures.append(_Failure(match, status, times, after))

    def hang(self, match: str = "", times: int | None = None, after: bool = False) -> None:
        self._healed.clear()
        self._failures.append(_Failure(match, 0, times, after))

    def cut(self, match: str = "", times: int | None = None, after: bool = False) -> None:
        """The connection ends without an answer."""
        self._failures.append(_Failure(match, -1, times, after))

    def forbid(self, verb: str, plural: str) -> None:
        """RBAC: `verb` is get, list, watch, create, update, patch or delete; `plural` may be `pods/eviction`."""
        self._forbidden.add((verb, plural))

    def before(self, match: str, act: Callable[[], object]) -> None:
        self._interceptions.append(_Interception(match, act))

    def heal(self) -> None:
        self._failures.clear()
        self._forbidden.clear()
        self._healed.set()

    def down(self) -> None:
        if self._server is None:
            return
        self._healed.set()
        with self.store.changed:
            self._server.stopping = True
            self.store.changed.notify_all()
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()
        assert self._thread is not None
        self._thread.join()
        self._server = self._thread = None

    def up(self) -> None:
        if self._server is not None:
            return
        self._server = _Server(self, self._port)
        self._port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self.heal()
        self.down()
        for used in self._clients:
            used.close()

    # Clients

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def client(self, retries: int | bool | None = False) -> client.ApiClient:
        configuration = client.Configuration(host=self.url)
        configuration.retries = retries
        made = client.ApiClient(configuration)
        self._clients.append(made)
        return made

    @property
    def writes(self) -> list[Request]:
        return [request for request in self.requests if request.method in MUTATING]

    # Answers

    def answer(self, request: Request, stopping: Callable[[], bool]) -> fake_routes.Answer:
        self.requests.append(request)
        for interception in [i for i in self._interceptions if i.match in request.line]:
            self._interceptions.remove(interception)
            interception.act()
        self._disturb(request, after=False)
        try:
            route = fake_routes.parse(self.store, request.path)
            self._authorize(request, route)
            if request.query.get("dryRun"):
                with self.store.untouched():
                    answer = fake_routes.answer(self.store, route, request, stopping)
            else:
                answer = fake_routes.answer(self.store, route, request, stopping)
        except Refusal as refusal:
            answer = fake_routes.refused(refusal)
        self._disturb(request, after=True)
        return answer

    def _disturb(self, request: Request, after: bool) -> None:
        for failure in [f for f in self._failures if f.after is after and f.match in request.line]:
            if failure.times is not None:
                failure.times -= 1
                if failure.times <= 0:
                    self._failures.remove(failure)
            if failure.status <= 0:
                if failure.status == 0:
                    self._healed.wait(30.0)
                raise ConnectionAbortedError
            raise Disturbed(Refusal(failure.status, "InternalError", "made to fail"))

    def _authorize(self, request: Request, route: fake_routes.Route) -> None:
        verb = VERBS.get(request.method, "get")
        if verb == "get" and route.resource is not None and not route.name:
            verb = "watch" if request.query.get("watch") in ("1", "true", "True") else "list"
        plural = "" if route.resource is None else route.resource.plural
        plural = f"{plural}/{route.subresource}" if route.subresource else plural
        if (verb, plural) in self._forbidden:
            message = f'{plural} "{route.name}" is forbidden: User "foresail" cannot {verb} resource "{plural}"'
            raise Refusal(403, "Forbidden", message)

    def _resource(self, plural: str) -> Resource:
        return next(resource for resource in self.store.resources.values() if resource.plural == plural)


class Disturbed(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.message)
        self.refusal = refusal


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True

    def __init__(self, api: FakeApi, port: int) -> None:
        self.api = api
        self.stopping = False
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Handler)

    def get_request(self) -> tuple[socket.socket, Any]:
        made, address = super().get_request()
        self._open.add(made)
        return made, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is no news."""

    def cut(self) -> None:
        for standing in list(self._open):
            with contextlib.suppress(OSError):
                standing.shutdown(socket.SHUT_RDWR)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: _Server

    def _serve(self) -> None:
        split = urlsplit(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        raw = self.rfile.read(length) if length else b""
        request = Request(
            self.command,
            unquote(split.path),
            {key: values[-1] for key, values in parse_qs(split.query, keep_blank_values=True).items()},
            json.loads(raw) if raw else None,
            {key.lower(): value for key, value in self.headers.items()},
        )
        try:
            answer = self.server.api.answer(request, lambda: self.server.stopping)
        except Disturbed as disturbed:
            answer = fake_routes.refused(disturbed.refusal)
        except ConnectionAbortedError:
            self.close_connection = True
            return
        if answer.stream is not None:
            return self._stream(answer)
        body = json.dumps(answer.body).encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self, answer: fake_routes.Answer) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        assert answer.stream is not None
        with contextlib.suppress(OSError):
            for event in answer.stream:
                line = json.dumps(event).encode() + b"\n"
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = True

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _serve

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read `requests`."""
