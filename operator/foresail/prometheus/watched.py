"""What the metrics are read for: workloads, the signals people wrote for them, and which pod belongs to which."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policies.model import SignalKind


class Preset(StrEnum):
    """Where a workload's requests are counted."""

    OTEL_HTTP = "otel-http"  # by its own processes, under OpenTelemetry's HTTP names
    ISTIO = "istio"
    NGINX_INGRESS = "nginx-ingress"
    TRAEFIK = "traefik"
    CUSTOM = "custom"  # only what its own expressions say


class Figure(StrEnum):
    """What may be said about a workload by an expression of its own."""

    OFFERED = "offered"  # requests per second, rejected ones included
    FAILED = "failed"  # of these
    REJECTED = "rejected"  # of these, turned away for want of room
    LATENCY_P99 = "latency_p99"  # seconds


@dataclass(frozen=True, slots=True)
class Expression:
    """PromQL that answers a vector. Rows with a label `workload`, `service` or `pod` beside the namespace's belong to
    that one; rows without belong to the only workload that uses the expression.

    `$namespaces` stands for a regular expression of the watched namespaces and `$window` for the rate window, so that
    one expression can serve many workloads: each distinct one costs one query.
    """

    promql: str
    about: Figure | SignalKind
    limit: float | None = None  # of a SignalKind: where it breaks, in its unit


@dataclass(frozen=True, slots=True)
class Watched:
    """One workload whose metrics are wanted."""

    workload: str  # "namespace/name"
    preset: Preset = Preset.OTEL_HTTP
    expressions: tuple[Expression, ...] = ()  # each replaces what the preset says about the same figure
    slo_latency_s: float = 1.0  # the limit of its pods' latency
    queue_limit: float | None = None  # requests waiting in a pod that are too many, None: no such signal
    entry: str | None = None  # the gateway workload that drives it: while that is in trouble, its demand reads too low

    @property
    def namespace(self) -> str:
        return self.workload.partition("/")[0]

    @property
    def name(self) -> str:
        return self.workload.partition("/")[2]


@dataclass(frozen=True, slots=True)
class PodFacts:
    """What the API server says about a pod. Keys of pods and services are "namespace/name"."""

    workload: str
    memory_limit_mib: float | None = None
    serves: bool = True  # Ready and in rotation


@dataclass(frozen=True, slots=True)
class PodIndex:
    """Pods and services that belong to a workload, as the API server shows them now."""

    pods: Mapping[str, PodFacts] = field(default_factory=dict)
    workload_by_service: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PodMetrics:
    """One pod over the last step. None: unknown, such as the latency of a pod without a request."""

    rate_rps: float | None = None
    error_ratio: float | None = None
    latency_mean_s: float | None = None
    latency_p99_s: float | None = None
    cpu_cores: float | None = None
    memory_mib: float | None = None
    cpu_rate_rps: float | None = None  # requests over the window of `cpu_cores`, which is longer than a step


@dataclass(frozen=True, slots=True)
class WorkloadMetrics:
    """One workload over the last step. `saturated`: so much was rejected that its demand reads too low."""

    offered_rps: float | None = None
    error_ratio: float | None = None
    rejected_rps: float | None = None
    latency_p99_s: float | None = None
    saturated: bool = False
