"""The most one address can serve: some connections, each asking again as soon as it was answered. A closed loop."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from chaos.load.target import TargetRefused, checked_target

MOST_CONNECTIONS = 512


class NoAnswer(Exception):
    """What was asked cannot be measured: nobody listens there, or the answer is no success."""


@dataclass(frozen=True, slots=True)
class Throughput:
    """Requests per second over `duration_s` and latencies from sending to the last byte."""

    requests: int
    failed: int
    duration_s: float
    rps: float
    p50_ms: float
    p99_ms: float


def measure_throughput(
    url: str,
    path: str,
    connections: int = 16,
    duration_s: float = 5.0,
    warm_up_s: float = 0.5,
    headers: dict[str, str] | None = None,
    allowed_hosts: Collection[str] = (),
) -> Throughput:
    """Asks for one page as fast as it comes. Raises `TargetRefused` or `NoAnswer`.

    Raw sockets: a request costs this process some 30 µs, so what is measured is the server.
    """
    if not 1 <= connections <= MOST_CONNECTIONS:
        raise ValueError(f"connections {connections}: between 1 and {MOST_CONNECTIONS}")
    if not path.startswith("/") or any(ord(sign) <= 32 or ord(sign) > 126 for sign in path):
        raise TargetRefused(f"path {path!r}: begin with / and percent-encode what is not ASCII")
    target = checked_target(url, allowed_hosts)
    given = "".join(f"{name}: {value}\r\n" for name, value in (headers or {}).items())
    if given.count("\n") != len(headers or {}):
        raise ValueError("headers: no line breaks in names or values")
    request = f"GET {path} HTTP/1.1\r\nHost: {target.host}:{target.port}\r\n{given}\r\n".encode("latin-1")
    return asyncio.run(_measured(target.host, target.port, request, connections, duration_s, warm_up_s))


async def _measured(
    host: str, port: int, request: bytes, connections: int, duration_s: float, warm_up_s: float
) -> Throughput:
    loop = asyncio.get_running_loop()
    begins_s = time.perf_counter() + warm_up_s
    ends_s = begins_s + duration_s
    lanes = [_Lane(request, begins_s, ends_s) for _ in range(connections)]
    try:
        for lane in lanes:
            await loop.create_connection(lambda lane=lane: lane, host, port)  # type: ignore[misc]
        await asyncio.wait_for(asyncio.gather(*(lane.done for lane in lanes)), warm_up_s + duration_s + 30.0)
    except OSError as error:
        raise NoAnswer(f"http://{host}:{port}: {error}") from None
    finally:
        for lane in lanes:
            lane.hang_up()
    latencies = np.array([latency for lane in lanes for latency in lane.latencies_s])
    if not latencies.size:
        raise NoAnswer(f"http://{host}:{port}: no request was answered with success in {duration_s:g} s")
    p50, p99 = np.quantile(latencies, [0.5, 0.99]) * 1000.0
    return Throughput(
        requests=int(latencies.size),
        failed=sum(lane.failed for lane in lanes),
        duration_s=duration_s,
        rps=latencies.size / duration_s,
        p50_ms=float(p50),
        p99_ms=float(p99),
    )


class _Lane(asyncio.Protocol):
    """One connection. It reads the head for status and length, and the body for its size only."""

    def __init__(self, request: bytes, begins_s: float, ends_s: float) -> None:
        self._request = request
        self._begins_s, self._ends_s = begins_s, ends_s
        self._head = b""
        self._left: int | None = None  # bytes of the body still to come; None: in the head
        self._status = 0
        self._closes = False
        self._sent_s = 0.0
        self._transport: asyncio.Transport | None = None
        self.latencies_s: list[float] = []
        self.failed = 0
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._ask()

    def data_received(self, data: bytes) -> None:
        if self._left is None:
            self._head += data
            head, end, rest = self._head.partition(b"\r\n\r\n")
            if not end:
                return
            self._head = b""
            if not self._understood(head):
                return
            data = rest
        assert self._left is not None
        self._left -= len(data)
        if self._left <= 0:
            self._answered()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.done.done():
            self.done.set_exception(error or ConnectionResetError("the server closed the connection"))

    def hang_up(self) -> None:
        if self.done.done() and not self.done.cancelled():
            self.done.exception()  # seen
        else:
            self.done.cancel()
        if self._transport is not None:
            self._transport.abort()

    def _ask(self) -> None:
        assert self._transport is not None
        self._left = None
        self._sent_s = time.perf_counter()
        self._transport.write(self._request)

    def _understood(self, head: bytes) -> bool:
        lines = head.lower().split(b"\r\n")
        self._status = int(lines[0].split(b" ", 2)[1])
        lengths = [line[15:] for line in lines if line.startswith(b"content-length:")]
        self._closes = b"connection: close" in lines
        if not lengths:
            self.done.set_exception(ConnectionError("its answers have no Content-Length: measure another page"))
            return False
        self._left = int(lengths[0])
        return True

    def _answered(self) -> None:
        now_s = time.perf_counter()
        if self._sent_s >= self._begins_s and now_s <= self._ends_s:
            if 200 <= self._status < 300:
                self.latencies_s.append(now_s - self._sent_s)
            else:
                self.failed += 1
        if now_s > self._ends_s:
            self.done.set_result(None)
        elif self._closes:
            self.done.set_exception(ConnectionResetError("the server asked to close the connection: is it draining?"))
        else:
            self._ask()
