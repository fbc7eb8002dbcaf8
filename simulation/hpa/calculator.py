"""Which replica count one metric asks for.

Facts from kubernetes/kubernetes, pkg/controller/podautoscaler/replica_calculator.go and metrics/utilization.go.
Divisions go through floats exactly where upstream's do, and truncate exactly where upstream's do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil, inf, isfinite
from typing import NamedTuple

from simulation.hpa.values import (
    MAX_INT32,
    MAX_INT64,
    AverageValue,
    ControllerSettings,
    ExternalMetric,
    MetricError,
    MetricSpec,
    MetricStatus,
    ObjectMetric,
    PodPhase,
    PodReadings,
    PodSample,
    PodsMetric,
    PodStatus,
    Readiness,
    Reading,
    Requests,
    ResourceMetric,
    Seen,
    SeriesReadings,
    Tolerance,
    UnknownMetric,
    Utilization,
)


class PodGroups(NamedTuple):
    """Names of the pods that are not simply counted, in the order of the pods."""

    ready_count: int
    unready: list[str]
    missing: list[str]
    ignored: list[str]


class MetricFailed(Exception):
    """A metric has no proposal."""

    def __init__(self, error: MetricError) -> None:
        super().__init__(error)
        self.error = error


def propose(
    metric: MetricSpec, reading: Reading, seen: Seen, tolerance: Tolerance, settings: ControllerSettings, now_s: float
) -> MetricStatus:
    """What the metric measured and the replicas it asks for, or the error that keeps it from asking."""
    try:
        if isinstance(metric, UnknownMetric):
            raise MetricFailed(MetricError.INVALID_SOURCE)
        if reading is None:
            raise MetricFailed(MetricError.API_FAILED)
        if isinstance(metric, ResourceMetric):
            counted = _counted(reading, seen, metric.resource == "cpu", settings, now_s)
            if isinstance(metric.target, Utilization):
                return _by_utilization(metric, metric.target.pct, counted, seen, tolerance)
            return _by_average(metric.target.milli, counted, seen, tolerance)
        if isinstance(metric, PodsMetric):
            counted = _counted(reading, seen, False, settings, now_s)
            return _by_average(metric.target.milli, counted, seen, tolerance)
        return _propose_from_series(metric, reading, seen, tolerance)
    except MetricFailed as failure:
        return MetricStatus(error=failure.error)


def group_pods(
    pods: Sequence[PodStatus],
    samples: Mapping[str, PodSample],
    *,
    is_cpu: bool,
    settings: ControllerSettings,
    now_s: float,
) -> PodGroups:
    """Pods sorted by how far their sample can be trusted.

    Only for CPU does readiness matter: a starting pod burns CPU that is not load. A pod younger than the CPU
    initialisation period counts once it is ready and one whole window was measured since it became so; an older one
    counts unless it has never been ready.
    """
    ready_count = 0
    unready: list[str] = []
    missing: list[str] = []
    ignored: list[str] = []
    failed, pending = PodPhase.FAILED, PodPhase.PENDING  # this loop is most of a sync's cost
    for pod in pods:
        name, phase = pod.name, pod.phase
        if pod.deleting or phase is failed:
            ignored.append(name)
        elif phase is pending:
            unready.append(name)
        elif (sample := samples.get(name)) is None:
            missing.append(name)
        elif is_cpu and _is_not_trusted(pod, sample, settings, now_s):
            unready.append(name)
        else:
            ready_count += 1
    return PodGroups(ready_count, unready, missing, ignored)


def _is_not_trusted(pod: PodStatus, sample: PodSample, settings: ControllerSettings, now_s: float) -> bool:
    ready, started_at_s = pod.ready, pod.started_at_s
    if ready is None or started_at_s is None:
        return True
    changed_at_s = -inf if pod.ready_changed_at_s is None else pod.ready_changed_at_s
    if started_at_s + settings.cpu_initialization_period_s > now_s:
        return ready is Readiness.FALSE or sample.at_s < changed_at_s + sample.window_s
    return ready is Readiness.FALSE and started_at_s + settings.initial_readiness_delay_s > changed_at_s


class _Counted(NamedTuple):
    """Usage of the pods that count, and how the others were sorted."""

    usage_m: dict[str, int]
    groups: PodGroups


def _counted(reading: Reading, seen: Seen, is_cpu: bool, settings: ControllerSettings, now_s: float) -> _Counted:
    if not isinstance(reading, PodReadings) or not reading.by_pod:
        raise MetricFailed(MetricError.NO_METRICS)
    if not seen.pods:
        raise MetricFailed(MetricError.NO_PODS)
    groups = group_pods(seen.pods, reading.by_pod, is_cpu=is_cpu, settings=settings, now_s=now_s)
    usage_m = {name: sample.usage_m for name, sample in reading.by_pod.items()}
    for name in groups.ignored:
        usage_m.pop(name, None)
    for name in groups.unready:
        usage_m.pop(name, None)
    if not usage_m:
        raise MetricFailed(MetricError.NO_READY_METRICS)
    return _Counted(usage_m, groups)


def _by_utilization(
    metric: ResourceMetric, target_pct: int, counted: _Counted, seen: Seen, tolerance: Tolerance
) -> MetricStatus:
    usage_m, groups = counted
    requests_m = _requests_m(seen.pods, metric)
    utilization_pct, average_m = _utilization(usage_m, requests_m)
    ratio = float(utilization_pct) / float(target_pct)
    if _nothing_to_refill(groups, ratio):
        replicas = seen.spec_replicas if tolerance.holds(ratio) else _whole(ratio * groups.ready_count)
        return MetricStatus(replicas, utilization_pct, average_m)
    # A missing pod is thought to burn its whole request, or the target where that is higher.
    missing_pct = max(100, target_pct)
    missing_m = {name: requests_m[name] * missing_pct // 100 for name in groups.missing}
    _refill(usage_m, groups, ratio, missing_m)
    refilled_pct, _ = _utilization(usage_m, requests_m)
    replicas = _after_refill(ratio, float(refilled_pct) / float(target_pct), len(usage_m), seen, tolerance)
    return MetricStatus(replicas, utilization_pct, average_m)


def _by_average(target_m: int, counted: _Counted, seen: Seen, tolerance: Tolerance) -> MetricStatus:
    usage_m, groups = counted
    average_m = _truncated(sum(usage_m.values()), len(usage_m))
    ratio = float(average_m) / float(target_m)
    if _nothing_to_refill(groups, ratio):
        replicas = seen.spec_replicas if tolerance.holds(ratio) else _whole(ratio * groups.ready_count)
        return MetricStatus(replicas, average_m=average_m)
    _refill(usage_m, groups, ratio, dict.fromkeys(groups.missing, target_m))
    refilled_m = _truncated(sum(usage_m.values()), len(usage_m))
    replicas = _after_refill(ratio, float(refilled_m) / float(target_m), len(usage_m), seen, tolerance)
    return MetricStatus(replicas, average_m=average_m)


def _propose_from_series(
    metric: ObjectMetric | ExternalMetric, reading: Reading, seen: Seen, tolerance: Tolerance
) -> MetricStatus:
    if not isinstance(reading, SeriesReadings) or not reading.values_m:
        raise MetricFailed(MetricError.NO_METRICS)
    total_m = _capped_sum(reading.values_m) if isinstance(metric, ExternalMetric) else reading.values_m[0]
    if isinstance(metric.target, AverageValue):
        return _by_average_of_total(metric.target.milli, total_m, seen.status_replicas, tolerance)
    ratio = float(total_m) / float(metric.target.milli)
    if seen.spec_replicas == 0:  # waking from zero: no pod to ask and no band to stay in
        return MetricStatus(_whole(ratio), value_m=total_m)
    if tolerance.holds(ratio):
        return MetricStatus(seen.spec_replicas, value_m=total_m)
    if not seen.pods:
        raise MetricFailed(MetricError.NO_PODS)
    ready = sum(1 for pod in seen.pods if pod.phase is PodPhase.RUNNING and pod.ready is Readiness.TRUE)
    return MetricStatus(_whole(ratio * ready), value_m=total_m)


def _by_average_of_total(target_m: int, total_m: int, status_replicas: int, tolerance: Tolerance) -> MetricStatus:
    if status_replicas == 0:  # the ratio per pod is not defined; upstream's float comparison then always scales
        return MetricStatus(_whole(float(total_m) / float(target_m)))
    ratio = float(total_m) / (float(target_m) * float(status_replicas))
    replicas = status_replicas if tolerance.holds(ratio) else _whole(float(total_m) / float(target_m))
    average_m = MAX_INT64 if total_m >= MAX_INT64 else min(MAX_INT64, ceil(float(total_m) / float(status_replicas)))
    return MetricStatus(replicas, average_m=average_m)


def _nothing_to_refill(groups: PodGroups, ratio: float) -> bool:
    return not groups.missing and not (groups.unready and ratio > 1.0)


def _refill(usage_m: dict[str, int], groups: PodGroups, ratio: float, missing_m: dict[str, int]) -> None:
    """Give pods without a usable sample the value that makes scaling in the ratio's direction least likely."""
    if ratio < 1.0:
        usage_m.update(missing_m)
    elif ratio > 1.0:
        usage_m.update(dict.fromkeys(groups.missing, 0))
        usage_m.update(dict.fromkeys(groups.unready, 0))


