"""Faults around pods: neighbours, nodes, zones and the control plane."""

from __future__ import annotations

from collections.abc import Iterable

from simulation.cluster.nodes import Node
from simulation.faults.base import RunningFault
from simulation.topology import Topology


class NodeFault(RunningFault):
    """A fault of whole nodes: the one named, else chosen by seed, of the zone and service named if any."""

    def choose(self, count: int) -> list[Node]:
        fault, nodes = self.fault, self.parts.nodes
        if fault.node is not None:
            return [nodes[fault.node]] if fault.node in nodes else []
        candidates = [node for node in nodes.values() if node.alive and fault.zone in (None, node.zone)]
        order = self.rng("nodes").permutation(len(candidates))
        ranked = sorted((-self._weight(candidates[i]), place) for place, i in enumerate(order))
        return [candidates[order[place]] for _, place in ranked[:count]]

    def _weight(self, node: Node) -> int:
        """Nodes that hold most pods of the service named come first, without one any node that holds a pod."""
        if self.fault.service is None:
            return int(bool(node.pods))
        return sum(pod.service == self.fault.service for pod in node.pods.values())

    def record(self, node: Node) -> None:
        pods = list(node.pods.values())
        self.hit(node.name, *(pod.name for pod in pods), *(pod.service for pod in pods))


class NoisyNeighbour(NodeFault):
    """Others take a share of a node's CPU."""

    def begin(self) -> None:
        self._hit = self.choose(1)
        for node in self._hit:
            self.record(node)
        self.step()

    def step(self) -> None:
        for node in self._hit:
            node.thieves[self.index] = min(1.0, self.magnitude)

    def end(self) -> None:
        for node in self._hit:
            node.thieves.pop(self.index, None)


class StoppedNodes(NodeFault):
    """Nodes stop, and boot again at the end."""

    def stop(self, nodes: Iterable[Node]) -> None:
        self._stopped = tuple(nodes)
        for node in self._stopped:
            self.record(node)
            self.parts.node_controller.lose_node(node.name)

    def end(self) -> None:
        for node in self._stopped:
            self.parts.node_controller.return_node(node.name)


class NodeLoss(StoppedNodes):
    """As many nodes as the fault is large."""

    def begin(self) -> None:
        self.stop(self.choose(max(1, round(self.fault.size))))


class ZoneLoss(StoppedNodes):
    """All nodes of a zone."""

    def begin(self) -> None:
        assert self.fault.zone is not None
        self.hit(self.fault.zone)
        self.stop(node for node in self.parts.nodes.values() if node.zone == self.fault.zone and node.alive)


class ZoneCut(NodeFault):
    """The network between a zone and everything else is gone, until it comes back."""

    def begin(self) -> None:
        assert self.fault.zone is not None
        self.hit(self.fault.zone)
        for node in self.parts.nodes.values():
            if node.zone == self.fault.zone:
                self.record(node)
        self.parts.node_controller.cut_zone(self.fault.zone)

    def end(self) -> None:
        assert self.fault.zone is not None
        self.parts.node_controller.mend_zone(self.fault.zone)


class ApiOutage(RunningFault):
    """The API server answers nobody: no scheduling, no endpoint changes, no writes. What runs goes on."""

    def begin(self) -> None:
        self.parts.ground.lose_api()

    def end(self) -> None:
        self.parts.ground.restore_api()


class Blindness(RunningFault):
    """Metrics late or missing, or a controller that is down: nothing physical happens, the world is asked about it."""


class Crowd(RunningFault):
    """More clients than on other days; the traffic's rate already has them. Everything they need is hit."""

    def begin(self) -> None:
        self.hit(*called_from_outside(self.parts.topology))


def called_from_outside(topology: Topology) -> tuple[str, ...]:
    """The services that requests of clients need, those that they enter at first."""
    calls = {o.name: [call.to for call in o.calls] for o in topology.operations}
    open_ = [c.operation for c in topology.classes]
    found: dict[str, None] = {}
    while open_:
        operation = open_.pop(0)
        found[operation.partition(".")[0]] = None
        open_.extend(calls[operation])
    return tuple(found)
