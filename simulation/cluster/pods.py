"""Pods and the deployments that own them, as they stand at one moment."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Literal

from simulation.cluster.usage import Usage
from simulation.topology import Service


class Stage(Enum):
    """Where a pod is in its life; finer than the API's phase."""

    UNSCHEDULED = auto()
    BOUND = auto()  # on a node, image not there yet
    STARTING = auto()  # container runs, does not listen yet
    SERVING = auto()
    BACKING_OFF = auto()  # container is down, kubelet waits before it starts it again
    GONE = auto()


@dataclass(frozen=True, slots=True)
class Ailment:
    """What one cause does to one pod."""

    extra_wait_s: float = 0.0  # added to each answer
    error_ratio: float = 0.0  # share of answers that are errors
    pool_leak: int = 0  # connections of its pool that are lost
    cpu_burn_cores: float = 0.0
    leak_mib: float = 0.0


@dataclass(slots=True, eq=False)
class Pod:
    """One pod. `slot` is its index in the engine while it has a container; `node` and `zone` once it is scheduled.

    `ready`, `phase` and `deleting` are what the API shows, `stage` is the truth. `token` changes when a container
    ends, so that timers of the old one know it.
    """

    name: str
    service: str
    spec: Service = field(repr=False)
    ordinal: int
    revision: int
    created_s: float
    usage: Usage = field(repr=False)
    flawed: bool = False  # a bad rollout made it: it crashes after a while
    node: str | None = None
    zone: str | None = None
    slot: int | None = None
    phase: Literal["Pending", "Running", "Failed"] = "Pending"
    stage: Stage = Stage.UNSCHEDULED
    started_s: float | None = None  # status.startTime: the kubelet has taken it
    container_started_s: float | None = None
    ready: bool = False
    ready_changed_s: float | None = None
    probe_ok: bool = False  # the kubelet's own verdict, which the API may not know yet
    traffic_on: bool = True
    detached: bool = False
    deleting: bool = False
    restarts: int = 0
    back_off_s: float = 0.0
    last_exit_s: float | None = None
    token: int = 0
    warmth: float = 1.0
    share: float = 1.0  # of the CPU it wants that the node gives it
    start_left_s: float = 0.0  # start-up work that is left, at full share
    start_paced_s: float = 0.0  # since when that runs at the present share
    ailments: dict[str, Ailment] = field(default_factory=dict)
    suffers: Ailment = Ailment()  # all ailments together, as the engine knows them

    @property
    def memory_mib(self) -> float:
        """Memory in use now; 0 without a container."""
        return 0.0 if self.slot is None else self.usage.memory_of(self.slot)

    @property
    def endpoint(self) -> bool:
        """It belongs into its Service's endpoints."""
        return self.ready and self.traffic_on and not self.deleting and self.slot is not None

    @property
    def owned(self) -> bool:
        """Its ReplicaSet counts it."""
        return not self.deleting and not self.detached and self.phase != "Failed"


@dataclass(slots=True, eq=False)
class Deployment:
    """A workload. `pods` are all that exist, pending and terminating ones too."""

    spec: Service
    desired: int
    pods: list[Pod] = field(default_factory=list)
    revision: int = 1
    generation: int = 1  # as metadata.generation: changes with the pod template
    rollout_in_progress: bool = False
    flawed_share: float = 0.0  # of the present revision's pods
    created: int = 0
    created_in_revision: int = 0
    weights: dict[str, float] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def owned(self) -> list[Pod]:
        return [pod for pod in self.pods if pod.owned]

    @property
    def status_replicas(self) -> int:
        """status.replicas: pods that are not on their way out."""
        return len(self.owned)

    @property
    def ready_replicas(self) -> int:
        return sum(pod.ready for pod in self.owned)
