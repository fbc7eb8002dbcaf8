"""Where an injection happens: the cluster's verbs, the seed, the places, and the promise to take everything back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from chaos.experiments.injecting.verbs import Databases, LivePod, Machines, Pods, ShopFaults, Switch
from chaos.experiments.places import Places
from chaos.experiments.rollback import Undo
from simulation.scenario import FaultKind
from simulation.streams import generator
from simulation.topology import Topology

#: Faults of the control plane, each by a switch.
SWITCHED = (FaultKind.METRICS_OUTAGE, FaultKind.API_OUTAGE, FaultKind.CONTROLLER_CRASH)


class Promises(Protocol):
    def promise(self, undo: Undo) -> int: ...

    def undo(self, number: int) -> None: ...


@dataclass(frozen=True, slots=True)
class Verbs:
    """What a cluster can do. None or missing: it cannot."""

    pods: Pods
    shop_faults: ShopFaults | None = None
    machines: Machines | None = None
    databases: Databases | None = None
    switches: Mapping[FaultKind, Switch] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stage:
    verbs: Verbs
    promises: Promises
    topology: Topology
    places: Places
    seed: int

    def rng(self, purpose: str, index: int, fault_seed: int) -> np.random.Generator:
        """Draws of one fault for one purpose; the simulator keys its own in the same way."""
        return generator(self.seed, purpose, index, fault_seed)

    def victims(self, service: str, count: int, index: int, fault_seed: int) -> tuple[LivePod, ...]:
        """So many pods of the service, chosen by seed, those that serve first."""
        pods = self.verbs.pods.of(service)
        order = self.rng("victims", index, fault_seed).permutation(len(pods))
        ranked = sorted((not pods[i].ready, place) for place, i in enumerate(order))
        return tuple(pods[order[place]] for _, place in ranked[:count])
