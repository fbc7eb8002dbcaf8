"""Power and cables of a test cluster's machines, as injections ask for them."""

from __future__ import annotations

from dataclasses import dataclass

from chaos.clusters.cluster import Cluster
from chaos.experiments.live.cluster_failures import cluster_failures_as
from chaos.experiments.problems import VerbFailed


@dataclass(frozen=True, slots=True)
class ProviderMachines:
    """`Machines` of a cluster that its provider can hurt."""

    cluster: Cluster

    def kill_node(self, node: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.kill_node(node)

    def start_node(self, node: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.start_node(node)

    def kill_zone(self, zone: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.kill_zone(zone)

    def start_zone(self, zone: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.start_zone(zone)

    def cut_zone(self, zone: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.cut_zone(zone)

    def heal_zone(self, zone: str) -> None:
        with cluster_failures_as(VerbFailed):
            self.cluster.heal_zone(zone)
