"""The engine's pod slots: who has which, and how many are free."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from simulation.cluster.ground import Ground
from simulation.cluster.nodes import Node
from simulation.cluster.pods import Pod
from simulation.cluster.usage import Usage
from simulation.kernel.engine import PodState


class Slots:
    """Gives slots to pods that get their first container and takes them back."""

    def __init__(self, ground: Ground, nodes: Mapping[str, Node], usage: Usage, free: int, size: int) -> None:
        self._ground = ground
        self._nodes = nodes
        self._zones = list(dict.fromkeys(node.zone for node in nodes.values()))
        self._usage = usage
        self.free = free
        self.pods: dict[int, Pod] = {}
        self.node_index = np.zeros(size, dtype=np.int64)  # by slot, of the last pod that had it

    def open(self, pod: Pod) -> None:
        """The pod, which is on a node, has a slot from now on."""
        assert pod.node is not None
        node = self._nodes[pod.node]
        slot = self._ground.engine.add_pod(pod.service, pod.spec.cpu_limit, self._zones.index(node.zone))
        self.free -= 1
        pod.slot = slot
        self.pods[slot] = pod
        self.node_index[slot] = node.index
        self._usage.open(slot, pod.spec, self._ground.now_s)

    def leave(self, pod: Pod) -> int:
        """The pod is gone; its slot, to be closed when nobody sends to it any more."""
        assert pod.slot is not None
        slot = pod.slot
        del self.pods[slot]
        pod.slot = None
        return slot

    def close(self, slot: int) -> None:
        """Another pod may have the slot."""
        self._ground.engine.set_state(slot, PodState.GONE)
        self._usage.close(slot)
        self.free += 1
