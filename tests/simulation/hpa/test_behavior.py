"""Stabilisation and rate limits, worked out by hand. Now is t = 0."""

from __future__ import annotations

import pytest

from simulation.hpa.behavior import (
    Rules,
    change_within,
    limit_with_behavior,
    limit_without_behavior,
    rules_of,
    scale_down_limit,
    scale_up_limit,
    stabilize_with_behavior,
    stabilize_without_behavior,
    store_event,
)
from simulation.hpa.values import (
    DEFAULT_DOWN_POLICIES,
    DEFAULT_UP_POLICIES,
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

DEFAULT_UP = Rules(DEFAULT_UP_POLICIES, SelectPolicy.MAX, 0.0)
DEFAULT_DOWN = Rules(DEFAULT_DOWN_POLICIES, SelectPolicy.MAX, 300.0)


def pods(value: int, period_s: int = 60) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PODS, value, period_s)


def percent(value: int, period_s: int = 60) -> ScalingPolicy:
    return ScalingPolicy(PolicyType.PERCENT, value, period_s)


def rules(*policies: ScalingPolicy, select: SelectPolicy = SelectPolicy.MAX) -> Rules:
    return Rules(policies, select, 0.0)


@pytest.mark.parametrize(
    ("current", "desired", "low", "high", "expected"),
    [
        pytest.param(5, 7, 3, 8, (7, Reason.DESIRED_WITHIN_RANGE), id="within"),
        pytest.param(3, 1, 2, 8, (2, Reason.TOO_FEW_REPLICAS), id="below-min"),
        pytest.param(5, 9, 3, 8, (8, Reason.TOO_MANY_REPLICAS), id="above-max"),
        pytest.param(5, 30, 1, 50, (10, Reason.SCALE_UP_LIMIT), id="doubles"),
        pytest.param(1, 30, 1, 50, (4, Reason.SCALE_UP_LIMIT), id="or-reaches-four"),
        pytest.param(5, 30, 1, 10, (10, Reason.TOO_MANY_REPLICAS), id="max-equal-to-the-limit"),
        pytest.param(1, 0, 0, 10, (0, Reason.DESIRED_WITHIN_RANGE), id="to-zero"),
    ],
)
def test_limits_without_behavior(current: int, desired: int, low: int, high: int, expected: tuple[int, Reason]) -> None:
    assert limit_without_behavior(current, desired, low, high) == expected


@pytest.mark.parametrize(
    ("up", "down", "current", "desired", "expected"),
    [
        # 4 pods or 100 %, whichever is more
        pytest.param(DEFAULT_UP, DEFAULT_DOWN, 2, 50, (6, Reason.SCALE_UP_LIMIT), id="default-four-pods"),
        pytest.param(DEFAULT_UP, DEFAULT_DOWN, 10, 50, (20, Reason.SCALE_UP_LIMIT), id="default-doubles"),
        pytest.param(DEFAULT_UP, DEFAULT_DOWN, 90, 1, (3, Reason.TOO_FEW_REPLICAS), id="default-down-is-free"),
        # ceil(3 · 1.01) = 4: a small percentage still adds a pod
        pytest.param(rules(percent(1)), DEFAULT_DOWN, 3, 50, (4, Reason.SCALE_UP_LIMIT), id="percent-rounds-up"),
        # trunc(15 · 0.9) = 13
        pytest.param(DEFAULT_UP, rules(percent(10)), 15, 3, (13, Reason.SCALE_DOWN_LIMIT), id="percent-truncates"),
        pytest.param(DEFAULT_UP, rules(pods(5)), 10, 4, (5, Reason.SCALE_DOWN_LIMIT), id="pods-down"),
        pytest.param(DEFAULT_UP, DEFAULT_DOWN, 10, 10, (10, Reason.DESIRED_WITHIN_RANGE), id="nothing-to-do"),
        pytest.param(
            rules(pods(1), select=SelectPolicy.DISABLED), DEFAULT_DOWN, 10, 50, (10, Reason.SCALE_UP_LIMIT), id="up-off"
        ),
        pytest.param(
            DEFAULT_UP, rules(pods(1), select=SelectPolicy.DISABLED), 10, 5, (10, Reason.SCALE_DOWN_LIMIT), id="off"
        ),
        pytest.param(rules(pods(200)), DEFAULT_DOWN, 10, 150, (100, Reason.TOO_MANY_REPLICAS), id="max-is-lower"),
    ],
)  # fmt: skip
def test_limits_with_behavior(up: Rules, down: Rules, current: int, desired: int, expected: tuple[int, Reason]) -> None:
    limited = limit_with_behavior(current, desired, 3, 100, up=up, down=down, up_events=(), down_events=(), now_s=0.0)

    assert limited == expected


def test_select_policy_picks_the_largest_or_the_smallest_change() -> None:
    up = (pods(2), percent(50))  # of 10: 12 or 15
    down = (pods(2), percent(50))  # of 10: 8 or 5

    assert scale_up_limit(10, (), (), rules(*up), 0.0) == 15
    assert scale_up_limit(10, (), (), rules(*up, select=SelectPolicy.MIN), 0.0) == 12
    assert scale_down_limit(10, (), (), rules(*down), 0.0) == 5
    assert scale_down_limit(10, (), (), rules(*down, select=SelectPolicy.MIN), 0.0) == 8


