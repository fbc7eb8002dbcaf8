"""The eyes of the control loop on a live cluster: objects as the API server shows them, joined with Prometheus."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from foresail.objects.object_state import ObjectState
from foresail.objects.object_watch import ObjectsHealth
from foresail.objects.workload_views import nodes_seen, workloads_seen
from foresail.prometheus.watched import PodIndex, PodMetrics, Watched, WorkloadMetrics
from foresail.resources.mapping import Mapped
from foresail.watching import pod_index, watched
from policies.model import (
    DatabaseSeen,
    DemandHistory,
    FastSeen,
    NodeSeen,
    Observation,
    PodSeen,
    ProbeSeen,
    SignalHistory,
    WorkloadSeen,
)
from policies.ports import MetricsUnavailable


class Objects(Protocol):
    """`foresail.objects.object_watch.ObjectWatch`."""

    def state(self) -> ObjectState | None: ...

    def health(self, now_s: float) -> ObjectsHealth: ...


class Numbers(Protocol):
    """`foresail.prometheus.metrics.PrometheusMetrics`."""

    @property
    def workloads(self) -> Mapping[str, WorkloadMetrics]: ...

    @property
    def pods(self) -> Mapping[str, PodMetrics]: ...

    def watch(self, watched: tuple[Watched, ...], index: PodIndex) -> None: ...

    def start(self, now_s: float) -> None: ...

    def refresh(self, now_s: float) -> None: ...

    def metrics_age_s(self, now_s: float) -> float | None: ...

    def demand_history(self, now_s: float) -> DemandHistory | None: ...

    def signal_history(self, now_s: float) -> SignalHistory | None: ...


class Declares(Protocol):
    def mapped(self, now_s: float) -> Mapped: ...


class Databases(Protocol):
    def seen(self, now_s: float) -> tuple[DatabaseSeen, ...]: ...


class FastLook(Protocol):
    """`foresail.objects.fast_watch.FastLook`."""

    @property
    def probes(self) -> tuple[ProbeSeen, ...]: ...

    @property
    def gateway_failed_ratio(self) -> float | None: ...

    @property
    def gateway_rate_rps(self) -> float | None: ...

    @property
    def gateway_recent_rps(self) -> Mapping[str, tuple[float, ...]]: ...

    @property
    def silent_nodes(self) -> frozenset[str]: ...


class FastEyes(Protocol):
    def look(self, now_s: float) -> FastLook: ...


@dataclass(frozen=True, slots=True)
class _Joined:
    """Workloads and nodes of one object state, with the metrics of one refresh."""

    made_of: tuple[ObjectState, Mapped, int]
    workloads: tuple[WorkloadSeen, ...]
    nodes: tuple[NodeSeen, ...]


class LiveMetrics:
    """Implements `policies.ports.Metrics`. For one thread; without Prometheus (`numbers` None) metrics are unknown."""

    def __init__(
        self, objects: Objects, declared: Declares, numbers: Numbers | None, databases: Databases, fast: FastEyes
    ) -> None:
        self._objects, self._declared, self._numbers = objects, declared, numbers
        self._databases, self._fast = databases, fast
        self._refreshes = 0
        self._started = False
        self._watched_of: tuple[ObjectState, Mapped] | None = None
        self._joined: _Joined | None = None

    def observe(self, now_s: float) -> Observation:
        state, declared = self._known(now_s)
        numbers = self._numbers
        if numbers is not None:
            self._refresh(numbers, state, declared, now_s)
        joined = self._join(state, declared)
        return Observation(
            now_s=now_s,
            workloads=joined.workloads,
            nodes=joined.nodes,
            databases=self._databases.seen(now_s),
            demand=None if numbers is None else numbers.demand_history(now_s),
            signals=None if numbers is None else as_declared(numbers.signal_history(now_s), declared),
            metrics_age_s=None if numbers is None else numbers.metrics_age_s(now_s),
            api_ok=self._objects.health(now_s).ok,
        )

    def observe_fast(self, now_s: float) -> FastSeen:
        """Watches and probes of this second; metrics are those of the last tick."""
        joined = self._join(*self._known(now_s))
        look = self._fast.look(now_s)
        return FastSeen(
            now_s=now_s,
            probes=look.probes,
            nodes=joined.nodes,
            workloads={workload.name: workload for workload in joined.workloads},
            databases=self._databases.seen(now_s),
            gateway_failed_ratio=look.gateway_failed_ratio,
            gateway_rate_rps=look.gateway_rate_rps,
            gateway_recent_rps=look.gateway_recent_rps,
            silent_nodes=look.silent_nodes,
        )

    def _known(self, now_s: float) -> tuple[ObjectState, Mapped]:
        state = self._objects.state()
        if state is None:
            raise MetricsUnavailable("the cluster's objects have not been listed yet")
        return state, self._declared.mapped(now_s)

    def _refresh(self, numbers: Numbers, state: ObjectState, declared: Mapped, now_s: float) -> None:
        if self._watched_of is None or self._watched_of[0] is not state or self._watched_of[1] is not declared:
            numbers.watch(watched(declared), pod_index(state, declared))
            self._watched_of = (state, declared)
        # Once, when it is known of what: workloads that come later are filled in tick by tick.
        if not self._started and declared.bindings:
            numbers.start(now_s)
            self._started = True
        numbers.refresh(now_s)
        self._refreshes += 1

    def _join(self, state: ObjectState, declared: Mapped) -> _Joined:
        """Of the workloads under a policy; the same value as before while nothing changed."""
        before = self._joined
        if before is not None:
            was_state, was_declared, refreshes = before.made_of
            if was_state is state and was_declared is declared and refreshes == self._refreshes:
                return before
        seen = workloads_seen(state)
        workloads = tuple(self._with_metrics(seen[name]) for name in declared.bindings if name in seen)
        self._joined = _Joined((state, declared, self._refreshes), workloads, nodes_seen(state))
        return self._joined

    def _with_metrics(self, seen: WorkloadSeen) -> WorkloadSeen:
        if self._numbers is None:
            return seen
        namespace = seen.name.partition("/")[0]
        by_pod = self._numbers.pods
        pods = tuple(_pod_with_metrics(pod, by_pod.get(f"{namespace}/{pod.name}")) for pod in seen.pods)
        found = self._numbers.workloads.get(seen.name)
        if found is None:
            return replace(seen, pods=pods)
        return replace(
            seen,
            pods=pods,
            offered_rps=found.offered_rps,
            error_ratio=found.error_ratio,
            latency_p99_s=found.latency_p99_s,
            saturated=found.saturated,
        )


def as_declared(history: SignalHistory | None, declared: Mapped) -> SignalHistory | None:
    """The history without signals that people switched off, with the limits that they wrote. None: nothing is left."""
    if history is None:
        return None
    bindings = declared.bindings
    kept = [
        row
        for row, target in enumerate(history.targets)
        if (binding := bindings.get(target.workload)) is not None and target.kind not in binding.signals_off
    ]
    if not kept:
        return None
    targets = tuple(history.targets[row] for row in kept)
    written = [bindings[target.workload].signal_limits.get(target.kind) for target in targets]
    limits = [history.limits[row] if limit is None else limit for row, limit in zip(kept, written, strict=True)]
    return replace(history, targets=targets, values=history.values[kept], limits=np.array(limits, dtype=np.float64))


def _pod_with_metrics(pod: PodSeen, metrics: PodMetrics | None) -> PodSeen:
    if metrics is None:
        return pod
    return replace(
        pod,
        rate_rps=metrics.rate_rps,
        error_ratio=metrics.error_ratio,
        latency_mean_s=metrics.latency_mean_s,
        cpu_rate_rps=metrics.cpu_rate_rps,
        latency_p99_s=metrics.latency_p99_s,
        cpu_cores=metrics.cpu_cores,
    )
