"""Which machine of a cluster stands for which node and zone of a topology."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chaos.clusters.plan import NodePlace
from simulation.topology import Topology


@dataclass(frozen=True, slots=True)
class Places:
    """The cluster's names by the topology's. What the cluster does not have is missing."""

    zones: Mapping[str, str]
    nodes: Mapping[str, str]

    def zone_of(self, cluster_zone: str) -> str:
        """The topology's name of a zone; the cluster's own where the topology has none."""
        return next((ours for ours, theirs in self.zones.items() if theirs == cluster_zone), cluster_zone)


def places_of(topology: Topology, machines: Sequence[NodePlace]) -> Places:
    """The first zone of the topology is the cluster's first in the order of names, and so on; nodes within a zone
    likewise."""
    found = sorted({machine.zone for machine in machines})
    zones = dict(zip(topology.zones, found, strict=False))
    nodes: dict[str, str] = {}
    for zone, cluster_zone in zones.items():
        ours = [name for name, group in topology.node_groups.items() if group.zone == zone]
        theirs = sorted(machine.name for machine in machines if machine.zone == cluster_zone)
        nodes.update(zip(ours, theirs, strict=False))
    return Places(zones, nodes)
