"""Eyes of the control loop in the simulator: the `Metrics` port over the world and its feeds."""

from __future__ import annotations

from policies.model import DatabaseSeen, FastSeen, MemberSeen, NodeSeen, Observation, PodSeen, WorkloadSeen
from simulation.cluster.pods import Deployment, Pod
from simulation.controllers.actuation import SimulatedCluster
from simulation.controllers.floors import Floors
from simulation.feeds.counters import Rates
from simulation.feeds.probes import Probes
from simulation.feeds.prometheus import Prometheus, Scrape
from simulation.world import World

_Objects = tuple[tuple[WorkloadSeen, ...], tuple[NodeSeen, ...], tuple[DatabaseSeen, ...]]


class SimulatedMetrics:
    """Objects as the API shows them, joined with the newest scrape that can be queried.

    While the API server is away the objects stay as they were last seen, flagged by `api_ok`.
    """

    def __init__(
        self, world: World, prometheus: Prometheus, probes: Probes, floors: Floors, cluster: SimulatedCluster
    ) -> None:
        self._world = world
        self._prometheus = prometheus
        self._probes = probes
        self._floors = floors
        self._cluster = cluster
        self._last_objects: _Objects | None = None

    def observe(self, now_s: float) -> Observation:
        scrape = self._prometheus.query(now_s)
        api_ok = self._world.api_available()
        workloads, nodes, databases = self._objects(scrape)
        if scrape is None:
            return Observation(now_s, workloads, nodes, databases, api_ok=api_ok)
        return Observation(
            now_s,
            workloads,
            nodes,
            databases,
            demand=self._prometheus.demand.history(scrape.column),
            signals=scrape.signals,
            metrics_age_s=now_s - scrape.at_s,
            api_ok=api_ok,
        )

    def observe_fast(self, now_s: float) -> FastSeen:
        """Watches and probes of this second; the metrics beside them are as old as the newest scrape."""
        workloads, nodes, databases = self._objects(self._prometheus.query(now_s))
        return FastSeen(
            now_s=now_s,
            probes=self._probes.probes(),
            nodes=nodes,
            workloads={workload.name: workload for workload in workloads},
            databases=databases,
            gateway_failed_ratio=self._probes.gateway_failed_ratio,
            gateway_rate_rps=self._probes.gateway_rate_rps,
            gateway_recent_rps=self._probes.gateway_recent_rps,
        )

    def _objects(self, scrape: Scrape | None) -> _Objects:
        if self._last_objects is None or self._world.api_available():
            rates = None if scrape is None else scrape.rates
            self._last_objects = (self._workloads(rates), self._nodes(), self._databases())
        return self._last_objects

    def _workloads(self, rates: Rates | None) -> tuple[WorkloadSeen, ...]:
        return tuple(self._workload(deployment, rates) for deployment in self._world.services.values())

    def _workload(self, deployment: Deployment, rates: Rates | None) -> WorkloadSeen:
        spec = deployment.spec
        hpa = spec.hpa
        totals = None if rates is None else self._prometheus.service(deployment.name)
        return WorkloadSeen(
            name=deployment.name,
            replicas=deployment.desired,
            pods=tuple(_pod_seen(pod, rates) for pod in deployment.pods),
            hpa_min=None if hpa is None else self._floors.minimum(deployment.name, hpa.min_replicas),
            hpa_max=None if hpa is None else hpa.max_replicas,
            rollout_in_progress=deployment.rollout_in_progress,
            cpu_limit_cores=spec.cpu_limit,
            cpu_request_cores=spec.cpu_request,
            spec_generation=deployment.generation,
            room_pods=self._world.room_for(deployment.name),
            disruptions_allowed=self._world.disruptions_allowed(deployment.name),
            offered_rps=None if totals is None else totals.offered_rps,
            error_ratio=None if totals is None else totals.error_ratio,
            latency_p99_s=None if totals is None else totals.latency_p99_s,
            saturated=totals is not None and totals.saturated,
        )

    def _nodes(self) -> tuple[NodeSeen, ...]:
        ours = self._cluster.shifted_zones
        return tuple(
            NodeSeen(node.name, node.zone, node.ready, node.cordoned, node.cordoned and node.zone in ours)
            for node in self._world.nodes.values()
        )

    def _databases(self) -> tuple[DatabaseSeen, ...]:
        seen = []
        for database in self._world.databases.values():
            members = {
                pod.name: MemberSeen(
                    name=pod.name,
                    node=pod.node,
                    zone=pod.zone,
                    healthy=pod.ready,
                    synchronous=pod.name in database.sync,
                    lag_s=None if pod.name == database.primary else database.lag_of(pod.name),
                )
                for pod in self._world.services[database.name].pods
                if not pod.deleting
            }
            primary = members.pop(database.primary, None) if database.primary is not None else None
            seen.append(
                DatabaseSeen(
                    database.name,
                    database.name,
                    primary,
                    tuple(members.values()),
                    switching=database.switching,
                )
            )
        return tuple(seen)


def _pod_seen(pod: Pod, rates: Rates | None) -> PodSeen:
    slot = None if rates is None else rates.slots.get(pod.name)
    ready_at_s = pod.ready_changed_s if pod.ready else None
    if rates is None or slot is None:
        return PodSeen(
            name=pod.name,
            node=pod.node,
            zone=pod.zone,
            created_at_s=pod.created_s,
            running=pod.phase == "Running",
            ready_at_s=ready_at_s,
            traffic_on=pod.traffic_on,
            detached=pod.detached,
            deleting=pod.deleting,
            restarts=pod.restarts,
        )
    return PodSeen(
        pod.name,
        pod.node,
        pod.zone,
        pod.created_s,
        pod.phase == "Running",
        ready_at_s,
        pod.traffic_on,
        pod.detached,
        pod.deleting,
        pod.restarts,
        rates.rate_rps[slot],
        _known(rates.error_ratio[slot]),
        _known(rates.latency_mean_s[slot]),
        _known(rates.latency_p99_s[slot]),
        rates.cpu_cores[slot],
    )


def _known(value: float) -> float | None:
    return None if value != value else value
