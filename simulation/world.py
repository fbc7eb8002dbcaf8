"""The physical truth of one scenario and one seed: clients, pods, nodes, stores and faults, without any controller.

Kubernetes' own machinery is here (kubelets, scheduler, deployments, endpoints, node life-cycle); autoscalers are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import numpy as np

from forecasting.forecast import Floats
from simulation.cluster.agenda import Agenda
from simulation.cluster.contention import Contention
from simulation.cluster.deployments import Deployments
from simulation.cluster.endpoints import Endpoints
from simulation.cluster.ground import Ground
from simulation.cluster.kubelet import Kubelet
from simulation.cluster.node_controller import NodeController
from simulation.cluster.nodes import Node, nodes_of
from simulation.cluster.pods import Deployment, Pod, Stage
from simulation.cluster.slots import Slots
from simulation.cluster.usage import Usage
from simulation.cluster.vitals import Vitals
from simulation.database import Database
from simulation.faults.parts import Parts
from simulation.injection import Injection
from simulation.kernel.engine import Engine, PodState
from simulation.plans import THIRD_PARTY, engine_plan, slots_needed
from simulation.result import FaultTruth
from simulation.scenario import FaultKind, Scenario
from simulation.traffic import CHUNK_S, Traffic

HOUSEKEEPING_S = 5.0  # CPU contention, memory and disks are looked at so often
PDB_MAX_UNAVAILABLE_RATIO = 0.25  # of every deployment's PodDisruptionBudget


class World:
    """One scenario under one seed. It begins at `-warm_up_s` with every workload's `replicas` pods Ready.

    Two worlds of the same scenario and seed that are treated alike are alike in everything. `traffic` are clients other
    than the scenario's own.
    """

    def __init__(self, scenario: Scenario, seed: int, traffic: Traffic | None = None) -> None:
        self.scenario = scenario
        self.seed = seed
        topology, start_s, slots = scenario.topology, -scenario.warm_up_s, slots_needed(scenario)
        self.traffic = Traffic(scenario, seed) if traffic is None else traffic
        self.engine = Engine(engine_plan(scenario, seed, slots, self.traffic.beside), start_s)
        self.nodes: Mapping[str, Node] = nodes_of(topology)
        self.services: Mapping[str, Deployment] = {s.name: Deployment(s, s.replicas) for s in topology.services}
        self.usage = Usage(self.engine, slots, start_s)
        self._ground = Ground(self.engine, Agenda(start_s), seed)
        reserved = 1 if any(s.name == THIRD_PARTY for s in self.engine.plan.services) else 0
        self._slots = Slots(self._ground, self.nodes, self.usage, slots - reserved, slots)
        self._vitals = Vitals(self._ground, self.usage)
        self._kubelet = Kubelet(
            self._ground,
            self.nodes,
            self.usage,
            self._vitals,
            self._slots,
            changed=self._changed,
            started=self._started,
            gone=self._gone,
            retire=self._retire,
        )
        self._endpoints = Endpoints(self._ground, self.services, self._endpoint_pods, self._slots.close)
        self._contention = Contention(self._ground, self.nodes, self._kubelet, self.usage, self._slots)
        self._deployments = Deployments(self._ground, self.services, self.nodes, self._kubelet, self.usage)
        order_stores = {o.name.partition(".")[0] for o in topology.operations if o.commits}
        self.databases: Mapping[str, Database] = {
            name: Database(
                deployment, self._ground, self._vitals, self._endpoints, self.nodes, holds_orders=name in order_stores
            )
            for name, deployment in self.services.items()
            if deployment.spec.database is not None
        }
        self._node_controller = NodeController(
            self._ground, self.nodes, topology.zones, self._kubelet, self._deployments, self._look_at_databases
        )
        self._injection = Injection(scenario.faults, self._parts())
        self._start(reserved)

    def _parts(self) -> Parts:
        return Parts(
            topology=self.scenario.topology,
            ground=self._ground,
            services=self.services,
            nodes=self.nodes,
            databases=self.databases,
            kubelet=self._kubelet,
            vitals=self._vitals,
            deployments=self._deployments,
            node_controller=self._node_controller,
            check_memory=self._check_memory,
        )

    def _start(self, reserved: int) -> None:
        if reserved:
            silent = self.engine.add_pod(THIRD_PARTY, 1.0, 0)
            self.engine.set_state(silent, PodState.DARK)
            self.engine.set_endpoints(THIRD_PARTY, [silent])
        self._deployments.start()
        for database in self.databases.values():
            database.start()
        for name in self.services:
            self._endpoints.publish(name)
        self._give_arrivals()
        self._keep_house()

    @property
    def now_s(self) -> float:
        return self._ground.now_s

    def advance(self, until_s: float) -> None:
        """Let everything happen up to exactly `until_s`."""
        agenda, engine = self._ground.agenda, self.engine
        agenda.run_due()
        while agenda.now_s < until_s:
            target_s = min(agenda.next_s, until_s)
            notices = engine.advance(target_s)
            agenda.now_s = notices[0].t_s if notices else target_s
            for notice in notices:
                self._kubelet.heed(notice)
            agenda.run_due()

    # What controllers and people do. Nothing here fails for want of an API server: ask `api_available` first.

    def scale(self, service: str, replicas: int) -> None:
        """Write spec.replicas."""
        self._deployments.scale(service, replicas)

    def set_traffic(self, pod: Pod, on: bool) -> None:
        """Flip the traffic label."""
        if pod.traffic_on != on:
            pod.traffic_on = on
            self._endpoints.touch(pod.service)

    def detach(self, pod: Pod) -> None:
        """The pod leaves its ReplicaSet, which makes a new one; it keeps serving."""
        if not pod.detached and not pod.deleting and pod.spec.kind == "deployment":
            pod.detached = True
            self._deployments.reconsider(pod.service)

    def reattach(self, pod: Pod) -> None:
        """The pod comes back to its ReplicaSet, which then has one too many."""
        if pod.detached and not pod.deleting:
            pod.detached = False
            self._deployments.reconsider(pod.service)

    def evict(self, pod: Pod) -> bool:
        """Delete the pod gracefully by the Eviction API. False: gone already, or its budget allows no disruption."""
        if pod.deleting or pod.stage is Stage.GONE:
            return False
        if pod.ready and not pod.detached and self.disruptions_allowed(pod.service) <= 0:
            return False
        self._kubelet.delete(pod)
        return True

    def cordon(self, node: str, on: bool) -> None:
        self.nodes[node].cordoned = on
        if not on:
            self._deployments.schedule_pending()

    def switch_over(self, database: str, candidate: str) -> bool:
        """Patroni's planned switchover. False: refused."""
        return self.databases[database].switch_over(candidate)

    def set_weights(self, service: str, weights: Mapping[str, float]) -> None:
        """Relative weights of the Service's pods; those not named have 1. Empty: equal again."""
        self.services[service].weights = dict(weights)
        self._endpoints.touch(service)

    def set_ceiling(self, ceiling: float) -> None:
        """Share of optional content that the gateway still asks for, 0..1."""
        self.engine.set_optional_ceiling(ceiling)

    # What can be asked

    def room_for(self, service: str) -> int:
        """How many more pods of a service fit on the nodes that take pods."""
        spec = self.services[service].spec
        room = sum(node.room_for(spec) for node in self.nodes.values() if node.schedulable)
        waiting = sum(pod.stage is Stage.UNSCHEDULED for pod in self.services[service].pods)
        return max(0, room - waiting)

    def disruptions_allowed(self, service: str) -> int:
        """What the workload's PodDisruptionBudget still permits; maxUnavailable is 25 %, rounded up."""
        deployment = self.services[service]
        healthy = sum(pod.ready and not pod.deleting for pod in deployment.pods)
        needed = deployment.desired - ceil(deployment.desired * PDB_MAX_UNAVAILABLE_RATIO)
        return max(0, healthy - needed)

    def cpu_used_s(self) -> Floats:
        """CPU seconds used by the pod in each slot since it got the slot: start-up and burns included."""
        return self.usage.cpu_s(self.now_s)

    def memory_mib(self) -> Floats:
        """Memory in use now, by slot."""
        return self.usage.memory_mib()

    def api_available(self) -> bool:
        return self._ground.api_up

    def metrics_available(self) -> bool:
        return not self._injection.active(FaultKind.METRICS_OUTAGE)

    def metrics_extra_lag_s(self) -> float:
        return self._injection.extra_lag_s()

    def controller_alive(self) -> bool:
        """Foresail's own process runs."""
        return not self._injection.active(FaultKind.CONTROLLER_CRASH)

    @property
    def fault_truths(self) -> tuple[FaultTruth, ...]:
        """The scenario's faults and whom they have hit so far."""
        return self._injection.truths()

    # What the parts tell each other

    def _endpoint_pods(self, deployment: Deployment) -> list[Pod]:
        database = self.databases.get(deployment.name)
        if database is not None:
            return database.endpoint_pods()
        return [pod for pod in deployment.pods if pod.endpoint]

    def _retire(self, service: str, slot: int) -> None:
        self._endpoints.retire(service, slot)

    def _changed(self, pod: Pod) -> None:
        self._endpoints.touch(pod.service)
        deployment = self.services[pod.service]
        if deployment.rollout_in_progress or pod.deleting:
            self._deployments.reconsider(pod.service)
        if pod.service in self.databases:
            self.databases[pod.service].look()

    def _started(self, pod: Pod) -> None:
        self._injection.pod_started(pod)

    def _gone(self, pod: Pod) -> None:
        self.services[pod.service].pods.remove(pod)
        self._changed(pod)
        self._deployments.reconsider(pod.service)
        self._ground.when_api(self._deployments.schedule_pending)

    def _look_at_databases(self) -> None:
        for database in self.databases.values():
            database.look()

    def _give_arrivals(self) -> None:
        self.traffic.give(self.engine)
        if self.traffic.given_until_s < self.scenario.duration_s:
            self._ground.agenda.after(CHUNK_S, self._give_arrivals)

    def _keep_house(self) -> None:
        self._contention.update()
        self._check_memory()
        for database in self.databases.values():
            database.check_disks()
        self._ground.agenda.after(HOUSEKEEPING_S, self._keep_house)

    def _check_memory(self) -> None:
        """Containers above their memory limit are killed."""
        for slot in np.flatnonzero(self.usage.memory_mib() > self.usage.limit_mib):
            pod = self._slots.pods.get(int(slot))
            if pod is not None:
                self._kubelet.crash(pod)
