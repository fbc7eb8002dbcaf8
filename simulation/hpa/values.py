"""What a HorizontalPodAutoscaler is told, sees and answers, in the terms of `autoscaling/v2`.

Amounts are integers in thousandths (`_m`: 1000 = one core, one byte or 1.0 of a custom metric), because upstream
truncates them and a decision at the edge of the tolerance band depends on it. Times are seconds on any clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

MAX_INT32 = 2**31 - 1
MAX_INT64 = 2**63 - 1

# ---------------------------------------------------------------------------------------------- specification


@dataclass(frozen=True, slots=True)
class Utilization:
    """Percent of the pods' requests."""

    pct: int


@dataclass(frozen=True, slots=True)
class AverageValue:
    """Thousandths per pod."""

    milli: int


@dataclass(frozen=True, slots=True)
class Value:
    """Thousandths in total, whatever the number of pods."""

    milli: int


@dataclass(frozen=True, slots=True)
class ResourceMetric:
    """CPU or memory of the pods; with `container`, of that container alone (ContainerResource)."""

    target: Utilization | AverageValue
    resource: str = "cpu"
    container: str | None = None


@dataclass(frozen=True, slots=True)
class PodsMetric:
    """A custom metric that every pod reports, averaged."""

    name: str
    target: AverageValue


@dataclass(frozen=True, slots=True)
class ObjectMetric:
    """A custom metric of one other object."""

    name: str
    target: Value | AverageValue


@dataclass(frozen=True, slots=True)
class ExternalMetric:
    """A metric from outside the cluster; its series are summed."""

    name: str
    target: Value | AverageValue


@dataclass(frozen=True, slots=True)
class UnknownMetric:
    """A metric source that the controller does not know; it always fails."""

    source: str


MetricSpec = ResourceMetric | PodsMetric | ObjectMetric | ExternalMetric | UnknownMetric


class PolicyType(StrEnum):
    PODS = "Pods"
    PERCENT = "Percent"


class SelectPolicy(StrEnum):
    MAX = "Max"
    MIN = "Min"
    DISABLED = "Disabled"


@dataclass(frozen=True, slots=True)
class ScalingPolicy:
    """At most `value` pods, or percent of the replicas at the period's start, within `period_s`."""

    type: PolicyType
    value: int
    period_s: int


#: What the API server fills in for a direction once `behavior` is given at all.
DEFAULT_UP_POLICIES = (ScalingPolicy(PolicyType.PODS, 4, 15), ScalingPolicy(PolicyType.PERCENT, 100, 15))
DEFAULT_DOWN_POLICIES = (ScalingPolicy(PolicyType.PERCENT, 100, 15),)


@dataclass(frozen=True, slots=True)
class ScalingRules:
    """One direction of `behavior`. None: the API server's or the controller's default applies."""

    policies: tuple[ScalingPolicy, ...] | None = None
    select: SelectPolicy = SelectPolicy.MAX
    window_s: float | None = None
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Behavior:
    """`behavior: {}` is this value; no behavior at all is None, and takes other limits (see behavior.py)."""

    scale_up: ScalingRules = ScalingRules()
    scale_down: ScalingRules = ScalingRules()


@dataclass(frozen=True, slots=True)
class ControllerSettings:
    """Flags of the controller manager, with production defaults. The upstream tests use 120 s and 10 s."""

    sync_period_s: float = 15.0
    tolerance: float = 0.1
    cpu_initialization_period_s: float = (
        300.0  # start-up CPU is not load: samples of younger pods count only when fresh
    )
    initial_readiness_delay_s: float = 30.0  # unready since its start: never been ready
    downscale_stabilization_s: float = 300.0


class Tolerance(NamedTuple):
    """Ratios of usage to target from 1 - down to 1 + up are left alone."""

    down: float
    up: float

    def holds(self, ratio: float) -> bool:
        return 1.0 - self.down <= ratio <= 1.0 + self.up


#: The autoscaling API puts this where a specification names no metric.
DEFAULT_METRICS: tuple[MetricSpec, ...] = (ResourceMetric(Utilization(80)),)


@dataclass(frozen=True, slots=True)
class HpaSpec:
    min_replicas: int = 1
    max_replicas: int = 10
    metrics: tuple[MetricSpec, ...] = DEFAULT_METRICS
    behavior: Behavior | None = None
    tolerance: Tolerance | None = None  # instead of the controller's; a direction's own in `behavior` wins


# ------------------------------------------------------------------------------------------------ observation


class PodPhase(StrEnum):
    PENDING = "Pending"
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    UNKNOWN = "Unknown"


class Readiness(StrEnum):
    """Status of a pod's Ready condition."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True, eq=False)
class Requests:
    """What the containers of a pod template request: container → resource → thousandths.

    Pods of one template share one value, so that the sum is taken once per sync and not once per pod.
    """

    containers: Mapping[str, Mapping[str, int]]


# The two values below are made anew for every pod at every sync: a NamedTuple is built four times faster than a
# frozen dataclass.


class PodStatus(NamedTuple):
    """A pod as the controller's cache knows it. None: the condition or time is not set yet."""

    name: str
    phase: PodPhase
    ready: Readiness | None
    started_at_s: float | None
    ready_changed_at_s: float | None
    deleting: bool
    requests: Requests


class PodSample(NamedTuple):
    """Usage of one pod over the `window_s` that ended at `at_s`."""

    usage_m: int
    at_s: float
    window_s: float


