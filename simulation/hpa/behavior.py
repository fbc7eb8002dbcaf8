"""How fast the replica count may follow what the metrics ask for: stabilisation, rate limits, their bookkeeping.

Facts from kubernetes/kubernetes, pkg/controller/podautoscaler/horizontal.go. There are two code paths with different
limits: without `behavior` the count may at most double, or reach 4; with it, policies over a history of events rule.
They also treat an entry exactly as old as its window differently (kept without behavior, forgotten with it).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import ceil
from typing import NamedTuple

from simulation.hpa.values import (
    DEFAULT_DOWN_POLICIES,
    DEFAULT_UP_POLICIES,
    MAX_INT32,
    Behavior,
    ControllerSettings,
    PolicyType,
    Reason,
    Recommendation,
    ScaleEvent,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
)


class Limited(NamedTuple):
    replicas: int
    reason: Reason


class Stabilized(NamedTuple):
    replicas: int
    reason: Reason
    recommendations: tuple[Recommendation, ...]


class Rules(NamedTuple):
    """One direction with every default filled in."""

    policies: tuple[ScalingPolicy, ...]
    select: SelectPolicy
    window_s: float


def up_policies(rules: ScalingRules) -> tuple[ScalingPolicy, ...]:
    return DEFAULT_UP_POLICIES if rules.policies is None else rules.policies


def down_policies(rules: ScalingRules) -> tuple[ScalingPolicy, ...]:
    return DEFAULT_DOWN_POLICIES if rules.policies is None else rules.policies


def rules_of(behavior: Behavior, settings: ControllerSettings) -> tuple[Rules, Rules]:
    """(up, down) with every default filled in."""
    up, down = behavior.scale_up, behavior.scale_down
    down_window_s = settings.downscale_stabilization_s if down.window_s is None else down.window_s
    return (
        Rules(up_policies(up), up.select, 0.0 if up.window_s is None else up.window_s),
        Rules(down_policies(down), down.select, down_window_s),
    )


def stabilize_without_behavior(
    recommendations: Sequence[Recommendation], desired: int, window_s: float, now_s: float
) -> Stabilized:
    """The highest recommendation of the window, and the memory with the new one in it."""
    highest = desired
    reusable: int | None = None
    oldest_s = now_s - window_s
    for index, (replicas, at_s) in enumerate(recommendations):
        if at_s < oldest_s:
            reusable = index
        elif replicas > highest:
            highest = replicas
    reason = Reason.READY_FOR_NEW_SCALE if highest == desired else Reason.SCALE_DOWN_STABILIZED
    return Stabilized(highest, reason, _remember(recommendations, Recommendation(desired, now_s), reusable))


def stabilize_with_behavior(
    recommendations: Sequence[Recommendation],
    current: int,
    desired: int,
    *,
    up_window_s: float,
    down_window_s: float,
    now_s: float,
) -> Stabilized:
    """The current count, moved no further than every recommendation of the windows agrees on."""
    lowest_up = highest_down = desired
    reusable: int | None = None
    up_since_s, down_since_s = now_s - up_window_s, now_s - down_window_s
    for index, (replicas, at_s) in enumerate(recommendations):
        if at_s > up_since_s and replicas < lowest_up:
            lowest_up = replicas
        if at_s > down_since_s and replicas > highest_down:
            highest_down = replicas
        if at_s < up_since_s and at_s < down_since_s:
            reusable = index
    stabilized = min(max(current, lowest_up), highest_down)
    if stabilized == desired:
        reason = Reason.READY_FOR_NEW_SCALE
    else:
        reason = Reason.SCALE_UP_STABILIZED if desired >= current else Reason.SCALE_DOWN_STABILIZED
    return Stabilized(stabilized, reason, _remember(recommendations, Recommendation(desired, now_s), reusable))


def limit_without_behavior(current: int, desired: int, min_replicas: int, max_replicas: int) -> Limited:
    """Within the bounds of the specification, and at most twice the current count or 4."""
    # Guards against a wild first reading: kubernetes/kubernetes#32304.
    ceiling = max(2 * current, 4)
    if desired < min_replicas:
        return Limited(min_replicas, Reason.TOO_FEW_REPLICAS)
    if desired > min(max_replicas, ceiling):
        if max_replicas > ceiling:
            return Limited(ceiling, Reason.SCALE_UP_LIMIT)
        return Limited(max_replicas, Reason.TOO_MANY_REPLICAS)
    return Limited(desired, Reason.DESIRED_WITHIN_RANGE)


def limit_with_behavior(
    current: int,
    desired: int,
    min_replicas: int,
    max_replicas: int,
    *,
    up: Rules,
    down: Rules,
    up_events: Sequence[ScaleEvent],
    down_events: Sequence[ScaleEvent],
    now_s: float,
) -> Limited:
    """Within the bounds of the specification and of the policies over what was changed lately."""
    if desired > current:
        limit = max(current, scale_up_limit(current, up_events, down_events, up, now_s))
        if desired > min(max_replicas, limit):
            if max_replicas > limit:
                return Limited(limit, Reason.SCALE_UP_LIMIT)
            return Limited(max_replicas, Reason.TOO_MANY_REPLICAS)
    elif desired < current:
        limit = min(current, scale_down_limit(current, up_events, down_events, down, now_s))
        if desired < max(min_replicas, limit):
            if min_replicas < limit:
                return Limited(limit, Reason.SCALE_DOWN_LIMIT)
            return Limited(min_replicas, Reason.TOO_FEW_REPLICAS)
    return Limited(desired, Reason.DESIRED_WITHIN_RANGE)


def scale_up_limit(
    current: int, up_events: Sequence[ScaleEvent], down_events: Sequence[ScaleEvent], rules: Rules, now_s: float
) -> int:
    """Highest count the policies allow. It can lie below `current` when the policies were tightened."""
    if rules.select is SelectPolicy.DISABLED or not rules.policies:
        return current
    proposals = []
    for policy in rules.policies:
        base = _replicas_before(current, up_events, down_events, policy.period_s, now_s)
        if policy.type is PolicyType.PODS:
            proposals.append(base + policy.value)
        else:  # rounded up, or a small percentage would never add a pod
            proposals.append(ceil(float(base) * (1 + float(policy.value) / 100)))
    chosen = min(proposals) if rules.select is SelectPolicy.MIN else max(proposals)
    return min(chosen, MAX_INT32)


def scale_down_limit(
    current: int, up_events: Sequence[ScaleEvent], down_events: Sequence[ScaleEvent], rules: Rules, now_s: float
) -> int:
    """Lowest count the policies allow. It can lie above `current`, or below zero."""
    if rules.select is SelectPolicy.DISABLED or not rules.policies:
        return current
    proposals = []
    for policy in rules.policies:
        base = _replicas_before(current, up_events, down_events, policy.period_s, now_s)
        if policy.type is PolicyType.PODS:
            proposals.append(base - policy.value)
        else:
            proposals.append(int(float(base) * (1 - float(policy.value) / 100)))
    return max(proposals) if rules.select is SelectPolicy.MIN else min(proposals)


def change_within(events: Iterable[ScaleEvent], period_s: float, now_s: float) -> int:
    """Replicas changed by the events of the last `period_s`."""
    since_s = now_s - period_s
    return sum(event.change for event in events if event.at_s > since_s)


def store_event(
    events: Sequence[ScaleEvent], policies: Sequence[ScalingPolicy], change: int, now_s: float
) -> tuple[ScaleEvent, ...]:
    """The history with the new change in it; events older than every policy's period give their slots away."""
    since_s = now_s - max((policy.period_s for policy in policies), default=0)
    marked = [event._replace(outdated=True) if event.at_s < since_s else event for event in events]
    new = ScaleEvent(change, now_s)
    for index in range(len(marked) - 1, -1, -1):
        if marked[index].outdated:
            marked[index] = new
            return tuple(marked)
    return (*marked, new)


def _replicas_before(
    current: int, up_events: Sequence[ScaleEvent], down_events: Sequence[ScaleEvent], period_s: float, now_s: float
) -> int:
    """Replicas at the beginning of the period."""
    return current - change_within(up_events, period_s, now_s) + change_within(down_events, period_s, now_s)


def _remember(
    recommendations: Sequence[Recommendation], new: Recommendation, reusable: int | None
) -> tuple[Recommendation, ...]:
    if reusable is None:
        return (*recommendations, new)
    return (*recommendations[:reusable], new, *recommendations[reusable + 1 :])
