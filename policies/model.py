"""What the decision core is told: the policy people wrote and the cluster as it was last seen.

None always means "not known". Nothing here is derived and nothing decides; every value is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum

from forecasting.failures import SignalKind as SignalKind
from forecasting.forecast import DeclaredEvent, Floats


class Mode(StrEnum):
    """How far a policy lets Foresail go."""

    OBSERVE = "Observe"  # computes and shows
    RECOMMEND = "Recommend"  # also writes Events and a patch to apply
    ENFORCE = "Enforce"  # acts


class Rung(IntEnum):
    """The ladder. Each rung needs more confidence than the one below."""

    OBSERVE = 0
    PRE_SCALE = 1
    REWEIGHT = 2  # traffic weights and the brownout ceiling
    DRAIN = 3
    REPLACE = 4
    SWITCH_OVER = 5
    SHIFT_ZONE = 6


@dataclass(frozen=True, slots=True)
class Guardrails:
    """The five brakes, on by default."""

    cluster_health_floor: float = 0.51  # share of nodes (outside a failed zone) that must be Ready for a disruptive act
    drain_cap_ratio: float = 0.10  # of a workload's endpoints; one pod is always allowed, the last never
    cooldown_s: float = 120.0  # between two disruptive acts on one workload
    storm_window_s: float = 600.0
    storm_acts: int = 8  # disruptive acts in the window, all workloads together, that stop everything disruptive
    storm_ratio: float = 0.25  # … or this share of the workloads, whichever is larger
    paused: bool = False  # annotation on the policy
    extra_pod_hours_per_day: float | None = None  # cap on what floors may add


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """Bounds, costs and pace of the floor."""

    min_replicas: int = 1
    max_replicas: int = 100
    safe_replicas: int | None = None  # without an HPA: never below this
    target_utilization: float = 0.70  # of the learned capacity per pod that a plan fills at most
    saturation_utilization: float = 0.92  # of the learned capacity: beyond it requests count as unserved
    capacity_prior_rps: float | None = None  # per pod, until learned; None: from CPU limits once seen
    lead_time_prior_s: float = 60.0  # create → ready, until learned
    violation_cost: float = 30.0  # what one pod's worth of unserved demand costs, in pods, for the same time
    cvar_level: float = 0.95  # the tail of futures whose mean shortfall is priced
    floor_ttl_s: float = 300.0
    descend_pods_per_min: float = 1.0  # the floor descends by the larger of this
    descend_ratio_per_min: float = 0.10  # … and this share


@dataclass(frozen=True, slots=True)
class HealingPolicy:
    """When a growing failure signal is worth an act, and how far up the ladder an act may go."""

    highest_rung: Rung = Rung.SWITCH_OVER  # zone shift must be asked for: it needs the right to cordon
    act_probability: float = 0.60  # P(limit is hit before lead time + margin) that triggers
    release_probability: float = 0.30  # hysteresis
    margin_s: float = 120.0
    replace_allowed: bool = True  # RollingUpdate Deployments without ReadWriteOnce volumes only
    act_ttl_s: float = 600.0
    drain_limit_s: float = 60.0  # a drained pod that still answers, or may, is waited for no longer than this


@dataclass(frozen=True, slots=True)
class BrownoutPolicy:
    """Optional content that the gateway may dim."""

    enabled: bool = False
    lowest_ceiling: float = 0.0
    ttl_s: float = 60.0
    optional_cost_ratio: float = 0.30  # share of a request's work that optional content costs


@dataclass(frozen=True, slots=True)
class WorkloadPolicy:
    """One workload's share of a ResiliencePolicy."""

    workload: str  # "namespace/name"
    mode: Mode = Mode.ENFORCE
    slo_latency_s: float = 1.0
    slo_availability: float = 0.999
    scaling: ScalingPolicy = field(default_factory=ScalingPolicy)
    healing: HealingPolicy = field(default_factory=HealingPolicy)
    brownout: BrownoutPolicy = field(default_factory=BrownoutPolicy)
    guardrails: Guardrails = field(default_factory=Guardrails)
    events: tuple[DeclaredEvent, ...] = ()
    entry: str | None = None  # the gateway workload whose demand drives this one, None: it is an entry itself
    stateless: bool = True  # stores are never scaled, drained or replaced, only switched over


@dataclass(frozen=True, slots=True)
class PolicySet:
    """Everything people declared. `kill_switch` stops every act but undoing; `weights`: routes may be weighed here."""

    workloads: Mapping[str, WorkloadPolicy]
    kill_switch: bool = False
    weights: bool = True


@dataclass(frozen=True, slots=True)
class PodSeen:
    """One pod: API state plus its metrics of the last scrape interval."""

    name: str
    node: str | None
    zone: str | None
    created_at_s: float
    running: bool = True
    ready_at_s: float | None = None  # last transition to Ready; None: not Ready now
    traffic_on: bool = True  # the label foresail.dev/traffic
    detached: bool = False  # has left its ReplicaSet: a replacement is on its way or here
    deleting: bool = False
    restarts: int = 0
    rate_rps: float | None = None
    error_ratio: float | None = None
    latency_mean_s: float | None = None
    latency_p99_s: float | None = None
    cpu_cores: float | None = None
    cpu_rate_rps: float | None = None  # requests over the window that `cpu_cores` is about; None: that of `rate_rps`

    @property
    def worked_rps(self) -> float | None:
        """The requests that `cpu_cores` was spent on, per second."""
        return self.rate_rps if self.cpu_rate_rps is None else self.cpu_rate_rps

    @property
    def ready(self) -> bool:
        return self.ready_at_s is not None and not self.deleting


