"""What a test cluster shall be: nodes and their zones, how soon it gives up on a node, what each node offers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

ZONE_LABEL = "topology.kubernetes.io/zone"
REGION_LABEL = "topology.kubernetes.io/region"
REGION = "test"


class PlanInvalid(ValueError):
    """A value of the plan cannot be used; the message names it and what it may be."""


@dataclass(frozen=True, slots=True)
class Timers:
    """How soon a cluster notices and acts: the flags of its controllers and kubelets, in seconds."""

    name: str
    node_monitor_s: int
    node_grace_s: int  # silence after which a node counts as gone
    eviction_s: int  # from there until its pods are replaced elsewhere
    kubelet_status_s: int
    node_lease_s: int
    hpa_sync_s: int
    hpa_downscale_stabilisation_s: int
    hpa_cpu_initialization_s: int
    hpa_initial_readiness_s: int
    metrics_resolution_s: int


#: What a cluster has when nobody turned a knob (Kubernetes 1.32 and later).
PRODUCTION = Timers(
    name="production",
    node_monitor_s=5,
    node_grace_s=50,
    eviction_s=300,
    kubelet_status_s=10,
    node_lease_s=40,
    hpa_sync_s=15,
    hpa_downscale_stabilisation_s=300,
    hpa_cpu_initialization_s=300,
    hpa_initial_readiness_s=30,
    metrics_resolution_s=15,
)
#: The same course of events in a fifth of the time or less, for tests of what happens rather than of when.
SHORT = Timers(
    name="short",
    node_monitor_s=1,
    node_grace_s=10,
    eviction_s=5,
    kubelet_status_s=4,
    node_lease_s=8,
    hpa_sync_s=5,
    hpa_downscale_stabilisation_s=20,
    hpa_cpu_initialization_s=10,
    hpa_initial_readiness_s=5,
    metrics_resolution_s=10,
)
TIMERS = {timers.name: timers for timers in (SHORT, PRODUCTION)}


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node and the zone that its label names."""

    name: str
    zone: str


@dataclass(frozen=True, slots=True)
class ClusterPlan:
    """A cluster as wished. Nodes take zones in turn: node-1 in zone-a, node-2 in zone-b, node-3 in zone-a again.

    `images` are archives that every node has from its first moment. `cpus` None: a node offers all of the machine's.
    """

    name: str = "foresail"
    nodes: int = 3
    zones: int = 2
    timers: Timers = SHORT
    memory_mib: int = 4096
    cpus: float | None = None
    prometheus: bool = False
    images: tuple[Path, ...] = field(default=())

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z]([-a-z0-9]{0,30}[a-z0-9])?", self.name):
            raise PlanInvalid(f"name: {self.name!r} must be up to 32 of a-z, 0-9 and -, from a letter on")
        if not 1 <= self.nodes <= 9:
            raise PlanInvalid(f"nodes: {self.nodes} is not between 1 and 9")
        if not 1 <= self.zones <= min(3, self.nodes):
            raise PlanInvalid(
                f"zones: {self.zones} is not between 1 and {min(3, self.nodes)}, the zones that can differ"
            )
        if self.memory_mib < 256:
            raise PlanInvalid(f"memory_mib: {self.memory_mib} is below 256, too little for any pod")
        if self.cpus is not None and self.cpus <= 0:
            raise PlanInvalid(f"cpus: {self.cpus:g} is not above 0")
        names = [image.name for image in self.images]
        if len(set(names)) != len(names):
            raise PlanInvalid(f"images: two archives have the same file name, of {', '.join(names)}: rename one")

    def places(self) -> tuple[NodePlace, ...]:
        return tuple(NodePlace(f"node-{number + 1}", zone_name(number % self.zones)) for number in range(self.nodes))

    def zone_names(self) -> tuple[str, ...]:
        return tuple(zone_name(index) for index in range(self.zones))


def zone_name(index: int) -> str:
    return f"zone-{'abc'[index]}"


def timers_named(name: str) -> Timers:
    """Raises `PlanInvalid`."""
    if name not in TIMERS:
        raise PlanInvalid(f"timers: {name!r} is unknown: use {' or '.join(TIMERS)}")
    return TIMERS[name]
