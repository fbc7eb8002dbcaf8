"""Ways from this machine to addresses that only the cluster's network has: one forwarder for each."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType

from chaos.clusters.cluster import Forwarding


class Ways:
    """Forwarders that are opened when they are first asked for and end with the block. From any thread."""

    def __init__(self, forward: Callable[[str], Forwarding]) -> None:
        self._forward = forward
        self._open: dict[str, Forwarding] = {}
        self._lock = threading.Lock()

    def port(self, address: str) -> int:
        """On this machine's loopback, for IP:PORT inside. Raises `ClusterFailed`."""
        with self._lock:
            if address not in self._open:
                self._open[address] = self._forward(address)
            return self._open[address].port

    def url(self, address: str) -> str:
        return f"http://127.0.0.1:{self.port(address)}"

    def __enter__(self) -> Ways:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            while self._open:
                _, forwarding = self._open.popitem()
                forwarding.close()
