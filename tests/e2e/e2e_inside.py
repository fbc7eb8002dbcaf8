"""HTTP to addresses that exist only in the cluster's network, through one forwarder each."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from chaos.clusters.cluster import Cluster

TIMEOUT_S = 10.0


@dataclass(frozen=True, slots=True)
class Site:
    """A server inside the cluster. Requests raise `OSError` when it cannot be asked or says anything but success."""

    base: str

    def text(self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.base}{path}", data, dict(headers or {}), method=method)
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as answer:
                return str(answer.read().decode())
        except urllib.error.HTTPError as error:
            with error:
                raise OSError(f"{method} {path}: {error.code} {error.read().decode(errors='replace')[:500]}") from None

    def json(self, path: str, method: str = "GET", body: Any = None, headers: Mapping[str, str] | None = None) -> Any:
        return json.loads(self.text(path, method, body, headers))


@contextmanager
def site(cluster: Cluster, address: str) -> Iterator[Site]:
    """`address` is the IP:PORT of a pod, a service or a machine."""
    with forwarded(cluster, address) as port:
        yield Site(f"http://127.0.0.1:{port}")


@contextmanager
def forwarded(cluster: Cluster, address: str) -> Iterator[int]:
    """A port on this machine's loopback that leads there."""
    forwarding = cluster.forward(address)
    try:
        yield forwarding.port
    finally:
        forwarding.close()


@dataclass(frozen=True, slots=True)
class PromQL:
    """The cluster's Prometheus."""

    server: Site

    def ask(self, expression: str) -> list[Any]:
        """Rows of an instant query, now. Raises `OSError` with what it said when it refuses the expression."""
        query = urllib.parse.urlencode({"query": expression, "time": f"{time.time():.3f}"})
        rows = self.server.json(f"/api/v1/query?{query}")["data"]["result"]
        assert isinstance(rows, list)
        return rows

    def number(self, expression: str) -> float | None:
        """Of an expression with one row at most; None: it has none."""
        rows = self.ask(expression)
        assert len(rows) < 2, f"{expression} has {len(rows)} rows"
        return float(rows[0]["value"][1]) if rows else None