@dataclass(frozen=True, slots=True)
class PodReadings:
    """What the metrics API answered for a Resource or Pods metric. Pods without a sample are not in it."""

    by_pod: Mapping[str, PodSample]


@dataclass(frozen=True, slots=True)
class SeriesReadings:
    """What the metrics API answered for an Object (one value) or External (any number) metric."""

    values_m: tuple[int, ...]


#: None: the API failed.
Reading = PodReadings | SeriesReadings | None


class Selector(StrEnum):
    """State of the scale target's pod selector."""

    VALID = "valid"
    INVALID = "invalid"  # missing or unparsable
    AMBIGUOUS = "ambiguous"  # another HPA selects the same pods


@dataclass(frozen=True, slots=True)
class Seen:
    """Everything one sync reads. `readings` is parallel to `HpaSpec.metrics`."""

    spec_replicas: int
    status_replicas: int
    pods: Sequence[PodStatus]
    readings: tuple[Reading, ...]
    selector: Selector = Selector.VALID
    scale_readable: bool = True
    scale_writable: bool = True


# ------------------------------------------------------------------------------------------- memory and answer


class Recommendation(NamedTuple):
    replicas: int
    at_s: float


class ScaleEvent(NamedTuple):
    change: int
    at_s: float
    outdated: bool = False  # its slot may be reused


@dataclass(frozen=True, slots=True)
class HpaState:
    """The controller's memory of one HPA. It lives in the controller's process: a restart begins with `HpaState()`.

    `recommendations` None: never seen before, the next sync seeds it with the replicas it finds.
    """

    recommendations: tuple[Recommendation, ...] | None = None
    up_events: tuple[ScaleEvent, ...] = ()
    down_events: tuple[ScaleEvent, ...] = ()


class ConditionType(StrEnum):
    ABLE_TO_SCALE = "AbleToScale"
    SCALING_ACTIVE = "ScalingActive"
    SCALING_LIMITED = "ScalingLimited"


class Reason(StrEnum):
    """Reasons of conditions, spelt as upstream."""

    SUCCEEDED_GET_SCALE = "SucceededGetScale"
    FAILED_GET_SCALE = "FailedGetScale"
    FAILED_UPDATE_SCALE = "FailedUpdateScale"
    SUCCEEDED_RESCALE = "SucceededRescale"
    READY_FOR_NEW_SCALE = "ReadyForNewScale"
    SCALE_UP_STABILIZED = "ScaleUpStabilized"
    SCALE_DOWN_STABILIZED = "ScaleDownStabilized"
    SCALING_DISABLED = "ScalingDisabled"
    VALID_METRIC_FOUND = "ValidMetricFound"
    INVALID_SELECTOR = "InvalidSelector"
    AMBIGUOUS_SELECTOR = "AmbiguousSelector"
    FAILED_GET_RESOURCE_METRIC = "FailedGetResourceMetric"
    FAILED_GET_CONTAINER_RESOURCE_METRIC = "FailedGetContainerResourceMetric"
    FAILED_GET_PODS_METRIC = "FailedGetPodsMetric"
    FAILED_GET_OBJECT_METRIC = "FailedGetObjectMetric"
    FAILED_GET_EXTERNAL_METRIC = "FailedGetExternalMetric"
    INVALID_METRIC_SOURCE_TYPE = "InvalidMetricSourceType"
    DESIRED_WITHIN_RANGE = "DesiredWithinRange"
    TOO_FEW_REPLICAS = "TooFewReplicas"
    TOO_MANY_REPLICAS = "TooManyReplicas"
    SCALE_UP_LIMIT = "ScaleUpLimit"
    SCALE_DOWN_LIMIT = "ScaleDownLimit"


class MetricError(StrEnum):
    """Why a metric gave no proposal."""

    API_FAILED = "api_failed"
    NO_METRICS = "no_metrics"  # the API answered with nothing
    NO_PODS = "no_pods"
    NO_READY_METRICS = "no_ready_metrics"  # every sample belongs to a pod that does not count: the HPA is blind
    NO_MATCHING_METRICS = "no_matching_metrics"  # samples, but of no known pod
    MISSING_REQUEST = "missing_request"
    MISSING_CONTAINER = "missing_container"
    INVALID_SOURCE = "invalid_source"


class Condition(NamedTuple):
    type: ConditionType
    holds: bool
    reason: Reason


class MetricStatus(NamedTuple):
    """What one metric measured and asked for; None where it failed (then `error` says why).

    `average_m` is per pod and set for pod and AverageValue metrics, `value_m` the total of Value metrics.
    """

    proposal: int | None = None
    utilization_pct: int | None = None
    average_m: int | None = None
    value_m: int | None = None
    error: MetricError | None = None


@dataclass(frozen=True, slots=True)
class HpaDecision:
    """The outcome of one sync.

    `desired` is what the scale target has afterwards: equal to the replicas found where nothing was written.
    `reason` is the one condition that explains it best (see `controller.headline`). `driver` is the index of the
    metric whose proposal won, None where no metric decided. `error`: some metric failed, even if scaling went on.
    """

    desired: int
    rescaled: bool
    reason: Reason
    conditions: tuple[Condition, ...]
    metrics: tuple[MetricStatus, ...] = ()
    driver: int | None = None
    error: MetricError | None = None
