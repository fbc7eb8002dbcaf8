"""Where a policy's metrics come from, and the limits at which its failure signals mean failure."""

from __future__ import annotations

from enum import StrEnum

from pydantic import Field

from forecasting.failures import SignalKind
from foresail.resources.sections import Rule, Section, list_map


class MetricPreset(StrEnum):
    """Sets of PromQL expressions that come with Foresail."""

    OTEL_HTTP = "otel-http"
    ISTIO = "istio"
    NGINX_INGRESS = "nginx-ingress"
    TRAEFIK = "traefik"
    CUSTOM = "custom"


class MetricSignal(StrEnum):
    """What an expression can measure: figures of a workload, then the failure signals as in `FailureSignalKind`."""

    DEMAND = "Demand"
    FAILED = "Failed"
    REJECTED = "Rejected"
    LATENCY_P99 = "LatencyP99"
    MEMORY = "Memory"
    CONNECTION_POOL = "ConnectionPool"
    DISK = "Disk"
    QUEUE = "Queue"
    LATENCY = "Latency"
    ERRORS = "Errors"
    REPLICATION_LAG = "ReplicationLag"

    @property
    def kind(self) -> SignalKind | None:
        """The failure signal that it measures, None for the figures of a workload."""
        return SignalKind.__members__.get(self.name)


class FailureSignalKind(StrEnum):
    """`SignalKind` as Kubernetes writes enums."""

    MEMORY = "Memory"
    CONNECTION_POOL = "ConnectionPool"
    DISK = "Disk"
    QUEUE = "Queue"
    LATENCY = "Latency"
    ERRORS = "Errors"
    REPLICATION_LAG = "ReplicationLag"

    @property
    def kind(self) -> SignalKind:
        return SignalKind[self.name]


class Expression(Section):
    """One signal's own PromQL."""

    signal: MetricSignal = Field(
        description="What it measures. `Demand`: requests per second offered, rejected ones included, retries not."
        " `Failed`, `Rejected`: how many of these fail, or are turned away for lack of room, per second. `LatencyP99`:"
        " seconds. By pod or database member: `Memory` and `Disk` (MiB), `ConnectionPool` (connections in use), `Queue`"
        " (requests waiting), `Latency` (mean, seconds), `Errors` (share of answers), `ReplicationLag` (seconds)."
    )
    promql: str = Field(
        min_length=1,
        max_length=2048,
        description="An instant vector. Rows with a label `workload`, `service` or `pod` beside `namespace` belong to"
        " that one. `$namespaces` stands for a regular expression of the watched namespaces, `$window` for the rate"
        " window.",
    )


class Metrics(Section):
    """Where demand, errors, latency and failure signals are read."""

    rules = (
        Rule(
            cel="self.preset != 'custom' || self.expressions.exists(e, e.signal == 'Demand')",
            message="preset custom needs its own expressions: add at least the signal Demand",
            field="expressions",
            holds=lambda m: (
                m.preset is not MetricPreset.CUSTOM or any(e.signal is MetricSignal.DEMAND for e in m.expressions)
            ),
        ),
    )

    preset: MetricPreset = Field(
        MetricPreset.OTEL_HTTP,
        description="Expressions that come with Foresail: `otel-http` (`http_server_request_duration_seconds`),"
        " `istio`, `nginx-ingress`, `traefik`; `custom`: only those below.",
    )
    expressions: tuple[Expression, ...] = Field(
        (),
        max_length=len(MetricSignal),
        description="Own expressions; each replaces the preset's of the same signal.",
        json_schema_extra=list_map("signal"),
    )


class FailureSignal(Section):
    """The value of one signal at which a pod or a database member fails."""

    rules = (
        Rule(
            cel="self.kind != 'Errors' || !has(self.limit) || self.limit <= 1.0",
            message="limit of Errors is a share of answers: give at most 1, like 0.05",
            field="limit",
            holds=lambda s: s.kind is not FailureSignalKind.ERRORS or s.limit is None or s.limit <= 1.0,
        ),
    )

    kind: FailureSignalKind = Field(description="Which signal.")
    target: str = Field(
        "",
        max_length=63,
        pattern=r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?)?$",
        description="Name of the target that it holds for. Empty: all that have no limit of their own for this signal.",
    )
    enabled: bool = Field(True, description="False: this signal is not forecast and nothing is done about it.")
    limit: float | None = Field(
        None,
        ge=0.0001,
        le=1e12,
        description="Memory and Disk: MiB. ConnectionPool: connections. Queue: requests. Latency and ReplicationLag:"
        " seconds. Errors: share of answers, 0 to 1. Default: what the workload itself says (its memory limit, the size"
        " of its volume or pool as measured), for Latency the objective; without any of these the signal is not used.",
    )
