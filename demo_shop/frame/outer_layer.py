"""The outermost ASGI layer of every service: request id, deadline, size limits, metrics, access log, drain."""

from __future__ import annotations

import asyncio
import re
import secrets
import time
from collections.abc import Callable, Iterable
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_shop.frame import context
from demo_shop.frame.drain import Drain, closing
from demo_shop.frame.logs import Log
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import Problem, ProblemInFramework, internal_error, problem_response

MOST_BODY_BYTES: Final = 64 * 1024
MOST_HEADER_BYTES: Final = 16 * 1024
_LONGEST_DEADLINE_S: Final = 60.0
_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.\-]{8,64}")
_METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"})


class OuterLayer:
    """Answers what may not come in; measures and logs the rest.

    While `drain` is on, answers end their connection. Labels are the route's template, the method and the
    status; a path without a route counts as `unmatched`.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        log: Log,
        drain: Drain,
        clock: Callable[[], float],
        *,
        log_requests: bool,
    ) -> None:
        self._app, self._metrics, self._log, self._drain, self._clock = app, metrics, log, drain, clock
        self._log_requests = log_requests

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun_s = time.perf_counter()  # the loop's own clock may tick in milliseconds
        headers = _Known(scope["headers"])
        request_id = headers.request_id or secrets.token_hex(8)
        context.request_id.set(request_id)
        context.priority.set(headers.priority)
        context.synthetic.set(headers.synthetic)
        context.deadline_s.set(
            None if headers.timeout_s is None else asyncio.get_running_loop().time() + headers.timeout_s
        )
        method = scope["method"] if scope["method"] in _METHODS else "other"
        answer = _Answer(send, request_id.encode(), lambda: self._drain.is_on(self._clock()))
        active = self._metrics.server_active.labels(method)
        active.inc()
        self._drain.request_began()
        try:
            await self._answer(scope, receive, answer, headers)
        finally:
            self._drain.request_ended(self._clock())
            active.dec()
            took_s = time.perf_counter() - begun_s
            route = route_label(scope)
            self._metrics.server_duration_s.labels(route, method, str(answer.status)).observe(took_s)
            if self._log_requests:
                self._log.info(
                    "request", method=method, route=route, status=answer.status, took_ms=round(took_s * 1000.0, 2)
                )

    async def _answer(self, scope: Scope, receive: Receive, answer: _Answer, headers: _Known) -> None:
        refusal = headers.refusal()
        if refusal is not None:
            await problem_response(refusal)(scope, receive, answer.send)
            return
        body = _BoundedBody(receive)
        try:
            await self._app(scope, body.receive, answer.send)
        except Exception:
            self._log.error("a request failed unexpectedly", path=scope["path"], exc_info=True)
            if answer.complete:
                return
            if answer.started:
                raise  # half an answer is out: the server must break the connection
            await problem_response(internal_error())(scope, receive, answer.send)


def route_label(scope: Scope) -> str:
    """The template of the route that answered, such as /products/{id}."""
    return getattr(scope.get("route"), "path", None) or "unmatched"


class _Known:
    """The headers that this layer reads, in one pass."""

    __slots__ = ("body_bytes", "header_bytes", "priority", "request_id", "synthetic", "timeout_s")

    def __init__(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self.header_bytes, self.body_bytes = 0, 0
        self.request_id: str | None = None
        self.priority: str | None = None
        self.synthetic: str | None = None
        self.timeout_s: float | None = None
        for name, value in headers:
            self.header_bytes += len(name) + len(value)
            if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
                self.request_id = value.decode()
            elif name == b"x-priority" and value.isalpha():
                self.priority = value.decode()
            elif name == b"x-synthetic" and value.isalpha():
                self.synthetic = value.decode()
            elif name == b"x-timeout-ms" and value.isdigit() and len(value) < 7:
                self.timeout_s = min(_LONGEST_DEADLINE_S, int(value) / 1000.0)
            elif name == b"content-length" and value.isdigit():
                self.body_bytes = int(value[:12])

    def refusal(self) -> Problem | None:
        if self.header_bytes > MOST_HEADER_BYTES:
            return Problem(
                431, "headers-too-long", "The headers are too long", f"Send at most {MOST_HEADER_BYTES} bytes."
            )
        return _too_long() if self.body_bytes > MOST_BODY_BYTES else None


def _too_long() -> Problem:
    return Problem(
        413,
        "body-too-long",
        "The body is too long",
        f"Send at most {MOST_BODY_BYTES} bytes.",
        headers={"Connection": "close"},
    )


class _BoundedBody:
    """Counts a body that comes without a declared length."""

    __slots__ = ("_bytes", "_receive")

    def __init__(self, receive: Receive) -> None:
        self._receive, self._bytes = receive, 0

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.request":
            self._bytes += len(message.get("body", b""))
            if self._bytes > MOST_BODY_BYTES:
                raise ProblemInFramework(_too_long())
        return message


class _Answer:
    """Notes the status and adds the request id, and `Connection: close` while draining."""

    __slots__ = ("_close", "_request_id", "_send", "complete", "started", "status")

    def __init__(self, send: Send, request_id: bytes, close: Callable[[], bool]) -> None:
        self._send, self._request_id, self._close = send, request_id, close
        self.status = 499  # nothing was answered: the client left
        self.started, self.complete = False, False

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started = True
            self.status = message["status"]
            headers = [*message.get("headers", ()), (b"x-request-id", self._request_id)]
            message = {**message, "headers": closing(headers) if self._close() else headers}
        await self._send(message)
        self.complete = message["type"] == "http.response.body" and not message.get("more_body", False)
