"""The same shop before the simulator's eyes and before those of the operator, for tests of what is seen.

A gateway of four pods on four nodes of two zones, whose HPA keeps 2 to 10 replicas, and a service behind it. Time
counts from 0. Prometheus is away for a while, then the API server, and at last the node of one gateway pod dies.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import api_objects
import numpy as np
from mock_prometheus import Hostile, MockPrometheus, Series, SyntheticShop
from synthetic_cluster import objects_of, policy_of, state_of

from foresail.declared import Declared
from foresail.live_metrics import LiveMetrics
from foresail.objects.fast_plan import probed_pods
from foresail.objects.fast_watch import FastLook
from foresail.objects.object_state import ObjectState
from foresail.objects.object_watch import ObjectsHealth
from foresail.objects.vantages import VantageReport, probes_seen
from foresail.policy_store import PolicyStore
from foresail.prometheus.client import PrometheusClient
from foresail.prometheus.metrics import PrometheusMetrics
from foresail.prometheus.settings import Connection, Reading
from policies.decision import Decision, SetFloor, SetTraffic
from policies.model import DatabaseSeen, Mode
from policies.ports import Metrics
from simulation.controllers.actuation import SimulatedCluster
from simulation.controllers.floors import Floors
from simulation.controllers.observation import SimulatedMetrics
from simulation.controllers.run_log import RunLog
from simulation.feeds.probes import Probes
from simulation.feeds.prometheus import Prometheus
from simulation.scenario import parse_scenario
from simulation.schedule import Schedule
from simulation.world import World

METRICS_AWAY_S = (200.0, 260.0)
API_AWAY_S = (300.0, 360.0)
DIES_S = 400.0
NOT_READY_S = DIES_S + 50.0  # as long as the node controller waits
DEAD_NODE = "node-a-1"
ZONES = {"node-a-1": "a", "node-a-2": "a", "node-b-1": "b", "node-b-2": "b"}

SHOP = """
name: ports
duration_s: 900
warm_up_s: 60
topology:
  nodes: [{zone: a, count: 2, cpu: 8}, {zone: b, count: 2, cpu: 8}]
  services:
    - {name: gateway, replicas: 4, cpu_request: 0.6, hpa: {min_replicas: 2, max_replicas: 10}}
    - {name: catalog, replicas: 4, cpu_request: 0.6, hpa: {min_replicas: 2, max_replicas: 10}}
  operations:
    - {name: gateway.page, cpu_ms: 20, calls: [{to: catalog.list, timeout_s: 1.0}]}
    - {name: catalog.list, cpu_ms: 10}
  classes: [{name: browse, share: 1.0, operation: gateway.page}]
load: {rps: 120, roughness: 0}
faults:
  - {kind: metrics_outage, start_s: 200, duration_s: 60}
  - {kind: api_outage, start_s: 300, duration_s: 60}
  - {kind: node_loss, node: node-a-1, start_s: 400, duration_s: 400}
