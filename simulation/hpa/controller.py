"""One reconcile of one HPA as a pure function: what it saw and remembered in, decision and memory out.

Facts from kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go (`reconcileAutoscaler`).
"""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from simulation.hpa.behavior import (
    Limited,
    Stabilized,
    down_policies,
    limit_with_behavior,
    limit_without_behavior,
    rules_of,
    stabilize_with_behavior,
    stabilize_without_behavior,
    store_event,
    up_policies,
)
from simulation.hpa.calculator import propose
from simulation.hpa.values import (
    Condition,
    ConditionType,
    ControllerSettings,
    ExternalMetric,
    HpaDecision,
    HpaSpec,
    HpaState,
    MetricError,
    MetricSpec,
    MetricStatus,
    ObjectMetric,
    PodsMetric,
    Reason,
    Recommendation,
    ResourceMetric,
    Seen,
    Selector,
    Tolerance,
)

PRODUCTION = ControllerSettings()

_GOT_SCALE = Condition(ConditionType.ABLE_TO_SCALE, True, Reason.SUCCEEDED_GET_SCALE)
_RESCALED = Condition(ConditionType.ABLE_TO_SCALE, True, Reason.SUCCEEDED_RESCALE)
_WRITE_FAILED = Condition(ConditionType.ABLE_TO_SCALE, False, Reason.FAILED_UPDATE_SCALE)
_DISABLED = Condition(ConditionType.SCALING_ACTIVE, False, Reason.SCALING_DISABLED)
_METRIC_FOUND = Condition(ConditionType.SCALING_ACTIVE, True, Reason.VALID_METRIC_FOUND)


class _Proposed(NamedTuple):
    """The outcome of reading all metrics. `replicas` None: nothing may be done."""

    replicas: int | None
    active: Condition
    statuses: tuple[MetricStatus, ...] = ()
    driver: int | None = None
    error: MetricError | None = None


def sync(
    spec: HpaSpec, state: HpaState, seen: Seen, now_s: float, settings: ControllerSettings = PRODUCTION
) -> tuple[HpaDecision, HpaState]:
    """What the HPA does to its target now, and what it remembers of it."""
    current = seen.spec_replicas
    if not seen.scale_readable:
        unable = Condition(ConditionType.ABLE_TO_SCALE, False, Reason.FAILED_GET_SCALE)
        return HpaDecision(current, False, Reason.FAILED_GET_SCALE, (unable,)), state
    if state.recommendations is None:
        # Seeding with what is there keeps a restarted controller from scaling down for one window.
        state = HpaState((Recommendation(current, now_s),), state.up_events, state.down_events)
    if current == 0 and spec.min_replicas != 0:
        return HpaDecision(0, False, Reason.SCALING_DISABLED, (_GOT_SCALE, _DISABLED)), state
    if not spec.min_replicas <= current <= spec.max_replicas:
        # Back into the bounds at once: no metric is read and no rate limit holds.
        nearest = min(max(current, spec.min_replicas), spec.max_replicas)
        return _act(spec, state, seen, nearest, _Proposed(nearest, _METRIC_FOUND), (), now_s)

    proposed = _proposal(spec, seen, now_s, settings)
    if proposed.replicas is None:
        able = (_GOT_SCALE, proposed.active)
        reason = proposed.active.reason
        return HpaDecision(current, False, reason, able, proposed.statuses, None, proposed.error), state
    stabilized, limited = _normalized(spec, state, current, proposed.replicas, now_s, settings)
    state = HpaState(stabilized.recommendations, state.up_events, state.down_events)
    conditions = (
        Condition(ConditionType.ABLE_TO_SCALE, True, stabilized.reason),
        proposed.active,
        Condition(ConditionType.SCALING_LIMITED, limited.replicas != stabilized.replicas, limited.reason),
    )
    return _act(spec, state, seen, limited.replicas, proposed, conditions, now_s)


def headline(conditions: tuple[Condition, ...]) -> Reason:
    """The one reason that says most: why nothing works, else what limited, else what delayed, else how it ended.

    `conditions` come in the order AbleToScale, ScalingActive, ScalingLimited; the later ones may be absent.
    """
    broken = next((condition.reason for condition in conditions[:2] if not condition.holds), None)
    if broken is not None:
        return broken
    able, limited = conditions[0], conditions[-1]
    if limited.holds or able.reason is Reason.READY_FOR_NEW_SCALE:
        return limited.reason
    return able.reason


def tolerance_of(spec: HpaSpec, settings: ControllerSettings = PRODUCTION) -> Tolerance:
    """Tolerance per direction; `behavior` may override the controller's (KEP-4951)."""
    if spec.behavior is None and spec.tolerance is not None:
        return spec.tolerance
    down, up = spec.tolerance or (settings.tolerance, settings.tolerance)
    if spec.behavior is not None:
        down = down if spec.behavior.scale_down.tolerance is None else spec.behavior.scale_down.tolerance
        up = up if spec.behavior.scale_up.tolerance is None else spec.behavior.scale_up.tolerance
    return Tolerance(down, up)


