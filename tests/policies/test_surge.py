"""Surges: what a gateway counts raises floors at once, chance does not, and the planner does not undo it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Forecast
from policies import surge
from policies.capacity import Capacity, CapacitySource
from policies.decision import Proposal, ReasonCode, SetFloor, SetScale
from policies.floors import FloorState
from policies.model import FastSeen, Guardrails, PodSeen, PolicySet, WorkloadPolicy, WorkloadSeen
from policies.subject import ScalingState
from policies.surge import Means, SurgeMemory

GATE, CART, STORE = "shop/gate", "shop/cart", "shop/store"
CPU = CapacitySource.CPU


def workload(name: str, **known: object) -> WorkloadSeen:
    pods = tuple(PodSeen(f"{name}-{n}", "n", "z", -1000.0, ready_at_s=-900.0) for n in range(2))
    seen = WorkloadSeen(name, 2, pods, hpa_min=2, hpa_max=24)
    return replace(seen, **known)  # type: ignore[arg-type]


#: A gateway of 2 pods × 50 requests/s; every second request goes on to a cart of 2 pods × 25, all to a store.
POLICIES = PolicySet(
    {
        GATE: WorkloadPolicy(GATE),
        CART: WorkloadPolicy(CART, entry=GATE),
        STORE: WorkloadPolicy(STORE, entry=GATE, stateless=False),
    }
)
MEANS = Means(
    capacity={name: Capacity(rps, 0.0, CPU) for name, rps in ((GATE, 50.0), (CART, 25.0), (STORE, 1.0))},
    lead_s={GATE: 30.0, CART: 30.0},
    states={CART: ScalingState(own=50.0, entry=100.0)},
)


class Lane:
    """Looks second by second, with 60 requests/s known from the last full look."""

    def __init__(self, known_rps: float | None = 60.0, policies: PolicySet = POLICIES, means: Means = MEANS) -> None:
        self.known_rps = {} if known_rps is None else {GATE: known_rps}
        self.policies = policies
        self.means = means
        self.workloads = {name: workload(name) for name in (GATE, CART, STORE)}
        self.memory = SurgeMemory()
        self.surprised: tuple[str, ...] = ()

    def second(self, now_s: float, counts: Sequence[float]) -> dict[str, Proposal]:
        recent = {GATE: tuple(counts)} if counts else {}
        seen = FastSeen(now_s, (), (), self.workloads, gateway_recent_rps=recent)
        memory = surge.noticed(seen, self.known_rps, self.memory, now_s, self.surprised)
        proposals, self.memory = surge.propose(seen, self.policies, self.means, memory, now_s)
        return {proposal.workload: proposal for proposal in proposals}

    def at_least(self, now_s: float) -> Mapping[str, int]:
        return surge.pods_at_least(self.memory, self.workloads, self.policies, self.means, now_s)


def floors_of(proposals: Mapping[str, Proposal]) -> dict[str, int]:
    return {name: one.action.floor for name, one in proposals.items() if isinstance(one.action, SetFloor)}


def test_a_step_raises_every_floor_that_it_needs_at_once() -> None:
    raised = Lane().second(0.0, (180.0,) * 10)

    # 540 counts in 3 s are at least 494.5 (their root less one deviation of two halves): 164.8 requests/s for certain.
    # At 70 % of 50 that is 4.7 pods; half of it goes to pods of half the size.
    assert floors_of(raised) == {GATE: 5, CART: 5}
    assert all(not one.disruptive and one.fast for one in raised.values())
    (reason,) = raised[GATE].reasons
    assert reason.code == ReasonCode.DEMAND_SURGE
    assert reason.facts["known_rps"] == 60.0 and reason.facts["floor_before"] == 2.0


def test_what_still_grows_is_met_where_it_will_be() -> None:
    ramp = [60.0 + 6.0 * second for second in range(10)]

    # 108 requests/s now, 6 more each second: in 45 s more than twice as much, 216, or 4.7 pods of 46.
    assert floors_of(Lane().second(0.0, ramp)) == {GATE: 5, CART: 5}
    # The same rate without growth: 96 for certain, 2.7 pods of 35.
    assert floors_of(Lane().second(0.0, (108.0,) * 10)) == {GATE: 3, CART: 3}


@pytest.mark.parametrize("rate_rps", [0.5, 3.0, 12.0, 60.0, 500.0])
def test_noise_is_no_surge(rate_rps: float) -> None:
    counts = np.random.default_rng(5).poisson(rate_rps, 5000)
    lane = Lane(rate_rps, means=replace(MEANS, capacity=dict.fromkeys((GATE, CART), Capacity(0.1, 0.0, CPU))))

    alarms = [now_s for now_s in range(10, 5000) if lane.second(now_s, counts[now_s - 10 : now_s].tolist())]

    assert len(alarms) <= 2


@pytest.mark.parametrize(("known_rps", "counts"), [(None, (180.0,) * 10), (60.0, ()), (60.0, (180.0,) * 5)])
def test_without_counts_or_a_known_rate_nothing_is_done(known_rps: float | None, counts: tuple[float, ...]) -> None:
    lane = Lane(known_rps)

    assert lane.second(0.0, counts) == {}
    assert lane.at_least(0.0) == {}


def test_demand_that_is_planned_for_is_no_news() -> None:
    median_rps = np.array([[70.0, 150.0, 120.0, 110.0, 400.0]])  # 400 only comes after the minute
    demand = Forecast(
        series=(GATE,),
        levels=LEVELS,
        quantiles=np.repeat(median_rps[:, :, None], len(LEVELS), axis=2),
        paths=np.repeat(median_rps[:, None, :], 20, axis=1),
        issued_at_s=0.0,
        last_at_s=0.0,
        step_s=15.0,
        model="test",
        coverage=np.full(1, np.nan),
        skill=np.full(1, np.nan),
    )

    assert surge.planned_for({GATE: 60.0}, None, 0.0) == {GATE: 60.0}
    assert surge.planned_for({GATE: 60.0}, demand, 0.0) == {GATE: 150.0}
    assert Lane(150.0).second(0.0, (180.0,) * 10) == {}  # 540 counts, where 518 would still be 15 % above the plan


#: Pods so small that any surge needs more of them.
SMALL = replace(MEANS, capacity=dict.fromkeys((GATE, CART), Capacity(1.0, 0.0, CPU)))


def p_value(value: float) -> Forecast:
    """A forecast of the gateway's demand, which was `value` likely to look as it does."""
    return Forecast(
        series=(GATE,),
        levels=LEVELS,
        quantiles=np.full((1, 4, len(LEVELS)), 60.0),
        paths=np.full((1, 20, 4), 60.0),
        issued_at_s=0.0,
        last_at_s=0.0,
        step_s=15.0,
        model="test",
        coverage=np.full(1, np.nan),
        skill=np.full(1, np.nan),
        surprise=np.full(1, value),
    )