"""


class Eyes(Protocol):
    """A cluster that can be looked at. `at_s` counts from the start of the test and never goes back."""

    gateway: str
    metrics: Metrics

    def time(self, at_s: float) -> float: ...

    def wait(self, at_s: float) -> None:
        """Until then, whatever happens."""
        ...

    def carry_out(self, action: SetFloor | SetTraffic) -> None:
        """What hands would do to the gateway."""
        ...


class SimulatedEyes:
    gateway = "gateway"

    def __init__(self) -> None:
        self._world = World(parse_scenario(SHOP, "ports"), seed=4)
        prometheus, probes, floors = Prometheus(self._world, seed=4), Probes(self._world), Floors()
        self._cluster = SimulatedCluster(self._world, floors, RunLog())
        self._schedule = Schedule()
        self._schedule.every(15.0, prometheus.first_s, prometheus.scrape)
        self._schedule.every(1.0, self._world.now_s, lambda now_s: _look(probes))
        self.metrics: Metrics = SimulatedMetrics(self._world, prometheus, probes, floors, self._cluster)

    def time(self, at_s: float) -> float:
        return at_s

    def wait(self, at_s: float) -> None:
        self._schedule.run(self._world, at_s)

    def carry_out(self, action: SetFloor | SetTraffic) -> None:
        now_s = self._world.now_s
        assert self._cluster.apply(action, Decision("d-1", now_s, self.gateway, Mode.ENFORCE, (), ()), now_s)


def _look(probes: Probes) -> None:
    probes.look()


@dataclass
class SteadyShop(SyntheticShop):
    """Thirty requests a second at every pod, each of 20 ms. Nothing was scraped while Prometheus was away."""

    starts_at_s: float = 0.0
    dead: dict[str, float] = field(default_factory=dict)  # since when pods are not scraped, "namespace/pod"

    def rate_rps(self, key: str, times: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        away_s, back_s = (self.starts_at_s + at_s for at_s in METRICS_AWAY_S)
        return np.where((times >= away_s) & (times < back_s + 15.0), np.nan, 30.0)

    def series(self, tag: str) -> list[Series]:
        rows = super().series(tag)
        if tag.endswith("/cpu_cores"):
            rows = [Series(row.labels, lambda t: 0.02 * self.rate_rps("", t)) for row in rows]
        return [self._until_death(row) for row in rows]

    def _scraped(self, key: str) -> int:
        return self.pods

    def _until_death(self, row: Series) -> Series:
        since_s = self.dead.get(f"{row.labels.get('namespace')}/{row.labels.get('pod')}")
        if since_s is None:
            return row
        return Series(row.labels, lambda times: np.where(times < since_s, row.values(times), np.nan))


class LiveEyes:
    """The operator's adapters: Prometheus over HTTP, objects as watches hold them, probes as two replicas report."""

    gateway = "shop-0/web-0"
    STARTS_AT_S = 1_800_000_005.0  # five seconds after a step, when its scrapes can be seen

    def __init__(self, prometheus: MockPrometheus, numbers: PrometheusMetrics, bodies: list[dict[str, Any]]) -> None:
        self._prometheus, self._bodies = prometheus, bodies
        self._at_s = 0.0
        self._state = state_of(bodies)
        store = PolicyStore()
        store.listed(store.listing(), [policy_of(SyntheticShop(workloads=2))])
        declared = Declared(store, self, lambda: False)
        self.metrics: Metrics = LiveMetrics(self, declared, numbers, self, self)

    def time(self, at_s: float) -> float:
        return self.STARTS_AT_S + at_s

    def wait(self, at_s: float) -> None:
        before, self._at_s = self._at_s, at_s
        away_s, back_s = METRICS_AWAY_S
        self._prometheus.hostile = Hostile.UNAVAILABLE if away_s <= at_s < back_s else None
        if before < NOT_READY_S <= at_s:
            self._give_up(DEAD_NODE)

    def carry_out(self, action: SetFloor | SetTraffic) -> None:
        name = self.gateway.partition("/")[2] if isinstance(action, SetFloor) else action.pod
        kind = "HorizontalPodAutoscaler" if isinstance(action, SetFloor) else "Pod"
        body = next(body for body in self._bodies if body["kind"] == kind and body["metadata"]["name"] == name)
        if isinstance(action, SetFloor):
            body["spec"]["minReplicas"] = action.floor
        else:
            body["metadata"]["labels"]["foresail.dev/traffic"] = "on" if action.on else "off"
        self._state = state_of(self._bodies)

    def _give_up(self, name: str) -> None:
        """As the node controller does: the condition, the taint, and the pods' readiness."""
        for body in self._bodies:
            if body["kind"] == "Node" and body["metadata"]["name"] == name:
                body["status"]["conditions"] = [{"type": "Ready", "status": "Unknown"}]
                body["spec"]["taints"] = [{"key": "node.kubernetes.io/unreachable", "effect": "NoSchedule"}]
            if body["kind"] == "Pod" and body["spec"]["nodeName"] == name:
                body["status"]["conditions"] = [{"type": "Ready", "status": "False"}]
        self._state = state_of(self._bodies)

    # What the adapters are joined of

    def state(self) -> ObjectState:
        return self._state

    def health(self, now_s: float) -> ObjectsHealth:
        away_s, back_s = API_AWAY_S
        return ObjectsHealth(not away_s <= self._at_s < back_s, 0.0, {})

    def seen(self, now_s: float) -> tuple[DatabaseSeen, ...]:
        return ()

    def look(self, now_s: float) -> FastLook:
        probed = probed_pods(self._state, [self.gateway])
        answers = {pod.key: pod.node != DEAD_NODE or self._at_s < DIES_S for pod in probed}
        return FastLook(now_s, probes_seen(probed, [VantageReport(zone, answers) for zone in ("a", "b")]))


def shop_bodies(shop: SyntheticShop) -> list[dict[str, Any]]:
    """A workload's pods each on a node of its own."""
    bodies = [body for body in objects_of(shop) if body["kind"] != "Node"]
    nodes = list(ZONES)
    placed: dict[str, int] = {}
    for body in bodies:
        if body["kind"] == "Pod":
            owner = body["metadata"]["ownerReferences"][0]["name"]
            placed[owner] = placed.get(owner, -1) + 1
            body["spec"]["nodeName"] = nodes[placed[owner] % len(nodes)]
        if body["kind"] == "Deployment":
            (container,) = body["spec"]["template"]["spec"]["containers"]
            container["readinessProbe"] = {"httpGet": {"path": "/readyz", "port": 8080}}
    return [*(api_objects.node(name, zone, cpu="8") for name, zone in ZONES.items()), *bodies]


@contextmanager
def simulated_eyes() -> Iterator[Eyes]:
    yield SimulatedEyes()


@contextmanager
def live_eyes() -> Iterator[Eyes]:
    shop = SteadyShop(workloads=2, pods=4, starts_at_s=LiveEyes.STARTS_AT_S)
    bodies = shop_bodies(shop)
    for body in bodies:
        if body["kind"] == "Pod" and body["spec"]["nodeName"] == DEAD_NODE:
            shop.dead[f"{body['metadata']['namespace']}/{body['metadata']['name']}"] = LiveEyes.STARTS_AT_S + DIES_S
    prometheus = MockPrometheus(shop)
    client = PrometheusClient(Connection(prometheus.url, timeout_s=5.0))
    try:
        yield LiveEyes(prometheus, PrometheusMetrics(client, Reading(demand_points=64, signal_points=10)), bodies)
    finally:
        client.close()
        prometheus.close()
