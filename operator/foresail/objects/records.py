"""Objects of the cluster, reduced to what decisions need. None: the API does not say, or says something odd."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from foresail.objects.names import key
from foresail.objects.selectors import Selector


@dataclass(frozen=True, slots=True)
class Owner:
    """The controller that an object belongs to."""

    kind: str
    name: str
    uid: str
    group: str = ""  # API group with a slash, "" for the core


@dataclass(frozen=True, slots=True)
class Meta:
    """What every object has."""

    namespace: str  # "" for cluster-wide objects
    name: str
    uid: str
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)  # those that mean something to us
    owner: Owner | None = None
    generation: int | None = None
    resource_version: str | None = None

    @property
    def key(self) -> str:
        """`namespace/name`; the name alone of what lies in no namespace."""
        return key(self.namespace, self.name) if self.namespace else self.name


@dataclass(frozen=True, slots=True)
class Resources:
    """What one pod asks for and may use, all its containers together. None: not set."""

    cpu_request_cores: float | None = None
    cpu_limit_cores: float | None = None
    memory_request_bytes: float | None = None
    memory_limit_bytes: float | None = None


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """Where the kubelet looks whether a pod is ready. `path` None: a TCP connection is enough."""

    port: int
    path: str | None = None
    tls: bool = False
    host_header: str | None = None


@dataclass(frozen=True, slots=True)
class Toleration:
    key: str | None  # None: any taint
    value: str | None  # None: any value
    effect: str | None  # None: any effect


@dataclass(frozen=True, slots=True)
class Taint:
    key: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class PodTemplate:
    """What new pods of a workload will be like."""

    labels: Mapping[str, str] = field(default_factory=dict)
    resources: Resources = Resources()
    fingerprint: int = 0  # changes when requests, limits or an image change, and only then
    node_selector: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    probe: ProbeTarget | None = None
    claims: tuple[str, ...] = ()  # PersistentVolumeClaims that it mounts
    hard_spread: bool = False  # DoNotSchedule spread that counts cordoned nodes: no zone may be shifted away


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """A Deployment, a StatefulSet, or anything else with a scale subresource.

    `resource`: apiVersion and plural of any other kind than these two.
    """

    meta: Meta
    kind: str
    replicas: int
    selector: Selector | None
    template: PodTemplate
    strategy: str | None = None  # RollingUpdate, Recreate or OnDelete
    paused: bool = False  # spec.paused: rollouts of a Deployment stand still
    observed_generation: int | None = None
    status_replicas: int = 0
    updated_replicas: int = 0
    ready_replicas: int = 0
    current_revision: str | None = None
    update_revision: str | None = None
    progress_reason: str | None = None  # of the condition Progressing
    claims: tuple[str, ...] = ()  # volumeClaimTemplates of a StatefulSet
    resource: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class ReplicaSetRecord:
    meta: Meta
    replicas: int
    template_hash: str | None
    rollouts_hash: str | None


@dataclass(frozen=True, slots=True)
class PodRecord:
    meta: Meta
    node: str | None
    ip: str | None
    phase: str | None
    created_at_s: float | None
    scheduled_at_s: float | None
    ready_at_s: float | None  # last transition to Ready; None: not Ready now
    deleting: bool
    restarts: int
    cpu_request_cores: float  # what the scheduler counts; 0.0: nothing is asked for
    memory_request_bytes: float


@dataclass(frozen=True, slots=True)
class NodeRecord:
    meta: Meta
    ready: bool | None
    unschedulable: bool
    taints: tuple[Taint, ...] = ()
    cpu_cores: float | None = None  # allocatable
    memory_bytes: float | None = None
    pods: int | None = None


@dataclass(frozen=True, slots=True)
class HpaRecord:
    meta: Meta
    target_kind: str
    target_name: str
    min_replicas: int
    max_replicas: int | None
    scale_up_disabled: bool = False


@dataclass(frozen=True, slots=True)
class ScaledObjectRecord:
    """KEDA's. It owns its HPA and writes the HPA's bounds from its own."""

    meta: Meta
    target_kind: str
    target_name: str
    min_replicas: int
    max_replicas: int
    paused: bool = False


@dataclass(frozen=True, slots=True)
class BudgetRecord:
    """A PodDisruptionBudget."""

    meta: Meta
    selector: Selector | None
    disruptions_allowed: int | None


@dataclass(frozen=True, slots=True)
class QuotaRecord:
    """What a ResourceQuota leaves, by resource name; only quotas that count ordinary pods."""

    meta: Meta
    left: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class ServiceRecord:
    meta: Meta
    selector: Selector | None
    headless: bool = False


@dataclass(frozen=True, slots=True)
class RouteRecord:
    """An HTTPRoute. `backends`: Services of its own namespace that it leads to."""

    meta: Meta
    backends: frozenset[str]