def _after_refill(ratio: float, refilled: float, counted: int, seen: Seen, tolerance: Tolerance) -> int:
    """Replicas by the refilled ratio; the current ones where it turned, or would turn, the direction."""
    current = seen.spec_replicas
    if tolerance.holds(refilled) or (ratio < 1.0 < refilled) or (refilled < 1.0 < ratio):
        return current
    replicas = _whole(refilled * counted)
    if (refilled < 1.0 and replicas > current) or (refilled > 1.0 and replicas < current):
        return current
    return replicas


def _utilization(usage_m: Mapping[str, int], requests_m: Mapping[str, int]) -> tuple[int, int]:
    """(percent of requests, usage per pod) over the pods that have both."""
    used = requested = counted = 0
    for name, usage in usage_m.items():
        request = requests_m.get(name)
        if request is not None:
            used += usage
            requested += request
            counted += 1
    if requested == 0:
        raise MetricFailed(MetricError.NO_MATCHING_METRICS)
    return _truncated(used * 100, requested), _truncated(used, counted)


def _requests_m(pods: Sequence[PodStatus], metric: ResourceMetric) -> dict[str, int]:
    """Request of every pod. One pod without it fails the metric, even a pod that does not count otherwise."""
    requests_m: dict[str, int] = {}
    last: Requests | None = None
    request_m = 0
    for pod in pods:
        requests = pod.requests
        if requests is not last:
            request_m = _request_m(requests, metric)
            last = requests
        requests_m[pod.name] = request_m
    return requests_m


def _request_m(requests: Requests, metric: ResourceMetric) -> int:
    containers = requests.containers
    if metric.container is not None:
        if metric.container not in containers:
            raise MetricFailed(MetricError.MISSING_CONTAINER)
        containers = {metric.container: containers[metric.container]}
    total_m = 0
    for amounts in containers.values():
        amount_m = amounts.get(metric.resource)
        if amount_m is None:
            raise MetricFailed(MetricError.MISSING_REQUEST)
        total_m += amount_m
    return total_m


def _capped_sum(values_m: Sequence[int]) -> int:
    """Sum of the series, stopped at the largest 64-bit integer."""
    total_m = 0
    for value_m in values_m:
        total_m += value_m
        if total_m > MAX_INT64:
            return MAX_INT64
    return total_m


def _truncated(numerator: int, denominator: int) -> int:
    """Integer quotient towards zero; Python's own goes down, and custom metrics may be negative."""
    quotient = abs(numerator) // denominator
    return quotient if numerator >= 0 else -quotient


def _whole(replicas: float) -> int:
    """Replicas rounded up, at most the largest 32-bit integer."""
    if not isfinite(replicas):
        return MAX_INT32 if replicas == inf else 0
    return min(ceil(replicas), MAX_INT32)
