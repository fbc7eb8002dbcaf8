"""The few things that injections ask of a cluster. Adapters do them; all raise `VerbFailed`, all may be repeated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class LivePod:
    """A pod that has not ended. `address` None: it has none yet. `restarts` of its container so far."""

    name: str
    service: str  # as the topology calls it
    node: str | None
    address: str | None
    ready: bool
    restarts: int = 0


class Pods(Protocol):
    def of(self, service: str) -> tuple[LivePod, ...]:
        """All that have not ended and are not being deleted, by name."""
        ...

    def kill(self, pod: str) -> None:
        """Delete it without grace; its owner makes another. Gone already is good."""


@dataclass(frozen=True, slots=True)
class ShopFault:
    """What the shop's fault endpoint is asked for; see docs/shop-contracts.md."""

    name: str
    magnitude: float
    ramp_s: float
    duration_s: float
    seed: int


class ShopFaults(Protocol):
    """The fault endpoint of one process of the shop."""

    def begin(self, pod: LivePod, fault: ShopFault) -> None: ...

    def is_active(self, pod: LivePod, name: str) -> bool | None:
        """None: the process does not answer."""
        ...

    def end(self, pod: str, name: str) -> None:
        """A pod that is gone has no faults any more."""


class Machines(Protocol):
    """Part of `chaos.clusters.cluster.Cluster`, whose errors an adapter turns into `VerbFailed`."""

    def kill_node(self, node: str) -> None: ...

    def start_node(self, node: str) -> None: ...

    def kill_zone(self, zone: str) -> None: ...

    def start_zone(self, zone: str) -> None: ...

    def cut_zone(self, zone: str) -> None: ...

    def heal_zone(self, zone: str) -> None: ...


class Databases(Protocol):
    def primary(self, service: str) -> str | None:
        """The pod that takes writes; None: there is none now."""
        ...


class Switch(Protocol):
    """Something of the control plane that can be off: Prometheus, the API server, the operator."""

    def off(self) -> None: ...

    def on(self) -> None: ...
