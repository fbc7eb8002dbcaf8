"""Whole syncs: gates, combination of metrics, memory, conditions, and the pods an HPA cannot see."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulation.hpa.controller import sync
from simulation.hpa.values import (
    AverageValue,
    Behavior,
    Condition,
    ConditionType,
    ControllerSettings,
    ExternalMetric,
    HpaDecision,
    HpaSpec,
    HpaState,
    MetricError,
    ObjectMetric,
    PodPhase,
    PodReadings,
    PodSample,
    PodsMetric,
    PodStatus,
    PolicyType,
    Readiness,
    Reading,
    Reason,
    Recommendation,
    Requests,
    ResourceMetric,
    ScaleEvent,
    ScalingPolicy,
    ScalingRules,
    Seen,
    Selector,
    SelectPolicy,
    SeriesReadings,
    Tolerance,
    UnknownMetric,
    Utilization,
    Value,
)

ONE_CORE = Requests({"app": {"cpu": 1000}})
CPU_50 = ResourceMetric(Utilization(50))
EXTERNAL = ExternalMetric("queue", AverageValue(1000))
NOT_SEEDED = HpaState(recommendations=())


def pod(
    name: str, ready: Readiness = Readiness.TRUE, started_at_s: float = -1e6, changed_at_s: float = -1e6
) -> PodStatus:
    return PodStatus(name, PodPhase.RUNNING, ready, started_at_s, changed_at_s, False, ONE_CORE)


def at_usage(replicas: int, usage_m: int, *others: Reading, now_s: float = 0.0) -> Seen:
    """Healthy pods that all use the same, and the readings of further metrics."""
    pods = [pod(f"p{i}") for i in range(replicas)]
    cpu = PodReadings({one.name: PodSample(usage_m, now_s, 15.0) for one in pods})
    return Seen(replicas, replicas, pods, (cpu, *others))


def decide(spec: HpaSpec, seen: Seen, state: HpaState = NOT_SEEDED, now_s: float = 0.0) -> HpaDecision:
    return sync(spec, state, seen, now_s)[0]


def reasons(decision: HpaDecision) -> dict[str, str]:
    return {condition.type.value: condition.reason.value for condition in decision.conditions}


def test_scaling_up_says_what_it_did() -> None:
    decision = decide(HpaSpec(2, 10, (CPU_50,)), at_usage(3, 800))

    assert (decision.desired, decision.rescaled, decision.driver) == (5, True, 0)  # ceil(1.6 · 3)
    assert decision.conditions == (
        Condition(ConditionType.ABLE_TO_SCALE, True, Reason.SUCCEEDED_RESCALE),
        Condition(ConditionType.SCALING_ACTIVE, True, Reason.VALID_METRIC_FOUND),
        Condition(ConditionType.SCALING_LIMITED, False, Reason.DESIRED_WITHIN_RANGE),
    )
    assert decision.metrics[0].utilization_pct == 80


def test_staying_put_is_ready_for_a_new_scale() -> None:
    decision = decide(HpaSpec(2, 10, (CPU_50,)), at_usage(3, 500))

    assert not decision.rescaled
    assert reasons(decision)["AbleToScale"] == "ReadyForNewScale"


@pytest.mark.parametrize(
    ("spec", "replicas", "usage_m", "expected"),
    [
        # ceil(1.96 · 3) = 6 is within doubling
        pytest.param(HpaSpec(1, 5, (CPU_50,)), 3, 980, (5, Reason.TOO_MANY_REPLICAS), id="max"),
        pytest.param(HpaSpec(1, 99, (CPU_50,)), 3, 5000, (6, Reason.SCALE_UP_LIMIT), id="doubling"),
        pytest.param(HpaSpec(1, 99, (CPU_50,), Behavior()), 3, 5000, (7, Reason.SCALE_UP_LIMIT), id="plus-four"),
        pytest.param(HpaSpec(2, 9, (CPU_50,)), 3, 0, (2, Reason.TOO_FEW_REPLICAS), id="min"),
        pytest.param(HpaSpec(0, 9, (CPU_50,)), 3, 0, (0, Reason.DESIRED_WITHIN_RANGE), id="min-zero"),
        # behavior with a tolerance of its own: 60/50 = 1.2 is inside 25 %
        pytest.param(
            HpaSpec(1, 9, (CPU_50,), Behavior(scale_up=ScalingRules(tolerance=0.25))),
            3, 600, (3, Reason.DESIRED_WITHIN_RANGE), id="behavior-tolerance",
        ),
        pytest.param(
            HpaSpec(1, 9, (CPU_50,), tolerance=Tolerance(0.1, 0.25)), 3, 600, (3, Reason.DESIRED_WITHIN_RANGE),
            id="spec-tolerance",
        ),
    ],
)  # fmt: skip
def test_bounds_and_limits(spec: HpaSpec, replicas: int, usage_m: int, expected: tuple[int, Reason]) -> None:
    decision = decide(spec, at_usage(replicas, usage_m))

    assert (decision.desired, decision.reason) == expected


@pytest.mark.parametrize(
    ("replicas", "expected"), [pytest.param(12, 10, id="above-max"), pytest.param(1, 2, id="below-min")]
)
def test_outside_the_bounds_it_returns_at_once_without_reading_metrics(replicas: int, expected: int) -> None:
    decision = decide(HpaSpec(2, 10, (CPU_50,)), Seen(replicas, replicas, [], (None,)))

    assert (decision.desired, decision.rescaled, decision.metrics) == (expected, True, ())


def test_zero_replicas_disable_an_hpa_with_a_minimum() -> None:
    decision = decide(HpaSpec(1, 10, (CPU_50,)), Seen(0, 0, [], (None,)))

    assert (decision.desired, decision.rescaled, decision.reason) == (0, False, Reason.SCALING_DISABLED)


def test_zero_replicas_with_minimum_zero_wake_up_on_an_object_metric() -> None:
    spec = HpaSpec(0, 10, (ObjectMetric("rps", Value(10_000)),))

    assert decide(spec, Seen(0, 0, [], (SeriesReadings((25_000,)),))).desired == 3


@pytest.mark.parametrize(
    ("selector", "reason"),
    [(Selector.INVALID, Reason.INVALID_SELECTOR), (Selector.AMBIGUOUS, Reason.AMBIGUOUS_SELECTOR)],
)
def test_a_bad_selector_stops_it(selector: Selector, reason: Reason) -> None:
    well = at_usage(3, 5000)
    seen = Seen(3, 3, well.pods, well.readings, selector)

    assert (decide(HpaSpec(metrics=(CPU_50,)), seen).reason, decide(HpaSpec(metrics=(CPU_50,)), seen).desired) == (
        reason,
        3,
    )


def test_the_api_server_being_away_is_not_remembered_as_anything() -> None:
    well = at_usage(3, 800)
    unreadable = Seen(3, 3, well.pods, well.readings, scale_readable=False)
    unwritable = Seen(3, 3, well.pods, well.readings, scale_writable=False)
    spec = HpaSpec(1, 10, (CPU_50,), Behavior())

    blind, untouched = sync(spec, HpaState(), unreadable, 0.0)
    refused, state = sync(spec, NOT_SEEDED, unwritable, 0.0)

    assert (blind.reason, untouched) == (Reason.FAILED_GET_SCALE, HpaState())
    assert (refused.reason, refused.desired, refused.rescaled) == (Reason.FAILED_UPDATE_SCALE, 3, False)
    assert state.up_events == ()  # only a write that succeeded is an event
    assert state.recommendations == (Recommendation(5, 0.0),)


@pytest.mark.parametrize(
    ("metrics", "readings", "usage_m", "expected"),
    [
        # 6000/1000 = 6 pods by the queue against 5 by CPU
        pytest.param((EXTERNAL,), (SeriesReadings((6000,)),), 800, (6, None), id="the-largest-proposal-wins"),
        pytest.param((EXTERNAL,), (None,), 800, (5, MetricError.API_FAILED), id="a-failure-does-not-stop-scaling-up"),
        pytest.param((EXTERNAL,), (None,), 500, (3, MetricError.API_FAILED), id="nor-staying"),
        pytest.param((EXTERNAL,), (None,), 100, (3, MetricError.API_FAILED), id="but-stops-scaling-down"),
        pytest.param((EXTERNAL,), (SeriesReadings((1000,)),), 100, (1, None), id="all-agree-to-go-down"),
    ],
)
def test_several_metrics(
    metrics: tuple[ExternalMetric, ...],
    readings: tuple[Reading, ...],
    usage_m: int,
    expected: tuple[int, MetricError | None],
) -> None:
    decision = decide(HpaSpec(1, 10, (CPU_50, *metrics)), at_usage(3, usage_m, *readings))

    assert (decision.desired, decision.error) == expected


@pytest.mark.parametrize(
    ("metric", "reason"),
    [
        (CPU_50, Reason.FAILED_GET_RESOURCE_METRIC),
        (ResourceMetric(Utilization(50), container="app"), Reason.FAILED_GET_CONTAINER_RESOURCE_METRIC),
        (PodsMetric("rps", AverageValue(1)), Reason.FAILED_GET_PODS_METRIC),
        (ObjectMetric("rps", Value(1)), Reason.FAILED_GET_OBJECT_METRIC),
        (EXTERNAL, Reason.FAILED_GET_EXTERNAL_METRIC),
        (UnknownMetric("Cheese"), Reason.INVALID_METRIC_SOURCE_TYPE),
    ],
)
def test_the_first_failing_metric_names_the_reason(metric: ResourceMetric, reason: Reason) -> None:
    spec = HpaSpec(1, 10, (metric, UnknownMetric("later")))
    decision = decide(spec, Seen(3, 3, [pod("p0")], (None, None)))

    assert (decision.desired, decision.reason) == (3, reason)


def test_a_restarted_controller_waits_a_whole_window_before_it_scales_down() -> None:
    spec, state = HpaSpec(1, 10, (CPU_50,)), HpaState()
    desired = {}

    for now_s in (0.0, 150.0, 300.0, 300.5):
        decision, state = sync(spec, state, at_usage(5, 100, now_s=now_s), now_s)
        desired[now_s] = (decision.desired, decision.reason)

    assert desired[0.0] == desired[150.0] == desired[300.0] == (5, Reason.SCALE_DOWN_STABILIZED)
    assert desired[300.5] == (1, Reason.DESIRED_WITHIN_RANGE)


def test_behavior_counts_its_own_scale_events() -> None:
    rules = ScalingRules((ScalingPolicy(PolicyType.PODS, 2, 60),))
    spec = HpaSpec(1, 100, (CPU_50,), Behavior(scale_up=rules))

    first, state = sync(spec, NOT_SEEDED, at_usage(10, 5000), 0.0)
    second, state = sync(spec, state, at_usage(12, 5000, now_s=15.0), 15.0)
    third, state = sync(spec, state, at_usage(12, 5000, now_s=60.0), 60.0)

    assert [one.desired for one in (first, second, third)] == [12, 12, 14]
    assert second.reason is Reason.SCALE_UP_LIMIT
    assert state.up_events == (ScaleEvent(2, 0.0), ScaleEvent(2, 60.0))


def test_disabled_scale_down_never_shrinks() -> None:
    behavior = Behavior(scale_down=ScalingRules(select=SelectPolicy.DISABLED, window_s=0.0))

    decision = decide(HpaSpec(1, 10, (CPU_50,), behavior), at_usage(5, 0))

    assert (decision.desired, decision.reason) == (5, Reason.SCALE_DOWN_LIMIT)


def test_an_hpa_goes_blind_when_its_young_pods_fail_readiness_in_turns() -> None:
    """Seen on a real cluster: two pods of 150 s, overloaded, and 120 s in which the HPA did nothing.

    Neither sample counts: one pod is unready, the other became ready too recently for a whole window since then.
    """
    spec = HpaSpec(2, 10, (CPU_50,))
    state = HpaState()
    decisions = []
    for now_s in range(0, 120, 15):
        down, up = (0, 1) if now_s % 30 == 0 else (1, 0)
        pods = [
            pod(f"p{down}", Readiness.FALSE, started_at_s=-150.0, changed_at_s=now_s - 4.0),
            pod(f"p{up}", Readiness.TRUE, started_at_s=-150.0, changed_at_s=now_s - 9.0),
        ]
        cpu = PodReadings({one.name: PodSample(1000, now_s - 3.0, 15.0) for one in pods})
        decision, state = sync(spec, state, Seen(2, 2, pods, (cpu,)), float(now_s))
        decisions.append((decision.desired, decision.reason, decision.error))

    assert set(decisions) == {(2, Reason.FAILED_GET_RESOURCE_METRIC, MetricError.NO_READY_METRICS)}


def test_the_same_pods_past_the_initialisation_period_are_seen() -> None:
    pods = [pod("p0", Readiness.FALSE, -301.0, -4.0), pod("p1", Readiness.TRUE, -301.0, -9.0)]
    cpu = PodReadings({one.name: PodSample(1000, -3.0, 15.0) for one in pods})

    assert decide(HpaSpec(2, 10, (CPU_50,)), Seen(2, 2, pods, (cpu,))).desired == 4  # 100 % of 50 %, both count


USAGES = st.lists(st.integers(0, 4000), min_size=1, max_size=12)


@given(USAGES, st.integers(0, 3), st.integers(0, 10), st.sampled_from([None, Behavior()]))
@settings(max_examples=150, deadline=None)
def test_the_outcome_is_always_within_the_bounds(
    usages: list[int], low: int, width: int, behavior: Behavior | None
) -> None:
    spec = HpaSpec(low, max(1, low + width), (CPU_50,), behavior)
    pods = [pod(f"p{i}") for i in range(len(usages))]
    cpu = PodReadings({f"p{i}": PodSample(usage, 0.0, 15.0) for i, usage in enumerate(usages)})

    decision = decide(spec, Seen(len(pods), len(pods), pods, (cpu,)))

    assert spec.min_replicas <= decision.desired <= spec.max_replicas


@given(USAGES, st.integers(0, 11), st.integers(1, 4000))
@settings(max_examples=150, deadline=None)
def test_more_load_never_means_fewer_pods(usages: list[int], which: int, more_m: int) -> None:
    pods = [pod(f"p{i}") for i in range(len(usages))]
    busier = [usage + (more_m if i == which % len(usages) else 0) for i, usage in enumerate(usages)]

    def desired(levels: list[int]) -> int:
        cpu = PodReadings({f"p{i}": PodSample(usage, 0.0, 15.0) for i, usage in enumerate(levels)})
        return decide(HpaSpec(1, 100, (CPU_50,)), Seen(len(pods), len(pods), pods, (cpu,))).desired

    assert desired(busier) >= desired(usages)


@given(USAGES, st.data())
@settings(max_examples=150, deadline=None)
def test_a_lost_sample_never_makes_it_shrink_further_nor_grow_more(usages: list[int], data: st.DataObject) -> None:
    """Missing pods are thought idle going up and busy going down: less knowledge, smaller step."""
    lost = data.draw(st.integers(0, len(usages) - 1))
    pods = [pod(f"p{i}") for i in range(len(usages))]
    known = {f"p{i}": PodSample(usage, 0.0, 15.0) for i, usage in enumerate(usages) if i != lost}
    spec, current = HpaSpec(0, 1000, (CPU_50,), Behavior()), len(pods)

    def desired(lost_m: int) -> int:
        cpu = PodReadings({**known, f"p{lost}": PodSample(lost_m, 0.0, 15.0)})
        return decide(spec, Seen(current, current, pods, (cpu,))).desired

    without = decide(spec, Seen(current, current, pods, (PodReadings(known),))).desired

    assert min(current, desired(0)) <= without <= max(current, desired(1000))


@given(st.lists(st.integers(0, 4000), min_size=1, max_size=40), st.sampled_from([None, Behavior()]))
@settings(max_examples=60, deadline=None)
def test_the_memory_stays_as_long_as_its_window(usages: list[int], behavior: Behavior | None) -> None:
    timing = ControllerSettings(downscale_stabilization_s=60.0)
    spec, state, replicas = HpaSpec(1, 50, (CPU_50,), behavior), HpaState(), 5

    for i, usage_m in enumerate(usages):
        decision, state = sync(spec, state, at_usage(replicas, usage_m, now_s=15.0 * i), 15.0 * i, timing)
        replicas = decision.desired

    assert state.recommendations is not None
    assert len(state.recommendations) <= 60 // 15 + 2  # the seed shares the first instant