def failure_reason(metric: MetricSpec) -> Reason:
    """The reason of ScalingActive=False when this metric fails first."""
    if isinstance(metric, ResourceMetric):
        if metric.container is None:
            return Reason.FAILED_GET_RESOURCE_METRIC
        return Reason.FAILED_GET_CONTAINER_RESOURCE_METRIC
    if isinstance(metric, PodsMetric):
        return Reason.FAILED_GET_PODS_METRIC
    if isinstance(metric, ObjectMetric):
        return Reason.FAILED_GET_OBJECT_METRIC
    if isinstance(metric, ExternalMetric):
        return Reason.FAILED_GET_EXTERNAL_METRIC
    return Reason.INVALID_METRIC_SOURCE_TYPE


def _proposal(spec: HpaSpec, seen: Seen, now_s: float, settings: ControllerSettings) -> _Proposed:
    """The largest valid proposal, unless every metric failed or one failed and the rest would scale down."""
    if seen.selector is Selector.INVALID:
        return _Proposed(None, Condition(ConditionType.SCALING_ACTIVE, False, Reason.INVALID_SELECTOR))
    if seen.selector is Selector.AMBIGUOUS:
        return _Proposed(None, Condition(ConditionType.SCALING_ACTIVE, False, Reason.AMBIGUOUS_SELECTOR))
    tolerance = tolerance_of(spec, settings)
    statuses: list[MetricStatus] = []
    largest: int | None = None
    driver: int | None = None
    failed: MetricSpec | None = None
    error: MetricError | None = None
    for index, (metric, reading) in enumerate(zip(spec.metrics, seen.readings, strict=True)):
        status = propose(metric, reading, seen, tolerance, settings, now_s)
        statuses.append(status)
        if status.proposal is None:
            if failed is None:
                failed, error = metric, status.error
        elif largest is None or status.proposal > largest:
            largest, driver = status.proposal, index
    if failed is not None and (largest is None or largest < seen.spec_replicas):
        active = Condition(ConditionType.SCALING_ACTIVE, False, failure_reason(failed))
        return _Proposed(None, active, tuple(statuses), None, error)
    return _Proposed(largest, _METRIC_FOUND, tuple(statuses), driver, error)


def _normalized(
    spec: HpaSpec, state: HpaState, current: int, desired: int, now_s: float, settings: ControllerSettings
) -> tuple[Stabilized, Limited]:
    recommendations = state.recommendations or ()
    if spec.behavior is None:
        stabilized = stabilize_without_behavior(recommendations, desired, settings.downscale_stabilization_s, now_s)
        return stabilized, limit_without_behavior(current, stabilized.replicas, spec.min_replicas, spec.max_replicas)
    up, down = rules_of(spec.behavior, settings)
    stabilized = stabilize_with_behavior(
        recommendations, current, desired, up_window_s=up.window_s, down_window_s=down.window_s, now_s=now_s
    )
    return stabilized, limit_with_behavior(
        current,
        stabilized.replicas,
        spec.min_replicas,
        spec.max_replicas,
        up=up,
        down=down,
        up_events=state.up_events,
        down_events=state.down_events,
        now_s=now_s,
    )


def _act(
    spec: HpaSpec,
    state: HpaState,
    seen: Seen,
    desired: int,
    proposed: _Proposed,
    conditions: tuple[Condition, ...],
    now_s: float,
) -> tuple[HpaDecision, HpaState]:
    """Write the count where it changed; only a write that succeeded enters the history of events."""
    current = seen.spec_replicas
    wanted = desired != current
    rescaled = wanted and seen.scale_writable
    # The headline keeps what stabilisation and limits said, though the rescale then overwrites their condition.
    reason = headline(conditions) if conditions else Reason.SUCCEEDED_RESCALE
    if rescaled:
        conditions = (_RESCALED, *conditions[1:])
        state = _with_event(spec, state, desired - current, now_s)
    elif wanted:
        reason = Reason.FAILED_UPDATE_SCALE
        conditions = (_WRITE_FAILED, *conditions[1:])
    replicas = desired if rescaled else current
    statuses, driver, error = proposed.statuses, proposed.driver, proposed.error
    return HpaDecision(replicas, rescaled, reason, conditions, statuses, driver, error), state


def _with_event(spec: HpaSpec, state: HpaState, change: int, now_s: float) -> HpaState:
    if spec.behavior is None:
        return state  # only the policies of a behavior ever read events
    if change > 0:
        policies = up_policies(spec.behavior.scale_up)
        return replace(state, up_events=store_event(state.up_events, policies, change, now_s))
    policies = down_policies(spec.behavior.scale_down)
    return replace(state, down_events=store_event(state.down_events, policies, -change, now_s))
