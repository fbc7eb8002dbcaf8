"""What is counted about Prometheus itself; whoever owns the metrics registry implements it."""

from __future__ import annotations

from typing import Protocol

from foresail.prometheus.reasons import UnknownReason


class Recorder(Protocol):
    """`foresail_prometheus_query_seconds{query}` and `foresail_prometheus_unknown_total{query,reason}`.

    `query` is one of a few fixed names, so the cardinality is bounded.
    """

    def query_took(self, query: str, took_s: float) -> None: ...

    def unknown(self, query: str, reason: UnknownReason, count: int) -> None: ...


class NoRecorder:
    """Counts nothing."""

    def query_took(self, query: str, took_s: float) -> None:
        pass

    def unknown(self, query: str, reason: UnknownReason, count: int) -> None:
        pass
