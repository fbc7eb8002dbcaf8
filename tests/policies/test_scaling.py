"""Floors: raised in time, lowered gently, within bounds, with an expiry, and given up to others."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from forecasting.forecast import LEVELS, DeclaredEvent, Forecast, NoForecastReason
from policies import scaling
from policies.capacity import Capacity, CapacitySource
from policies.decision import Proposal, Reason, ReasonCode, SetFloor, SetScale
from policies.model import Guardrails, Observation, PodSeen, PolicySet, ScalingPolicy, WorkloadPolicy, WorkloadSeen
from policies.subject import ScalingState

TICK_S = 15.0
WEB = "shop/web"
TEN_RPS = {WEB: Capacity(10.0, 0.0, CapacitySource.CPU)}


def forecast(demand_rps: Mapping[str, float], now_s: float, **known: object) -> Forecast:
    """A certain forecast: every future is flat."""
    paths = np.repeat(np.array(list(demand_rps.values()))[:, None, None], 20, axis=1).repeat(64, axis=2)
    quantiles = np.repeat(paths[:, 0, :, None], len(LEVELS), axis=2)
    unknown = np.full(len(demand_rps), np.nan)
    made = Forecast(tuple(demand_rps), LEVELS, quantiles, paths, now_s, now_s, 15.0, "test", unknown, unknown)
    return replace(made, **known)  # type: ignore[arg-type]


def pods(count: int, **known: object) -> tuple[PodSeen, ...]:
    ready = PodSeen("p", "n", "z", created_at_s=-1e6, ready_at_s=-9e5, cpu_cores=0.5)
    return tuple(replace(ready, name=f"p{index}", **known) for index in range(count))  # type: ignore[arg-type]


@dataclass
class Desk:
    """Asks `scaling.propose` tick by tick and carries out what it proposes."""

    policy: WorkloadPolicy = field(default_factory=lambda: WorkloadPolicy(WEB))
    seen: WorkloadSeen = field(
        default_factory=lambda: WorkloadSeen(WEB, 1, pods(1), hpa_min=1, hpa_max=50, cpu_limit_cores=1.0)
    )
    capacity: Mapping[str, Capacity] = field(default_factory=lambda: TEN_RPS)
    leaving: Mapping[str, int] = field(default_factory=dict)
    states: Mapping[str, ScalingState] = field(default_factory=dict)
    now_s: float = 0.0
    reasons: Sequence[Reason] = ()

    def tick(
        self, demand_rps: float | None, *, carry_out: bool = True, ready_at_once: bool = True
    ) -> SetFloor | SetScale | None:
        """One tick with a flat, certain demand (None: no forecast); the action that was proposed."""
        self.now_s += TICK_S
        known = demand_rps if demand_rps is not None else self.seen.offered_rps
        self.seen = replace(self.seen, offered_rps=known)
        made = None if demand_rps is None else forecast({WEB: demand_rps}, self.now_s)
        return self.decide((self.seen,), made, carry_out=carry_out, ready_at_once=ready_at_once)

    def decide(
        self, workloads: tuple[WorkloadSeen, ...], made: Forecast | None, *, carry_out: bool = True,
        ready_at_once: bool = True,
    ) -> SetFloor | SetScale | None:  # fmt: skip
        observation = Observation(self.now_s, workloads, metrics_age_s=0.0)
        policies = PolicySet({WEB: self.policy})
        proposals, reasons, states = scaling.propose(
            observation, made, self.capacity, {WEB: 60.0}, self.leaving, policies, self.states, self.now_s
        )
        self.reasons, self.states = reasons[WEB], states
        action = _only(proposals)
        if action is None or not carry_out:
            return action
        self.states = {**states, WEB: scaling.recorded(states[WEB], action, self.seen, self.now_s)}
        if isinstance(action, SetFloor):
            replicas = max(self.seen.replicas, action.floor) if ready_at_once else self.seen.replicas
            self.seen = replace(self.seen, hpa_min=action.floor)
        else:
            replicas = action.replicas
        if ready_at_once:
            self.seen = replace(self.seen, replicas=replicas, pods=pods(replicas))
        return action

    def codes(self) -> set[ReasonCode]:
        return {reason.code for reason in self.reasons}


def _only(proposals: Sequence[Proposal]) -> SetFloor | SetScale | None:
    assert len(proposals) <= 1
    if not proposals:
        return None
    action = proposals[0].action
    assert isinstance(action, SetFloor | SetScale)
    assert not proposals[0].disruptive
    return action


def scaling_policy(**known: object) -> WorkloadPolicy:
    return WorkloadPolicy(WEB, scaling=replace(ScalingPolicy(), **known))  # type: ignore[arg-type]


def test_a_floor_is_raised_for_expected_demand_and_expires() -> None:
    desk = Desk()

    # 63 / (10 × 0.7) = 9 pods.
    assert desk.tick(63.0) == SetFloor(WEB, 9, expires_at_s=TICK_S + 300.0)
    assert ReasonCode.DEMAND_EXPECTED in desk.codes()


@pytest.mark.parametrize(
    ("demand_rps", "floor"),
    [(6.9, None), (7.0, None), (7.1, 2), (14.0, 2), (14.1, 3), (20.9, 3), (21.1, 4)],
)
def test_small_numbers_round_up(demand_rps: float, floor: int | None) -> None:
    action = Desk().tick(demand_rps)

    assert (action.floor if isinstance(action, SetFloor) else None) == floor


def test_a_floor_that_still_fits_is_written_again_only_when_half_its_time_is_over() -> None:
    desk = Desk()
    desk.tick(63.0)

    later = [desk.tick(63.0) for _ in range(10)]

    assert later[:9] == [None] * 9  # 135 s after the write
    assert later[9] == SetFloor(WEB, 9, expires_at_s=TICK_S + 150.0 + 300.0)
    assert ReasonCode.FLOOR_HELD in desk.codes()


def test_a_floor_descends_by_one_pod_a_minute_and_is_then_released() -> None:
    desk = Desk()
    desk.tick(28.0)  # 4 pods

    writes = [(desk.now_s, action.floor) for _ in range(60) if isinstance(action := desk.tick(1.0), SetFloor)]

    # The descent begins at the first look with less demand (30 s) once two points have made the old one forgotten.
    steps = [later[0] - earlier[0] for earlier, later in pairwise(writes)]
    assert [floor for _, floor in writes] == [3, 2, 1]
    assert all(step_s >= 60.0 for step_s in steps)
    assert desk.states[WEB].floor.written is None
    assert ReasonCode.DEMAND_FITS in desk.codes()


def test_a_large_floor_descends_by_a_tenth_a_minute() -> None:
    desk = Desk(policy=scaling_policy(max_replicas=200), seen=WorkloadSeen(WEB, 1, pods(1), hpa_min=1, hpa_max=200))
    desk.tick(700.0)  # 100 pods

    desk.tick(1.0)  # the mean with the last point still asks for 51
    before = desk.seen.hpa_min
    for _ in range(4):
        desk.tick(1.0)

    assert before == 100
    # Four ticks are a minute: at most 10 of 100, and at least 9 for the shrinking tenth.
    assert desk.seen.hpa_min in (90, 91)


def test_load_that_wavers_around_a_whole_pod_moves_nothing() -> None:
    desk = Desk()
    desk.tick(21.0)  # 3 pods

    actions = [desk.tick(rps) for rps in [20.9, 20.0, 20.5, 19.9] * 2]

    # The floor stays at 3 until the load needs less than 2 - 0.15 pods … here it needs 2.84 to 2.99.
    assert actions == [None] * 8


def test_a_pod_is_kept_where_it_would_only_just_fit_without() -> None:
    desk = Desk()
    desk.tick(21.0)

    kept = [desk.tick(13.5) for _ in range(10)]  # 1.93 pods: two would be filled to 97 % of the target
    desk.tick(12.0)
    gone = [desk.tick(12.0) for _ in range(10)]  # 1.71 pods: two leave 0.29 to spare

    assert {action.floor for action in kept if isinstance(action, SetFloor)} <= {3}
    assert {action.floor for action in gone if isinstance(action, SetFloor)} == {2}


def test_demand_above_the_ceiling_is_served_as_far_as_allowed_and_said() -> None:
    desk = Desk(policy=scaling_policy(max_replicas=5))

    assert desk.tick(63.0) == SetFloor(WEB, 5, TICK_S + 300.0)
    assert ReasonCode.DEMAND_ABOVE_MAX in desk.codes()


def test_no_more_is_asked_for_than_fits_into_the_cluster() -> None:
    desk = Desk(seen=WorkloadSeen(WEB, 2, pods(2), hpa_min=1, hpa_max=50, room_pods=3))

    assert desk.tick(63.0) == SetFloor(WEB, 5, TICK_S + 300.0)
    assert ReasonCode.NO_ROOM in desk.codes()


def test_the_floor_of_the_people_is_never_undercut() -> None:
    desk = Desk(seen=WorkloadSeen(WEB, 4, pods(4), hpa_min=4, hpa_max=50))
    desk.tick(63.0)

    for _ in range(80):
        desk.tick(1.0)

    assert desk.seen.hpa_min == 4


def test_pods_that_are_about_to_leave_raise_the_floor_first() -> None:
    assert Desk(leaving={WEB: 1}).tick(14.0) == SetFloor(WEB, 3, TICK_S + 300.0)


def test_pods_that_serve_nothing_are_replaced_by_the_floor() -> None:
    dead = (*pods(2), *pods(1, ready_at_s=None))
    desk = Desk(seen=WorkloadSeen(WEB, 3, dead, hpa_min=1, hpa_max=50))

    assert desk.tick(21.0) == SetFloor(WEB, 4, TICK_S + 300.0)


def test_pods_on_their_way_are_not_asked_for_twice() -> None:
    starting = (*pods(1), *pods(2, created_at_s=0.0, ready_at_s=None))
    desk = Desk(seen=WorkloadSeen(WEB, 3, starting, hpa_min=3, hpa_max=50))

    assert desk.tick(21.0) is None


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param({"paused": True}, ReasonCode.PAUSED, id="paused"),
        pytest.param({"replicas": 0}, ReasonCode.PAUSED, id="scaled-to-zero-by-hand"),
    ],
)
def test_workloads_that_people_hold_are_left_alone(change: dict[str, object], code: ReasonCode) -> None:
    desk = Desk()
    desk.seen = replace(desk.seen, **change)  # type: ignore[arg-type]

    assert desk.tick(63.0) is None
    assert desk.codes() == {code}


def test_without_a_forecast_nothing_is_renewed_and_the_floor_expires() -> None:
    desk = Desk()
    desk.tick(63.0)

    actions = [desk.tick(None) for _ in range(19)]
    before_expiry = desk.codes()
    desk.tick(None)

    assert actions == [None] * 19
    assert before_expiry == {ReasonCode.NO_FORECAST}
    assert desk.codes() == {ReasonCode.NO_FORECAST, ReasonCode.FLOOR_EXPIRED}


def test_a_series_without_forecast_says_why() -> None:
    desk = Desk()
    desk.seen = replace(desk.seen, offered_rps=63.0)
    made = forecast({WEB: 63.0}, 0.0, unavailable={WEB: NoForecastReason.TOO_SHORT})

    assert desk.decide((desk.seen,), made) is None
    assert desk.reasons[0] == Reason(ReasonCode.NO_FORECAST, {"why": "too_short"})


def test_unknown_capacity_holds() -> None:
    desk = Desk(capacity={})

    assert desk.tick(63.0) is None
    assert desk.reasons[0] == Reason(ReasonCode.CAPACITY_UNKNOWN)


def test_after_an_expiry_the_value_of_the_people_is_still_known() -> None:
    desk = Desk()
    desk.tick(63.0)
    for _ in range(21):
        desk.tick(None)
    desk.seen = replace(desk.seen, hpa_min=8)  # the expired floor descends: 9 → 8 → … → 1

    raised = desk.tick(70.0)
    for _ in range(80):
        desk.tick(1.0)

    assert raised == SetFloor(WEB, 10, raised.expires_at_s if raised else 0.0)
    assert desk.seen.hpa_min == 1


def test_somebody_elses_value_becomes_the_new_original_and_the_second_time_is_left_alone() -> None:
    desk = Desk()
    desk.tick(63.0)
    desk.seen = replace(desk.seen, hpa_min=2)

    again = desk.tick(63.0)
    original = desk.states[WEB].floor.original
    desk.seen = replace(desk.seen, hpa_min=2)
    contested = desk.tick(63.0)

    assert isinstance(again, SetFloor)
    assert (again.floor, original) == (9, 2)
    assert contested is None
    assert desk.codes() == {ReasonCode.CONTESTED}


def test_a_contest_ends_when_somebody_writes_what_we_had_written() -> None:
    desk = Desk()
    desk.tick(63.0)
    for _ in range(2):
        desk.seen = replace(desk.seen, hpa_min=2)
        desk.tick(63.0)
    assert desk.codes() == {ReasonCode.CONTESTED}

    desk.seen = replace(desk.seen, hpa_min=9)
    desk.tick(63.0)

    assert ReasonCode.CONTESTED not in desk.codes()
    assert desk.tick(70.0) == SetFloor(WEB, 10, desk.now_s + 300.0)  # theirs is the original now
    assert desk.states[WEB].floor.original == 9


def test_the_daily_cost_cap_stops_raises_and_lets_the_floor_come_down() -> None:
    desk = Desk(policy=replace(WorkloadPolicy(WEB), guardrails=Guardrails(extra_pod_hours_per_day=0.25)))
    desk.tick(63.0)  # 8 extra pods spend a quarter of a pod-hour in 112.5 s

    for _ in range(8):
        desk.tick(63.0)

    assert ReasonCode.COST_CAP in desk.codes()
    assert desk.tick(140.0) is None or (desk.seen.hpa_min or 0) <= 9
    for _ in range(60):
        desk.tick(140.0)
    assert desk.seen.hpa_min == 1


def test_a_declared_event_is_named() -> None:
    sale = DeclaredEvent("sale", starts_at_s=60.0, ends_at_s=3600.0, multiplier=3.0)
    desk = Desk(policy=replace(WorkloadPolicy(WEB), events=(sale,)))
    desk.tick(63.0)

    assert desk.reasons[0].code is ReasonCode.DEMAND_DECLARED
    facts = desk.reasons[0].facts
    assert (facts["event"], facts["stage"]) == ("sale", "coming")


def test_without_an_hpa_replicas_are_written_and_never_below_the_safe_number() -> None:
    desk = Desk(policy=scaling_policy(safe_replicas=3), seen=WorkloadSeen(WEB, 5, pods(5)))

    up = desk.tick(63.0)
    for _ in range(60):
        desk.tick(1.0)

    assert up == SetScale(WEB, 9, TICK_S + 300.0)
    assert desk.seen.replicas == 3


def test_without_an_hpa_and_a_safe_number_the_peoples_replicas_are_the_least() -> None:
    desk = Desk(seen=WorkloadSeen(WEB, 5, pods(5)))

    for _ in range(20):
        assert desk.tick(1.0) is None


def test_saturated_demand_is_read_from_the_entry() -> None:
    gate = WorkloadSeen("shop/gate", 3, pods(3), hpa_min=1, hpa_max=9, offered_rps=50.0)
    desk = Desk(policy=WorkloadPolicy(WEB, entry="shop/gate"))
    calm = replace(desk.seen, offered_rps=25.0)  # half a visit per request
    for _ in range(4):
        desk.now_s += TICK_S
        desk.decide((gate, calm), forecast({"shop/gate": 50.0, WEB: 25.0}, desk.now_s), carry_out=False)
    flooded, censored = replace(gate, offered_rps=200.0), replace(calm, offered_rps=30.0, saturated=True)

    desk.now_s += TICK_S
    action = desk.decide((flooded, censored), forecast({"shop/gate": 200.0, WEB: 30.0}, desk.now_s))

    # 200 × 0.5 = 100 requests/s need 100 / 7 → 15 pods, not the 30 / 7 → 5 of what was let through.
    assert isinstance(action, SetFloor)
    assert action.floor == 15


def test_busy_pods_that_reject_work_get_one_step_more_whatever_was_learned() -> None:
    busy = replace(Desk().seen, replicas=3, pods=pods(3, cpu_cores=0.95), saturated=True)

    action = Desk(seen=busy).tick(14.0)

    assert isinstance(action, SetFloor)
    assert action.floor == 4


demands = st.lists(st.one_of(st.floats(0.0, 400.0), st.none()), min_size=1, max_size=40)


@settings(max_examples=60, deadline=None)
@given(
    demand=demands,
    least=st.integers(1, 4),
    most=st.integers(1, 40),
    hpa_max=st.integers(1, 40),
    hpa_min=st.integers(1, 3),
    room=st.one_of(st.none(), st.integers(0, 10)),
)
def test_whatever_comes_floors_stay_in_bounds_expire_and_descend_at_the_pace(
    demand: list[float | None], least: int, most: int, hpa_max: int, hpa_min: int, room: int | None
) -> None:
    hpa_min = min(hpa_min, hpa_max)
    seen = WorkloadSeen(WEB, hpa_min, pods(hpa_min), hpa_min=hpa_min, hpa_max=hpa_max, room_pods=room)
    desk = Desk(policy=scaling_policy(min_replicas=least, max_replicas=most), seen=seen)
    standing = [hpa_min]
    for rps in demand:
        action = desk.tick(rps)
        if rps is None:
            assert action is None
        if action is not None:
            assert isinstance(action, SetFloor)
            ceiling = min(most, hpa_max)
            assert min(least, ceiling) <= action.floor <= ceiling
            assert action.floor >= min(hpa_min, ceiling)
            assert desk.now_s < action.expires_at_s <= desk.now_s + 300.0
        standing.append(desk.seen.hpa_min or 0)
    for start in range(len(standing)):
        minute = standing[start : start + 5]  # five looks, four steps of 15 s
        assert minute[0] - minute[-1] <= math.ceil(0.1 * max(minute))  # whole pods of 10 % a minute, at least one


@settings(max_examples=40, deadline=None)
@given(demand=st.floats(0.0, 300.0), pods_now=st.integers(1, 3))
def test_small_numbers_always_carry_what_is_expected(demand: float, pods_now: int) -> None:
    desk = Desk(seen=WorkloadSeen(WEB, pods_now, pods(pods_now), hpa_min=pods_now, hpa_max=50))

    desk.tick(demand)

    assert demand <= 7.0 * (desk.seen.hpa_min or 0) + 1e-6


def test_missing_room_is_no_reason_to_stay_below_the_least_that_people_declared() -> None:
    desk = Desk(policy=scaling_policy(min_replicas=3), seen=WorkloadSeen(WEB, 1, pods(1), hpa_min=1, room_pods=1))

    assert desk.tick(0.0) == SetFloor(WEB, 3, expires_at_s=TICK_S + 300.0)
