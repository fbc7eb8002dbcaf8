"""What the core answers: actions, and for every decision its reasons as enum + numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from policies.model import Mode, Rung


@dataclass(frozen=True, slots=True)
class SetFloor:
    """Raise or lower the HPA's minReplicas; at `expires_at_s` the value before Foresail comes back by itself."""

    workload: str
    floor: int
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class SetScale:
    """Write the /scale subresource of a workload that has no HPA."""

    workload: str
    replicas: int
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class SetTraffic:
    """Flip the traffic label of one pod. Off expires: the pod comes back by itself."""

    workload: str
    pod: str
    on: bool
    expires_at_s: float | None = None  # only with on=False


@dataclass(frozen=True, slots=True)
class DetachPod:
    """First step of a replacement: the pod leaves its ReplicaSet (which makes a new one) and keeps serving."""

    workload: str
    pod: str
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class ReattachPod:
    """Undo of a replacement: the pod's template hash is restored."""

    workload: str
    pod: str


@dataclass(frozen=True, slots=True)
class EvictPod:
    """Last step of a replacement, by the Eviction API; the pod was drained before."""

    workload: str
    pod: str


@dataclass(frozen=True, slots=True)
class ShiftZone:
    """Take a zone out of rotation: labels of its pods off, nodes cordoned, nothing evicted."""

    zone: str
    workloads: tuple[str, ...]
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class RestoreZone:
    zone: str
    workloads: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SwitchOver:
    """Patroni /switchover with explicit leader and candidate."""

    database: str
    workload: str
    leader: str
    candidate: str


@dataclass(frozen=True, slots=True)
class SetBrownout:
    """Ceiling on the share of optional content, 0..1; 1.0 lifts it. Expires by itself."""

    workload: str
    ceiling: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class SetWeights:
    """Relative traffic weights of a workload's endpoints (unnamed pods: 1.0); never all zero. Expires to equal."""

    workload: str
    weights: Mapping[str, float]
    expires_at_s: float


Action = (
    SetFloor
    | SetScale
    | SetTraffic
    | DetachPod
    | ReattachPod
    | EvictPod
    | ShiftZone
    | RestoreZone
    | SwitchOver
    | SetBrownout
    | SetWeights
)


class ReasonCode(StrEnum):
    """Why something was done, or not. `policies.explain` renders each as a sentence."""

    # scaling
    DEMAND_FITS = "demand_fits"
    DEMAND_EXPECTED = "demand_expected"  # forecast needs more pods than stand ready at lead time
    DEMAND_DECLARED = "demand_declared"  # a declared event drives it
    DEMAND_SURGE = "demand_surge"  # the gateway counts far more than metrics show yet
    DEMAND_FALLING = "demand_falling"
    DEMAND_ABOVE_MAX = "demand_above_max"  # maxReplicas cannot carry the forecast
    FLOOR_HELD = "floor_held"
    FLOOR_EXPIRED = "floor_expired"
    # healing
    FAILURE_EXPECTED = "failure_expected"  # a signal will cross its limit before lead time + margin
    FAILURE_PRESENT = "failure_present"
    FAILURE_UNLIKELY = "failure_unlikely"
    OUTLIER = "outlier"  # one pod is worse than its peers
    REPLACEMENT_READY = "replacement_ready"
    REPLACEMENT_WAITING = "replacement_waiting"
    REPLACEMENT_UNDONE = "replacement_undone"
    RECOVERED = "recovered"
    PROBES_FAILED = "probes_failed"
    NODE_DOWN = "node_down"
    ZONE_DOWN = "zone_down"
    PRIMARY_AT_RISK = "primary_at_risk"
    CAPACITY_LATE = "capacity_late"  # pods cannot arrive in time: brownout bridges
    BROWNOUT_FUTILE = "brownout_futile"  # it mends nothing
    EXPIRED = "expired"
    # holds
    NO_METRICS = "no_metrics"
    CAPACITY_UNKNOWN = "capacity_unknown"  # nobody asked anything of its pods so far, and no prior is declared
    NO_FORECAST = "no_forecast"
    STALE_OBJECTS = "stale_objects"
    NOTHING_TO_DO = "nothing_to_do"
    # vetoes
    PAUSED = "paused"
    KILL_SWITCH = "kill_switch"
    CLUSTER_UNHEALTHY = "cluster_unhealthy"
    TOKEN_TAKEN = "token_taken"  # another disruptive act runs on this workload
    DRAIN_CAP = "drain_cap"
    LAST_ENDPOINT = "last_endpoint"
    COOLDOWN = "cooldown"
    STORM = "storm"
    ROLLOUT = "rollout"
    FOREIGN_CORDON = "foreign_cordon"
    RUNG_NOT_ALLOWED = "rung_not_allowed"
    CONFIDENCE_TOO_LOW = "confidence_too_low"
    NO_ROOM = "no_room"
    COST_CAP = "cost_cap"
    NO_CANDIDATE = "no_candidate"
    REMAINING_ZONES_TOO_SMALL = "remaining_zones_too_small"
    CONTESTED = "contested"
    MODE = "mode"  # policy only observes or recommends
    CALIBRATION_POOR = "calibration_poor"
    # what binds a workload without stopping anything right now
    AUTONOMY_LOWERED = "autonomy_lowered"  # a forecast has not earned trust: what rests on it is not done


@dataclass(frozen=True, slots=True)
class Reason:
    """One fact behind a decision; `facts` are the numbers and names a sentence about it needs."""

    code: ReasonCode
    facts: Mapping[str, float | str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a part of the core would like to do, before modes and brakes."""

    workload: str
    rung: Rung
    action: Action
    confidence: float  # 0..1
    reasons: tuple[Reason, ...]
    disruptive: bool  # drain, replace, shift, switchover, brownout; an undo never is
    fast: bool = False  # from the fast reactive lane


@dataclass(frozen=True, slots=True)
class Veto:
    proposal: Proposal
    reason: Reason


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided for one workload at one tick; `actions` empty with reasons is a decision too.

    `withheld` are actions that the mode does not let through (Observe and Recommend).
    """

    id: str
    at_s: float
    workload: str
    mode: Mode
    actions: tuple[Action, ...]
    reasons: tuple[Reason, ...]
    withheld: tuple[Action, ...] = ()
    vetoes: tuple[Veto, ...] = ()
    confidence: float | None = None
    model: str | None = None
    fast: bool = False
