"""The interface of a test cluster, whoever provides it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from chaos.clusters.plan import NodePlace


class ClusterFailed(Exception):
    """The cluster could not do what was asked; the message says what failed and where to look."""


@dataclass(frozen=True, slots=True)
class MachineState:
    """One machine of the cluster: whether it has power, and whether its network cable is in (None: unknown)."""

    name: str
    zone: str | None  # None: the control plane, which stands in no zone
    powered: bool
    connected: bool | None


class Forwarding(Protocol):
    """A listening socket on this machine's loopback that leads to one address inside the cluster."""

    @property
    def port(self) -> int: ...

    def close(self) -> None: ...


class Cluster(Protocol):
    """A real cluster with faults at will. Every verb may be repeated: what is so already stays so.

    All raise `ClusterFailed`. Nodes and zones are named as `places` names them.
    """

    def up(self) -> None:
        """All nodes Ready and the controllers at work; a half-made cluster of this name is removed first."""

    def down(self) -> None:
        """Nothing of it is left, in whatever state it was."""

    def status(self) -> tuple[MachineState, ...]:
        """Empty when there is no such cluster."""
        ...

    def places(self) -> tuple[NodePlace, ...]: ...

    @property
    def kubeconfig(self) -> Path:
        """For clients on this machine."""
        ...

    def load_image(self, archive: Path) -> None:
        """All nodes have it, those that start later too."""

    def kill_node(self, node: str) -> None:
        """Cut its power: all of its processes end at once, unasked."""

    def start_node(self, node: str) -> None:
        """Give it power; it becomes Ready in its own time."""

    def cut_node(self, node: str) -> None:
        """Pull its network cable: its containers go on, unreachable."""

    def heal_node(self, node: str) -> None: ...

    def kill_zone(self, zone: str) -> None: ...

    def start_zone(self, zone: str) -> None: ...

    def cut_zone(self, zone: str) -> None: ...

    def heal_zone(self, zone: str) -> None: ...

    def restart_api_server(self) -> None:
        """Its process ends at once, unasked; returns when another one answers."""

    def hang_program(self, program: str) -> None:
        """A program of the control plane takes connections and answers none, as one that is out of memory."""

    def resume_program(self, program: str) -> None: ...

    def execute(self, command: Sequence[str]) -> int:
        """Run a program in the cluster's network, KUBECONFIG set, in- and output as ours; returns its exit code."""
        ...

    def forward(self, address: str, port: int = 0) -> Forwarding:
        """Listen on 127.0.0.1 (port 0: any free one) for `address`, the IP:PORT of a pod, a service or a machine."""
        ...
