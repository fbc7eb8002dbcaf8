"""What faults can reach of a world."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from simulation.cluster.deployments import Deployments
from simulation.cluster.ground import Ground
from simulation.cluster.kubelet import Kubelet
from simulation.cluster.node_controller import NodeController
from simulation.cluster.nodes import Node
from simulation.cluster.pods import Deployment
from simulation.cluster.vitals import Vitals
from simulation.database import Database
from simulation.topology import Topology


@dataclass(frozen=True, slots=True)
class Parts:
    topology: Topology
    ground: Ground
    services: Mapping[str, Deployment]
    nodes: Mapping[str, Node]
    databases: Mapping[str, Database]
    kubelet: Kubelet
    vitals: Vitals
    deployments: Deployments
    node_controller: NodeController
    check_memory: Callable[[], None]
