"""One HorizontalPodAutoscaler of the simulated cluster: the upstream algorithm between metrics and world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Literal

from simulation.cluster.pods import Deployment, Pod
from simulation.controllers.floors import Floors
from simulation.controllers.run_log import RunLog
from simulation.feeds.metrics_server import MetricsServer
from simulation.feeds.prometheus import Prometheus
from simulation.hpa.controller import sync
from simulation.hpa.values import (
    ExternalMetric,
    HpaDecision,
    HpaSpec,
    HpaState,
    MetricSpec,
    ObjectMetric,
    PodPhase,
    PodReadings,
    PodSample,
    PodsMetric,
    PodStatus,
    Readiness,
    Reading,
    Requests,
    ResourceMetric,
    Seen,
    SeriesReadings,
)
from simulation.world import World

SYNC_PERIOD_S = 15.0
_PHASES = {phase.value: phase for phase in PodPhase}
_SCRAPE_WINDOW_S = 15.0

#: What a peer's own external metric reads at a time.
OwnMetric = Callable[[float], Reading]
#: A minimum of replicas that a peer sets at a time, None: none.
Minimum = Callable[[float], int | None]


class HpaController:
    """Syncs one workload every 15 s. `last` is its latest decision, for whoever asks why."""

    def __init__(
        self,
        world: World,
        service: str,
        spec: HpaSpec,
        metrics_server: MetricsServer,
        prometheus: Prometheus,
        floors: Floors,
        log: RunLog,
        own_metrics: Mapping[str, OwnMetric] | None = None,
        scheduled: Minimum | None = None,
    ) -> None:
        """`own_metrics` answers for external metrics of the specification that a peer adds, by name."""
        self._world = world
        self._deployment: Deployment = world.services[service]
        self._spec = spec
        self._metrics_server = metrics_server
        self._prometheus = prometheus
        self._floors = floors
        self._log = log
        self._own_metrics = own_metrics or {}
        self._scheduled = scheduled
        self._state = HpaState()
        template = self._deployment.spec
        amounts = {"cpu": round(template.cpu_request * 1000), "memory": round(template.memory_request_mib * 1048576000)}
        self._requests = Requests({"main": amounts})
        self._floored: dict[int, HpaSpec] = {}
        self.last: HpaDecision | None = None

    def sync(self, now_s: float) -> None:
        """Read, decide and write. The controller manager holds while the API server is away."""
        decision = self.decide(now_s)
        if decision is None or not decision.rescaled:
            return
        minimum = self._effective(now_s).min_replicas
        by_floor = self._floors.is_raised(self._deployment.name) and decision.desired == minimum
        self.write(decision.desired, "floor" if by_floor else "hpa", now_s)

    def write(self, replicas: int, by: Literal["hpa", "floor", "peer"], now_s: float) -> None:
        """Write /scale where it changes something."""
        before = self._deployment.desired
        if replicas == before:
            return
        self._log.resized(now_s, self._deployment.name, before, replicas, by)
        self._world.scale(self._deployment.name, replicas)

    def decide(self, now_s: float) -> HpaDecision | None:
        """One reconcile without the write; None while the API server is away."""
        if not self._world.api_available():
            return None
        self._metrics_server.look(now_s)
        readings = tuple(self._read(metric, now_s) for metric in self._spec.metrics)
        # Detached pods match the Deployment's selector still, so upstream counts them.
        seen = Seen(
            spec_replicas=self._deployment.desired,
            status_replicas=self._deployment.status_replicas,
            pods=[self._status(pod) for pod in self._deployment.pods],
            readings=readings,
        )
        self.last, self._state = sync(self._effective(now_s), self._state, seen, now_s)
        return self.last

    def _effective(self, now_s: float) -> HpaSpec:
        """The specification with the minReplicas that stands on the object now."""
        minimum = self._floors.minimum(self._deployment.name, self._spec.min_replicas)
        if self._scheduled is not None:
            minimum = max(minimum, self._scheduled(now_s) or 0)
        minimum = min(minimum, self._spec.max_replicas)
        if minimum == self._spec.min_replicas:
            return self._spec
        if minimum not in self._floored:
            self._floored[minimum] = replace(self._spec, min_replicas=minimum)
        return self._floored[minimum]

    def _read(self, metric: MetricSpec, now_s: float) -> Reading:
        if not self._world.metrics_available():
            return None
        if isinstance(metric, ResourceMetric):
            sample = self._metrics_server.memory if metric.resource == "memory" else self._metrics_server.cpu
            found = {pod.name: sample(pod.name) for pod in self._deployment.pods}
            return PodReadings({name: value for name, value in found.items() if value is not None})
        scrape = self._prometheus.query(now_s)
        if scrape is None:
            return None
        if isinstance(metric, PodsMetric):
            slots = scrape.rates.slots
            return PodReadings(
                {
                    pod.name: PodSample(
                        round(1000 * scrape.rates.rate_rps[slots[pod.name]]), scrape.at_s, _SCRAPE_WINDOW_S
                    )
                    for pod in self._deployment.pods
                    if pod.name in slots
                }
            )
        if isinstance(metric, ExternalMetric | ObjectMetric):
            return self._series(metric, now_s)
        return None

    def _series(self, metric: ExternalMetric | ObjectMetric, now_s: float) -> Reading:
        if metric.name in self._own_metrics:
            return self._own_metrics[metric.name](now_s)
        totals = self._prometheus.service(self._deployment.name)
        return None if totals is None else SeriesReadings((round(1000 * totals.offered_rps),))

    def _status(self, pod: Pod) -> PodStatus:
        readiness = None if pod.started_s is None else (Readiness.TRUE if pod.ready else Readiness.FALSE)
        # The Ready condition is first set when the kubelet takes the pod.
        changed_at_s = pod.started_s if pod.ready_changed_s is None else pod.ready_changed_s
        return PodStatus(
            pod.name, _PHASES[pod.phase], readiness, pod.started_s, changed_at_s, pod.deleting, self._requests
        )
