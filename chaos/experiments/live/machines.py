"""Power and cables of a test cluster's machines, as injections ask for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from chaos.clusters.cluster import Cluster, ClusterFailed
from chaos.experiments.problems import VerbFailed


@dataclass(frozen=True, slots=True)
class ProviderMachines:
    """`Machines` of a cluster that its provider can hurt."""

    cluster: Cluster

    def kill_node(self, node: str) -> None:
        _asked(self.cluster.kill_node, node)

    def start_node(self, node: str) -> None:
        _asked(self.cluster.start_node, node)

    def kill_zone(self, zone: str) -> None:
        _asked(self.cluster.kill_zone, zone)

    def start_zone(self, zone: str) -> None:
        _asked(self.cluster.start_zone, zone)

    def cut_zone(self, zone: str) -> None:
        _asked(self.cluster.cut_zone, zone)

    def heal_zone(self, zone: str) -> None:
        _asked(self.cluster.heal_zone, zone)


def _asked(verb: Callable[[str], None], name: str) -> None:
    try:
        verb(name)
    except ClusterFailed as error:
        raise VerbFailed(str(error)) from error