def test_limits_count_from_the_replicas_at_the_beginning_of_the_period() -> None:
    ups = (ScaleEvent(4, -50.0), ScaleEvent(9, -61.0))
    downs = (ScaleEvent(1, -10.0),)

    # 10 - 4 + 1 = 7 a minute ago
    assert scale_up_limit(10, ups, downs, rules(pods(5)), 0.0) == 12
    assert scale_up_limit(10, ups, downs, rules(percent(100)), 0.0) == 14
    assert scale_down_limit(10, ups, downs, rules(pods(5)), 0.0) == 2
    assert scale_down_limit(10, ups, downs, rules(percent(50)), 0.0) == 3  # trunc(3.5)


def test_a_budget_already_spent_holds_the_count_instead_of_reversing_it() -> None:
    ups = (ScaleEvent(15, -10.0),)
    downs = (ScaleEvent(30, -10.0),)

    up = limit_with_behavior(
        100, 500, 1, 1000, up=rules(pods(5)), down=DEFAULT_DOWN, up_events=ups, down_events=(), now_s=0.0
    )
    down = limit_with_behavior(
        100, 1, 1, 1000, up=DEFAULT_UP, down=rules(percent(10)), up_events=(), down_events=downs, now_s=0.0
    )

    assert up == (100, Reason.SCALE_UP_LIMIT)  # 85 + 5 < 100
    assert down == (100, Reason.SCALE_DOWN_LIMIT)  # 130 · 0.9 = 117 > 100


def test_without_behavior_the_highest_of_the_window_wins_and_the_last_old_slot_is_reused() -> None:
    memory = (
        Recommendation(10, -600.0),
        Recommendation(4, -300.0),  # exactly as old as the window: still counts
        Recommendation(9, -301.0),
    )

    stabilized = stabilize_without_behavior(memory, 3, 300.0, 0.0)

    assert stabilized.replicas == 4
    assert stabilized.reason is Reason.SCALE_DOWN_STABILIZED
    assert stabilized.recommendations == (memory[0], memory[1], Recommendation(3, 0.0))


def test_with_behavior_an_entry_exactly_as_old_as_the_window_neither_counts_nor_is_reused() -> None:
    memory = (Recommendation(8, -300.0),)

    stabilized = stabilize_with_behavior(memory, 9, 3, up_window_s=0.0, down_window_s=300.0, now_s=0.0)

    assert stabilized.replicas == 3
    assert stabilized.recommendations == (memory[0], Recommendation(3, 0.0))


def test_with_behavior_an_entry_is_reused_only_when_both_windows_have_forgotten_it() -> None:
    memory = (Recommendation(9, -400.0), Recommendation(8, -100.0))

    stabilized = stabilize_with_behavior(memory, 5, 5, up_window_s=300.0, down_window_s=60.0, now_s=0.0)

    assert stabilized.recommendations == (Recommendation(5, 0.0), memory[1])


@pytest.mark.parametrize(
    ("current", "desired", "expected"),
    [
        # remembered 4 and 6, both windows a minute
        pytest.param(1, 7, (4, Reason.SCALE_UP_STABILIZED), id="up-to-the-lowest"),
        pytest.param(9, 2, (6, Reason.SCALE_DOWN_STABILIZED), id="down-to-the-highest"),
        pytest.param(5, 9, (5, Reason.SCALE_UP_STABILIZED), id="between-holds"),
        pytest.param(5, 5, (5, Reason.READY_FOR_NEW_SCALE), id="content"),
        pytest.param(9, 6, (6, Reason.READY_FOR_NEW_SCALE), id="free-to-go-down"),
    ],
)
def test_with_behavior_the_count_moves_as_far_as_all_recommendations_agree(
    current: int, desired: int, expected: tuple[int, Reason]
) -> None:
    memory = (Recommendation(4, -30.0), Recommendation(6, -15.0))

    stabilized = stabilize_with_behavior(memory, current, desired, up_window_s=60.0, down_window_s=60.0, now_s=0.0)

    assert stabilized[:2] == expected
    assert stabilized.recommendations[-1] == (desired, 0.0)


def test_events_older_than_the_longest_policy_give_their_slot_away() -> None:
    events = (ScaleEvent(8, -29.0), ScaleEvent(7, -61.0), ScaleEvent(6, -59.0), ScaleEvent(9, -62.0))

    stored = store_event(events, (pods(1, 60), percent(1, 30)), 5, 0.0)

    assert stored == (events[0], ScaleEvent(7, -61.0, outdated=True), events[2], ScaleEvent(5, 0.0))
    assert change_within(events, 60.0, 0.0) == 14


def test_omitted_directions_take_the_api_defaults() -> None:
    settings = ControllerSettings(downscale_stabilization_s=123.0)

    up, down = rules_of(Behavior(scale_down=ScalingRules(policies=(pods(1),))), settings)

    assert up == DEFAULT_UP
    assert down == Rules((pods(1),), SelectPolicy.MAX, 123.0)
