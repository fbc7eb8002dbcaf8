"""The door to Prometheus: two kinds of questions, each answered as a frame or failed with a named reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from prometheus_api_client import PrometheusConnect
from urllib3.util.retry import Retry

from foresail.prometheus.answers import Frame, matrix, vector
from foresail.prometheus.expressions import duration
from foresail.prometheus.session import BoundedSession
from foresail.prometheus.settings import Connection


class PromQl(Protocol):
    """Both raise `QueryFailed` and nothing else. Times are Unix seconds. `timeout_s` can only shorten the
    connection's own limit."""

    def instant(self, query: str, at_s: float, timeout_s: float | None = None) -> Frame: ...

    def range(
        self, query: str, start_s: float, end_s: float, step_s: float, timeout_s: float | None = None
    ) -> Frame: ...


class PrometheusClient:
    """`PromQl` over HTTP. One thread at a time.

    Nothing is tried again within a tick: the next one asks anyway, and a struggling server needs no second blow.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        wall_clock: Callable[[], float] = time.time,
    ) -> None:
        self._timeout_s = connection.timeout_s
        self._session = BoundedSession(connection, monotonic, wall_clock)
        self._connect = PrometheusConnect(
            url=connection.url.rstrip("/"), session=self._session, retry=Retry(0, read=False), method=connection.method
        )

    def instant(self, query: str, at_s: float, timeout_s: float | None = None) -> Frame:
        allowed_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        rows = self._connect.custom_query(
            query, params={"time": f"{at_s:.3f}", "timeout": duration(allowed_s)}, timeout=allowed_s
        )
        return vector(rows, at_s)

    def range(self, query: str, start_s: float, end_s: float, step_s: float, timeout_s: float | None = None) -> Frame:
        """`start_s` and `end_s` must be whole seconds: the library rounds them."""
        allowed_s = self._timeout_s if timeout_s is None else min(timeout_s, self._timeout_s)
        rows = self._connect.custom_query_range(
            query,
            start_time=datetime.fromtimestamp(start_s, UTC),
            end_time=datetime.fromtimestamp(end_s, UTC),
            step=duration(step_s),
            params={"timeout": duration(allowed_s)},
            timeout=allowed_s,
        )
        return matrix(rows, start_s, end_s, step_s)

    def close(self) -> None:
        self._session.close()
