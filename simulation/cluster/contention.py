"""How a node's CPU is shared when its pods want more than it has."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forecasting.forecast import Floats
from simulation.cluster.ground import Ground
from simulation.cluster.kubelet import Kubelet
from simulation.cluster.nodes import Node
from simulation.cluster.slots import Slots
from simulation.cluster.usage import Usage


class Contention:
    """Looks every few seconds at what pods used and slows those on nodes that are short of CPU."""

    def __init__(self, ground: Ground, nodes: Mapping[str, Node], kubelet: Kubelet, usage: Usage, slots: Slots) -> None:
        self._ground = ground
        self._nodes = tuple(nodes.values())
        self._kubelet = kubelet
        self._usage = usage
        self._slots = slots
        self._seen_cpu_s = np.zeros(slots.node_index.size)
        self._seen_at_s = ground.now_s
        self._short = np.zeros(len(self._nodes), dtype=np.bool_)

    def update(self) -> None:
        """Share each node's cores among its pods by what they wanted since the last look.

        A pod that waits for CPU stays runnable, so its busy time on the wall clock is what it wants.
        """
        elapsed_s = self._ground.now_s - self._seen_at_s
        if elapsed_s <= 0.0:
            return
        cpu_s = self._ground.engine.pods.cpu_s
        busy = np.maximum(0.0, cpu_s - self._seen_cpu_s) / elapsed_s
        wanted = np.minimum(busy + self._usage.other_cores, self._usage.limit_cores)
        self._seen_cpu_s[:] = cpu_s
        self._seen_at_s = self._ground.now_s
        total = np.bincount(self._slots.node_index, weights=wanted, minlength=len(self._nodes))
        usable = np.array([node.usable_cpu for node in self._nodes])
        short = total > usable
        for index in np.flatnonzero(short | self._short):
            self._divide(self._nodes[index], wanted, bool(short[index]))
        self._short = short

    def _divide(self, node: Node, wanted: Floats, short: bool) -> None:
        pods = [pod for pod in node.pods.values() if pod.slot is not None]
        slots = [pod.slot for pod in pods if pod.slot is not None]
        if not short:
            for pod in pods:
                self._kubelet.set_share(pod, 1.0)
            return
        demands = wanted[slots]
        given = fair_shares(demands, np.array([pod.spec.cpu_request for pod in pods]), node.usable_cpu)
        for pod, demand, cores in zip(pods, demands, given, strict=True):
            self._kubelet.set_share(pod, float(cores / demand) if demand > 0.0 else 1.0)


def fair_shares(demands: Floats, weights: Floats, cores: float) -> Floats:
    """Cores each pod gets: by weight (its CPU request), nobody more than wanted, what is left goes to the others."""
    given = np.zeros_like(demands)
    open_ = demands > 0.0
    left = cores
    while left > 1e-12 and open_.any():
        offer = left * weights / weights[open_].sum()
        content = open_ & (demands - given <= offer)
        if not content.any():
            given[open_] += offer[open_]
            break
        left -= float((demands - given)[content].sum())
        given[content] = demands[content]
        open_ &= ~content
    return given