@dataclass(frozen=True, slots=True)
class WorkloadSeen:
    """One workload as the API and Prometheus show it."""

    name: str
    replicas: int  # spec.replicas
    pods: tuple[PodSeen, ...]
    hpa_min: int | None = None  # what stands in spec.minReplicas now (ours or theirs); None: no HPA
    hpa_max: int | None = None
    rollout_in_progress: bool = False
    paused: bool = False  # KEDA pause, HPA selectPolicy Disabled, replicas 0 by hand
    cpu_limit_cores: float | None = None
    cpu_request_cores: float | None = None
    spec_generation: int = 0  # changes when requests, limits or image change: learned capacity is reset
    room_pods: int | None = None  # how many more pods fit into quota and allocatable room
    disruptions_allowed: int | None = None  # its PodDisruptionBudget
    offered_rps: float | None = None
    error_ratio: float | None = None
    latency_p99_s: float | None = None
    saturated: bool = False  # rejected or queued so much that offered demand is censored

    @property
    def endpoints(self) -> tuple[PodSeen, ...]:
        """Pods that get traffic."""
        return tuple(p for p in self.pods if p.ready and p.traffic_on)


@dataclass(frozen=True, slots=True)
class NodeSeen:
    name: str
    zone: str
    ready: bool | None  # the node's own condition; None: unknown
    cordoned: bool = False
    cordoned_by_us: bool = False


@dataclass(frozen=True, slots=True)
class MemberSeen:
    """One member of a database cluster."""

    name: str
    node: str | None
    zone: str | None
    healthy: bool | None
    synchronous: bool = False  # listed in Patroni's /sync
    lag_s: float | None = None


@dataclass(frozen=True, slots=True)
class DatabaseSeen:
    """A Patroni cluster."""

    name: str
    workload: str
    primary: MemberSeen | None
    standbys: tuple[MemberSeen, ...] = ()
    long_transaction: bool | None = False  # None: nobody tells
    switching: bool = False


@dataclass(frozen=True, slots=True)
class DemandHistory:
    """Offered demand, `(workloads, points)` in requests per second, NaN where unknown, oldest first."""

    workloads: tuple[str, ...]
    values_rps: Floats
    saturated: Floats  # same shape, 1.0 where demand was censored
    step_s: float
    last_at_s: float
    same_time_yesterday: Floats | None = None  # (workloads, horizon steps)
    same_time_last_week: Floats | None = None
    wall_clock: bool = True  # times are Unix times, so that hours and weekdays mean something


@dataclass(frozen=True, slots=True)
class SignalTarget:
    """What a failure signal belongs to: a pod of a workload, or a member of a database."""

    kind: SignalKind
    workload: str
    member: str  # pod or database member

    @property
    def key(self) -> str:
        return f"{self.kind.value}/{self.workload}/{self.member}"


@dataclass(frozen=True, slots=True)
class SignalHistory:
    """Failure signals, `(targets, points)` in the kind's unit, NaN where unknown; `limits` is `(targets,)`."""

    targets: tuple[SignalTarget, ...]
    values: Floats
    limits: Floats
    step_s: float
    last_at_s: float
    wall_clock: bool = True


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at everything. `metrics_age_s` is None when Prometheus did not answer; `api_ok` False: stale objects."""

    now_s: float
    workloads: tuple[WorkloadSeen, ...]
    nodes: tuple[NodeSeen, ...] = ()
    databases: tuple[DatabaseSeen, ...] = ()
    demand: DemandHistory | None = None
    signals: SignalHistory | None = None
    metrics_age_s: float | None = None
    api_ok: bool = True


@dataclass(frozen=True, slots=True)
class ProbeSeen:
    """The last second's probe of one pod. Each vantage point is a zone; None: that vantage point did not answer."""

    workload: str
    pod: str
    node: str | None
    zone: str | None
    ok_by_vantage: Mapping[str, bool | None]


@dataclass(frozen=True, slots=True)
class FastSeen:
    """What the fast reactive lane sees each second: probes, watches and the gateway's own counters, no forecast."""

    now_s: float
    probes: tuple[ProbeSeen, ...]
    nodes: tuple[NodeSeen, ...]
    workloads: Mapping[str, WorkloadSeen]  # API state (watch), metrics may be old
    databases: tuple[DatabaseSeen, ...] = ()
    gateway_failed_ratio: float | None = None  # of client requests in the last second
    gateway_rate_rps: float | None = None
    # Offered in each of the last seconds, oldest first, by gateway workload.
    gateway_recent_rps: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    silent_nodes: frozenset[str] = frozenset()  # whose own vantage point does not report
