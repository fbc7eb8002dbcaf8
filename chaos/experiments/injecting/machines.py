"""Faults of nodes and zones, by the cluster's provider: power cuts and pulled cables."""

from __future__ import annotations

from chaos.experiments.injecting.injector import Injection
from chaos.experiments.injecting.stage import Stage
from chaos.experiments.injecting.undoing import HEAL_ZONE, START_NODE, START_ZONE
from chaos.experiments.injecting.verbs import LivePod, Machines
from chaos.experiments.problems import VerbFailed
from chaos.experiments.rollback import Undo
from simulation.scenario import Fault, FaultKind


class MachineFault(Injection):
    """A fault of whole machines. Who was on them is written down before they are hit."""

    @property
    def machines(self) -> Machines:
        if self.stage.verbs.machines is None:
            raise VerbFailed("this cluster's machines cannot be hurt")
        return self.stage.verbs.machines

    def pods(self) -> tuple[LivePod, ...]:
        services = (service.name for service in self.stage.topology.services)
        return tuple(pod for service in services for pod in self.stage.verbs.pods.of(service))

    def record(self, pods: tuple[LivePod, ...], nodes: frozenset[str]) -> None:
        there = [pod for pod in pods if pod.node in nodes]
        self.hit(*sorted(nodes), *(pod.name for pod in there), *(pod.service for pod in there))


class NodeLoss(MachineFault):
    """The node named, else as many as the fault is large, by seed: those with most pods of its service, without one
    those that hold any pod."""

    def __init__(self, fault: Fault, index: int, stage: Stage) -> None:
        super().__init__(fault, index, stage)
        self._chosen: tuple[str, ...] = ()

    def inject(self, now_s: float) -> None:
        if not self._chosen:
            pods = self.pods()
            self._chosen = self._choose(pods)
            self.record(pods, frozenset(self._chosen))
        for node in self._chosen:
            self.promise(Undo(START_NODE, node))
            self.machines.kill_node(node)

    def _choose(self, pods: tuple[LivePod, ...]) -> tuple[str, ...]:
        fault, places = self.fault, self.stage.places
        if fault.node is not None:
            return (places.nodes[fault.node],)
        candidates = sorted(places.nodes.values())
        if fault.zone is not None:
            groups = self.stage.topology.node_groups
            candidates = sorted(place for name, place in places.nodes.items() if groups[name].zone == fault.zone)
        order = self.stage.rng("nodes", self.index, fault.seed).permutation(len(candidates))
        ranked = sorted((-self._weight(candidates[i], pods), place) for place, i in enumerate(order))
        return tuple(candidates[order[place]] for _, place in ranked[: max(1, round(fault.size))])

    def _weight(self, node: str, pods: tuple[LivePod, ...]) -> int:
        there = [pod for pod in pods if pod.node == node]
        if self.fault.service is None:
            return int(bool(there))
        return sum(pod.service == self.fault.service for pod in there)


class ZoneFault(MachineFault):
    """All nodes of a zone lose their power, or the zone its cable."""

    def inject(self, now_s: float) -> None:
        assert self.fault.zone is not None
        zone, places = self.stage.places.zones[self.fault.zone], self.stage.places
        groups = self.stage.topology.node_groups
        nodes = frozenset(place for name, place in places.nodes.items() if groups[name].zone == self.fault.zone)
        self.hit(self.fault.zone, zone)
        self.record(self.pods(), nodes)
        if self.fault.kind is FaultKind.ZONE_CUT:
            self.promise(Undo(HEAL_ZONE, zone))
            self.machines.cut_zone(zone)
        else:
            self.promise(Undo(START_ZONE, zone))
            self.machines.kill_zone(zone)
