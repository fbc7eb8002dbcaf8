"""Metrics under OpenTelemetry's HTTP names; labels are route, method and status, never a user or a cart."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.process_collector import ProcessCollector

#: Seconds; 5 ms to 10 s, as OpenTelemetry advises for HTTP, with the SLO (0.4 s) on a bound.
LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.25, 0.4, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)


class Metrics:
    """The registry of one process and what every service measures."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.server_duration_s = Histogram(
            "http_server_request_duration_seconds",
            "From the first byte of a request to the last byte of its answer",
            ["route", "method", "status"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.server_active = Gauge(
            "http_server_active_requests", "Requests being answered now", ["method"], registry=self.registry
        )
        self.client_duration_s = Histogram(
            "http_client_request_duration_seconds",
            "Calls to other services; status 0: no answer",
            ["upstream", "method", "status"],
            buckets=LATENCY_BUCKETS_S,
            registry=self.registry,
        )
        self.client_retries = Counter(
            "shop_client_retries_total",
            "Calls made again, hedged calls, and retries that the budget refused",
            ["upstream", "kind"],
            registry=self.registry,
        )
        self.pool_count = Gauge(
            "db_client_connection_count", "Connections of the pool", ["pool", "state"], registry=self.registry
        )
        self.pool_max = Gauge(
            "db_client_connection_max", "The most connections the pool may open", ["pool"], registry=self.registry
        )
        self.pool_pending = Gauge(
            "db_client_connection_pending_requests",
            "Callers waiting for a connection",
            ["pool"],
            registry=self.registry,
        )
        self.transactions_again = Counter(
            "shop_transactions_again_total",
            "Transactions run again: the connection was lost, a read-only member, a conflict, an unknown commit",
            ["why"],
            registry=self.registry,
        )
        self.info = Gauge("shop_process_info", "Which process this is", ["role", "pod", "zone"], registry=self.registry)
