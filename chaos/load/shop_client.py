"""HTTP to the shop with Locust's fast client: few connections, none of them old, answers timed from when they were due.

Only the process of `python -m chaos.load` imports this: Locust patches the standard library for gevent.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import gevent
import gevent.socket
from geventhttpclient.client import HTTPClient, HTTPClientPool
from geventhttpclient.connectionpool import ConnectionPool
from locust.contrib.fasthttp import FastHttpSession, LocustUserAgent
from locust.env import Environment

from chaos.load.orders import Answer
from chaos.load.target import Target

CONNECT_TIMEOUT_S = 2.0


class AgingConnections(ConnectionPool):
    """Keeps idle connections, the last used first, and lets none live longer than `lifetime_s`.

    So drained pods lose their clients and new pods get some. There is no bound here: the dispatcher bounds what is in
    flight, and a lock that a timed-out greenlet never gives back would starve the others.
    """

    def __init__(self, target: Target, lifetime_s: float, now_s: Callable[[], float]) -> None:
        super().__init__(target.host, target.port, target.host, target.port, connection_timeout=CONNECT_TIMEOUT_S)
        self.size = 0  # the client sends a GET again once when a kept connection turns out closed, as browsers do
        self.network_timeout = 3600.0  # each request has a deadline of its own
        self._lifetime_s = lifetime_s
        self._now_s = now_s
        self._idle: list[Any] = []
        self._born_s: dict[Any, float] = {}

    def get_socket(self) -> Any:
        while self._idle:
            sock = self._idle.pop()
            if self._is_young(sock) and self._is_socket_alive(sock):
                return sock
            self.release_socket(sock)
        sock = self._create_socket()
        self._born_s[sock] = self._now_s()
        return sock

    def return_socket(self, sock: Any) -> None:
        if self._closed or not self._is_young(sock):
            self.release_socket(sock)
        else:
            self._idle.append(sock)

    def release_socket(self, sock: Any) -> None:
        self._born_s.pop(sock, None)
        sock.close()

    def close(self) -> None:
        self._closed = True
        while self._idle:
            self.release_socket(self._idle.pop())

    def _is_young(self, sock: Any) -> bool:
        return self._now_s() - self._born_s.get(sock, 0.0) < self._lifetime_s

    def after_connect(self, sock: Any) -> None:
        sock.setsockopt(gevent.socket.IPPROTO_TCP, gevent.socket.TCP_NODELAY, 1)


class _OneShop(HTTPClientPool):
    """Hands out one client for one address, and none for any other."""

    def __init__(self, target: Target, connections: AgingConnections) -> None:
        super().__init__()
        self._client = HTTPClient(target.host, target.port)
        self._client._connection_pool = connections
        self._address = (target.host, target.port)

    def get_client(self, url: Any) -> HTTPClient:
        if (url.host, url.port) != self._address:
            raise ConnectionRefusedError(f"load goes to {self._address} only, not to {url.host}:{url.port}")
        return self._client

    def close(self) -> None:
        self._client.close()


class _PlainAgent(LocustUserAgent):
    """Gives every answer as it is: no retries, no redirects, and no cookies, which would make all visitors one."""

    valid_response_codes = frozenset(range(100, 600))


class ShopClient:
    """Sends one request at a time per greenlet and tells Locust's statistics."""

    def __init__(self, target: Target, environment: Environment, now_s: Callable[[], float], lifetime_s: float) -> None:
        self._pool = _OneShop(target, AgingConnections(target, lifetime_s, now_s))
        self._now_s = now_s
        self._session = FastHttpSession(
            target.url,
            request_event=environment.events.request,
            user=None,
            client_pool=self._pool,
        )
        self._session.client = _PlainAgent(client_pool=self._pool, max_retries=0, max_redirects=0)

    def send(
        self,
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        due_s: float,
        timeout_s: float,
    ) -> Answer:
        """The answer, or why there is none. What takes longer than `timeout_s` is given up."""
        answer = Answer(0, error="timeout")
        with (
            gevent.Timeout(timeout_s, False),
            self._session.request(
                method,
                path,
                name=name,
                catch_response=True,
                headers={"Accept-Encoding": "identity", **headers},
                json=body,
            ) as response,
        ):
            answer = _answer(response.request_meta)
            response.request_meta["response_time"] = (self._now_s() - due_s) * 1000.0
            if answer.ok:
                response.success()
            else:
                response.failure(answer.error or str(answer.status))
        return answer

    def close(self) -> None:
        self._pool.close()


def _answer(meta: Mapping[str, Any]) -> Answer:
    response, error = meta["response"], meta["exception"]
    if error is not None:
        return Answer(0, error=_why(error))
    return Answer(
        status=response.status_code,
        body=_json(response.headers.get("content-type"), response.content),
        retry_after_s=_seconds(response.headers.get("retry-after")),
    )


def _why(error: object) -> str:
    original = getattr(error, "original", None) or error
    if isinstance(original, gevent.Timeout | TimeoutError):
        return "timeout"
    if isinstance(original, ConnectionRefusedError):
        return "refused"
    return "connection"


def _json(content_type: object, body: bytes | None) -> Any:
    if not body or "json" not in str(content_type):
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None


def _seconds(text: object) -> float | None:
    try:
        return max(0.0, float(str(text)))
    except ValueError:
        return None
