"""Draining one process in HTTP: answers carry `Connection: close`, so that clients with open connections go elsewhere.

Whether the process still gets new connections is the router's business (in Kubernetes the pod's traffic label).
Times are Unix seconds.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector
from pydantic import BaseModel, ConfigDict, Field

log = logging.getLogger("demo_shop.drain")


class DrainRequest(BaseModel):
    """The body of `PUT /-/drain`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    ttl_s: float = Field(ge=1, le=3_600)
    reason: str = Field("", max_length=200)
    fail_readiness: bool = False


class Stopping(Exception):
    """The process is being stopped: its drain cannot be taken back."""


@dataclass(frozen=True, slots=True)
class DrainState:
    """What is told about the drain. None: does not apply, or is not known."""

    draining: bool
    stopping: bool
    since: float | None
    expires_in_s: float | None
    reason: str | None
    fail_readiness: bool
    in_flight: int
    open_connections: int | None
    quiet_for_s: float
    requests_since: int | None


@dataclass(frozen=True, slots=True)
class _Standing:
    since_s: float
    until_s: float
    reason: str
    fail_readiness: bool
    begun_before: int


class Drain:
    """Whether this process drains, and what is still going on in it."""

    def __init__(self, clock: Callable[[], float], registry: CollectorRegistry | None = None) -> None:
        self.in_flight = 0
        self._begun = 0
        self._quiet_since_s = clock()
        self._standing: _Standing | None = None
        self._stopping = False
        self._open_connections: Callable[[], int] | None = None
        if registry is not None:
            registry.register(_DrainMetric(self, clock))

    def start(self, request: DrainRequest, now_s: float) -> DrainState:
        """Drains for `ttl_s` from now. A drain that stands keeps its `since`; the rest is as asked now."""
        if not self._stopping:
            standing = self._current(now_s)
            since_s, begun = (now_s, self._begun) if standing is None else (standing.since_s, standing.begun_before)
            self._standing = _Standing(since_s, now_s + request.ttl_s, request.reason, request.fail_readiness, begun)
            _tell("drain started" if standing is None else "drain renewed", request.reason)
        return self.state(now_s)

    def stop(self, now_s: float) -> DrainState:
        """Ends the drain. Raises `Stopping` when the process is being stopped."""
        if self._stopping:
            raise Stopping("the process is being stopped: its drain cannot be taken back")
        if self._current(now_s) is not None:
            _tell("drain ended", "asked")
        self._standing = None
        return self.state(now_s)

    def start_stopping(self, now_s: float) -> None:
        """SIGTERM came: drains without end, and readiness fails."""
        standing = self._current(now_s)
        since_s, begun = (now_s, self._begun) if standing is None else (standing.since_s, standing.begun_before)
        self._stopping = True
        self._standing = _Standing(since_s, float("inf"), "stopping", True, begun)
        _tell("drain started", "stopping")

    def is_on(self, now_s: float) -> bool:
        standing = self._standing
        return standing is not None and now_s < standing.until_s

    def why_not_ready(self, now_s: float) -> str | None:
        """What readiness should say; None: the drain leaves it alone."""
        standing = self._current(now_s)
        if standing is None or not standing.fail_readiness:
            return None
        return f"draining: {standing.reason}" if standing.reason else "draining"

    def request_began(self) -> None:
        self.in_flight += 1
        self._begun += 1

    def request_ended(self, now_s: float) -> None:
        self.in_flight -= 1
        self._quiet_since_s = now_s

    def count_connections_with(self, count: Callable[[], int]) -> None:
        """`count()` says how many connections the traffic port has open."""
        self._open_connections = count

    def state(self, now_s: float) -> DrainState:
        standing = self._current(now_s)
        return DrainState(
            draining=standing is not None,
            stopping=self._stopping,
            since=None if standing is None else standing.since_s,
            expires_in_s=None if standing is None or self._stopping else standing.until_s - now_s,
            reason=None if standing is None else standing.reason,
            fail_readiness=standing is not None and standing.fail_readiness,
            in_flight=self.in_flight,
            open_connections=None if self._open_connections is None else self._open_connections(),
            quiet_for_s=0.0 if self.in_flight else max(0.0, now_s - self._quiet_since_s),
            requests_since=None if standing is None else self._begun - standing.begun_before,
        )

    def _current(self, now_s: float) -> _Standing | None:
        """The drain that stands; one whose time is over is forgotten."""
        if self._standing is not None and now_s >= self._standing.until_s:
            _tell("drain ended", "its time was over")
            self._standing = None
        return self._standing


Headers = list[tuple[bytes, bytes]]


def closing(headers: Headers) -> Headers:
    """The headers with `Connection: close` in place of any other `Connection`."""
    return [(name, value) for name, value in headers if name.lower() != b"connection"] + [(b"connection", b"close")]


class _DrainMetric(Collector):
    def __init__(self, drain: Drain, clock: Callable[[], float]) -> None:
        self._drain, self._clock = drain, clock

    def collect(self) -> Iterator[GaugeMetricFamily]:
        yield GaugeMetricFamily("shop_draining", "1 while the process drains", float(self._drain.is_on(self._clock())))


def _tell(event: str, reason: str) -> None:
    log.info(event, extra={"fields": {"reason": reason}})
