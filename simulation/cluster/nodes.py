"""Nodes: what is free on them, where the scheduler puts a pod, and which images they hold."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from simulation.cluster.pods import Pod
from simulation.topology import Service, Topology

_ROUNDING = 1e-9


@dataclass(slots=True, eq=False)
class Node:
    """One node. `ready` is the API's condition; `alive` and `cut_off` are the truth."""

    name: str
    zone: str
    index: int
    allocatable_cpu: float
    allocatable_memory_mib: float
    ready: bool = True
    alive: bool = True
    cut_off: bool = False  # no packets to or from the rest of the world
    cordoned: bool = False
    thieves: dict[int, float] = field(default_factory=dict)  # shares of its CPU that others take, by cause
    requested_cpu: float = 0.0
    requested_memory_mib: float = 0.0
    pods: dict[str, Pod] = field(default_factory=dict)
    image_there_s: dict[tuple[str, int], float] = field(default_factory=dict)
    contact_lost: int = 0  # how often; timers of an earlier loss know themselves by it

    @property
    def reachable(self) -> bool:
        """Its kubelet can talk to the API."""
        return self.alive and not self.cut_off

    @property
    def schedulable(self) -> bool:
        return self.ready and not self.cordoned

    @property
    def free_cpu(self) -> float:
        return self.allocatable_cpu - self.requested_cpu

    @property
    def free_memory_mib(self) -> float:
        return self.allocatable_memory_mib - self.requested_memory_mib

    @property
    def usable_cpu(self) -> float:
        """Cores that neighbours leave to our pods."""
        return self.allocatable_cpu * max(0.0, 1.0 - sum(self.thieves.values()))

    def room_for(self, spec: Service) -> int:
        """How many more pods of a service fit by their requests."""
        by_cpu = int((self.free_cpu + _ROUNDING) / spec.cpu_request)
        by_memory = int((self.free_memory_mib + _ROUNDING) / spec.memory_request_mib)
        return max(0, min(by_cpu, by_memory))

    def bind(self, pod: Pod) -> None:
        pod.node, pod.zone = self.name, self.zone
        self.pods[pod.name] = pod
        self.requested_cpu += pod.spec.cpu_request
        self.requested_memory_mib += pod.spec.memory_request_mib

    def release(self, pod: Pod) -> None:
        del self.pods[pod.name]
        self.requested_cpu -= pod.spec.cpu_request
        self.requested_memory_mib -= pod.spec.memory_request_mib

    def pull_s(self, pod: Pod, now_s: float) -> float:
        """Time until the pod's image is there and its container can run."""
        startup = pod.spec.startup
        image = (pod.service, pod.revision)
        if image not in self.image_there_s:
            self.image_there_s[image] = now_s + startup.image_pull_s
            return startup.image_pull_s
        return max(0.0, self.image_there_s[image] - now_s) + startup.cached_pull_s


def nodes_of(topology: Topology) -> dict[str, Node]:
    """Every node of the topology by name."""
    return {
        name: Node(name, group.zone, index, group.cpu, group.memory_mib)
        for index, (name, group) in enumerate(topology.node_groups.items())
    }


def best_node(pod: Pod, peers: Iterable[Pod], nodes: Mapping[str, Node]) -> Node | None:
    """Where the scheduler puts a pod: spread over zones, then over nodes, then where most CPU is free.

    None: it fits nowhere and stays Pending.
    """
    in_zone: dict[str, int] = {}
    on_node: dict[str, int] = {}
    for peer in peers:
        if peer.node is not None and peer.zone is not None and not peer.deleting:
            in_zone[peer.zone] = in_zone.get(peer.zone, 0) + 1
            on_node[peer.node] = on_node.get(peer.node, 0) + 1
    fitting = [node for node in nodes.values() if node.schedulable and node.room_for(pod.spec) > 0]
    if not fitting:
        return None
    return min(
        fitting,
        key=lambda node: (in_zone.get(node.zone, 0), on_node.get(node.name, 0), -node.free_cpu, node.index),
    )