def test_a_small_surge_counts_where_the_forecaster_was_surprised_as_well() -> None:
    # 255 counts in 3 s where 60 requests/s, 15 % on top, explain 207: roots 15.98 and 14.40, 1.58 apart. Chance alone
    # explains 0.5 · 3.5 · √1.2 = 1.92, and beside a surprise 0.5 · 2.5 · √1.2 = 1.37.
    alone, corroborated, elsewhere = (Lane(means=SMALL) for _ in range(3))
    corroborated.surprised, elsewhere.surprised = (GATE,), (CART,)

    assert alone.second(0.0, (85.0,) * 10) == {}
    assert GATE in corroborated.second(0.0, (85.0,) * 10)
    assert elsewhere.second(0.0, (85.0,) * 10) == {}


def test_surprise_alone_is_no_surge() -> None:
    lane = Lane(means=SMALL)
    lane.surprised = (GATE,)

    assert lane.second(0.0, (69.0,) * 10) == {}
    assert lane.second(1.0, ()) == {}


@pytest.mark.parametrize(("value", "surprised"), [(0.001, (GATE,)), (0.2, ()), (1.0, ()), (float("nan"), ())])
def test_a_forecaster_is_surprised_by_what_it_had_called_unlikely(value: float, surprised: tuple[str, ...]) -> None:
    assert surge.surprised(p_value(value)) == surprised


def test_a_forecaster_that_measures_no_surprise_has_none() -> None:
    assert surge.surprised(None) == ()
    assert surge.surprised(replace(p_value(0.001), surprise=None)) == ()


def test_a_workload_of_unknown_capacity_or_share_is_left_alone() -> None:
    unknown = Lane(means=replace(MEANS, capacity={CART: Capacity(25.0, 0.0, CPU)}, states={}))

    assert unknown.second(0.0, (180.0,) * 10) == {}


def test_pods_that_are_ordered_already_count() -> None:
    lane = Lane()
    lane.workloads[GATE] = workload(GATE, replicas=5)
    lane.workloads[CART] = workload(CART, hpa_min=6)

    assert lane.second(0.0, (180.0,) * 10) == {}


def test_a_floor_stays_within_maximum_room_and_cost_cap() -> None:
    capped = replace(POLICIES.workloads[CART], guardrails=Guardrails(extra_pod_hours_per_day=1.0))
    spent = ScalingState(FloorState(written=2, expires_at_s=900.0, original=2, extra_pod_hours=1.0), 50.0, 100.0)
    lane = Lane(policies=PolicySet({**POLICIES.workloads, CART: capped}), means=replace(MEANS, states={CART: spent}))
    lane.workloads[GATE] = workload(GATE, hpa_max=4)

    raised = lane.second(0.0, (180.0,) * 10)

    assert floors_of(raised) == {GATE: 4}
    assert [reason.code for reason in raised[GATE].reasons] == [ReasonCode.DEMAND_SURGE, ReasonCode.DEMAND_ABOVE_MAX]
    lane = Lane()
    lane.workloads[GATE] = workload(GATE, room_pods=1)
    assert floors_of(lane.second(0.0, (180.0,) * 10)) == {GATE: 3, CART: 5}


@pytest.mark.parametrize("known", [{"paused": True}, {"replicas": 0}])
def test_paused_workloads_are_held(known: dict[str, object]) -> None:
    lane = Lane()
    lane.workloads[GATE] = workload(GATE, **known)

    assert GATE not in lane.second(0.0, (180.0,) * 10)


def test_without_an_hpa_the_scale_itself_is_raised() -> None:
    lane = Lane()
    lane.workloads[GATE] = workload(GATE, hpa_min=None, hpa_max=None)

    assert lane.second(0.0, (180.0,) * 10)[GATE].action == SetScale(GATE, 5, 300.0)


def test_the_same_floor_is_not_asked_for_every_second() -> None:
    lane = Lane()

    asked_at_s = [now_s for now_s in range(16) if GATE in lane.second(now_s, (180.0,) * 10)]

    assert asked_at_s == [0, 15]  # nobody did it
    lane.second(17.0, (360.0,) * 10)
    assert floors_of(lane.second(18.0, (360.0,) * 10)) == {GATE: 10, CART: 10}  # 340.4 / 35, three seconds later


def test_a_surge_binds_the_planner_for_a_minute() -> None:
    lane = Lane()
    lane.second(0.0, (180.0,) * 10)

    assert lane.at_least(59.0) == {GATE: 5, CART: 5}
    assert lane.at_least(60.0) == {}
