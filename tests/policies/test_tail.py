"""How busy pods may be is learned from latency, bounded by what their own CPU can explain, and let go of."""

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from policies import capacity, memory
from policies.capacity import Capacity, CapacitySource, CapacityState
from policies.decision import Reason, ReasonCode
from policies.explain import render_reason
from policies.floor_reasons import facts_of
from policies.memory import Memory
from policies.model import PodSeen, WorkloadPolicy, WorkloadSeen
from policies.needs import Needs
from policies.subject import ScalingState, Subject
from policies.tail import TailState, ceiling, learn

TICK_S = 15.0
POLICY = WorkloadPolicy("shop/web", slo_latency_s=1.0)


def pods(utilization: float, *, count: int = 4, capacity_rps: float = 10.0) -> list[PodSeen]:
    """Warm pods of 1 / `capacity_rps` core seconds a request."""
    rate_rps = utilization * capacity_rps
    return [
        PodSeen(f"p{i}", "n", "z", -1e4, ready_at_s=-1e4, rate_rps=rate_rps, cpu_cores=utilization)
        for i in range(count)
    ]


def queue_p99_s(utilization: float, work_s: float = 0.1) -> float:
    """One server, Poisson arrivals, exponential work."""
    return math.log(100.0) * work_s / (1.0 - utilization)


def after(
    utilizations: Sequence[float],
    p99_s: float | None = None,
    *,
    state: TailState | None = None,
    limit_cores: float = 1.0,
    start_s: float = 0.0,
) -> TailState:
    """The state after one look at each utilisation, where latency is as the queue's or as given."""
    state = TailState() if state is None else state
    for look, utilization in enumerate(utilizations):
        seen_s = queue_p99_s(utilization) if p99_s is None else p99_s
        state = learn(state, pods(utilization), seen_s, 10.0, limit_cores, start_s + look * TICK_S)
    return state


def found(state: TailState, slo_latency_s: float) -> float:
    share = ceiling(state, 10.0, slo_latency_s)
    assert share is not None
    return share


def test_nothing_measured_means_no_ceiling() -> None:
    assert ceiling(TailState(), 10.0, 1.0) is None


def test_the_ceiling_of_a_queue_is_where_its_tail_meets_the_slo() -> None:
    # 4.605 × 0.1 s / (1 − ρ) is 1 s at ρ = 0.539, and 2 s at ρ = 0.770.
    state = after([0.4, 0.5, 0.6, 0.45] * 5)

    assert found(state, 1.0) == pytest.approx(0.5395, abs=1e-3)
    assert found(state, 2.0) == pytest.approx(0.7697, abs=1e-3)


def test_one_look_moves_the_ceiling_by_an_eighth_of_the_way() -> None:
    assert found(after([0.5]), 1.0) == pytest.approx(1.0 - 0.4605 / 8.0, abs=1e-3)


def test_latency_that_own_cpu_cannot_explain_counts_up_to_what_it_can() -> None:
    # 5 s, most of it from a slow dependency: at most six times the 0.1 s of own work counts.
    assert found(after([0.5] * 20, 5.0), 2.0) == pytest.approx(1.0 - 0.6 / 2.0)


def test_pods_are_no_cure_where_idle_ones_would_miss_the_slo() -> None:
    assert ceiling(after([0.5] * 20), 10.0, 0.4) is None


def test_the_ceiling_stops_where_pods_become_too_dear() -> None:
    # The tail would allow 1 − 0.4605 / 0.5 = 0.08.
    assert found(after([0.5] * 20), 0.5) == 0.30


def test_more_cores_explain_more_latency() -> None:
    # Of two cores one request has one: its own work is twice that of the pod's share, and so is the largest stretch.
    assert found(after([0.5] * 20, 5.0, limit_cores=2.0), 4.0) == pytest.approx(1.0 - 1.2 / 4.0)


@pytest.mark.parametrize("utilization", [0.1, 0.95])
def test_idle_and_overloaded_pods_teach_nothing(utilization: float) -> None:
    assert after([utilization] * 20) == TailState()


def test_a_trickle_of_requests_has_no_percentile() -> None:
    one = pods(0.4, count=1)

    assert learn(TailState(), one, 0.5, 10.0, 1.0, 0.0) == TailState()


def test_unknown_latency_teaches_nothing() -> None:
    assert learn(TailState(), pods(0.5), None, 10.0, 1.0, 0.0) == TailState()


def test_what_was_seen_before_the_last_half_life_counts_half() -> None:
    # Twenty looks at the queue, then, a half-life later, ten at a tail half as long: (10 × ln a + 10 × ln a/2) / 20.
    early = replace(after([0.5] * 20), looks=20.0)
    late = learn(early, pods(0.5), queue_p99_s(0.5) / 2.0, 10.0, 1.0, 19 * TICK_S + 900.0)

    assert late.looks == pytest.approx(11.0)
    assert late.log_stretch == pytest.approx(math.log(math.log(100.0)) - math.log(2.0) / 11.0)


def serving(utilization: float, p99_s: float | None, **known: object) -> WorkloadSeen:
    web = tuple(pods(utilization))
    seen = WorkloadSeen("shop/web", len(web), web, cpu_limit_cores=1.0, latency_p99_s=p99_s)
    return replace(seen, **known)  # type: ignore[arg-type]


def learned(looks: int, state: CapacityState | None = None, **known: object) -> CapacityState:
    state = CapacityState() if state is None else state
    for look in range(looks):
        utilization = 0.45 + 0.1 * (look % 2)
        seen = serving(utilization, queue_p99_s(utilization), **known)
        state = capacity.learn(state, seen, POLICY, look * TICK_S)
    return state


def test_capacity_says_how_much_of_it_the_slo_bears() -> None:
    known = capacity.estimate(learned(40), POLICY)

    assert known is not None
    assert known.slo_utilization == pytest.approx(0.54, abs=0.01)


def test_saturated_looks_and_new_specs_leave_no_trace() -> None:
    assert learned(20, saturated=True).tail == TailState()
    assert capacity.learn(learned(40), serving(0.5, None, spec_generation=7), POLICY, 900.0).tail == TailState()


def test_what_was_learned_survives_a_restart() -> None:
    state = Memory(capacity={"shop/web": learned(40)})

    assert memory.load(memory.dump(state)) == state


def subject(slo_utilization: float | None, target: float = 0.7) -> Subject:
    policy = replace(POLICY, scaling=replace(POLICY.scaling, target_utilization=target))
    known = Capacity(10.0, 0.0, CapacitySource.CPU, slo_utilization)
    return Subject(serving(0.5, None), policy, ScalingState(measured_rps=(5.0,)), known, 60.0, 0, 1.0, 0)


def test_a_plan_fills_pods_to_nine_tenths_of_what_the_slo_bears() -> None:
    tight = subject(0.5)

    assert tight.target_utilization == pytest.approx(0.45)
    assert tight.saturation_utilization == 0.5


@pytest.mark.parametrize("slo_utilization", [None, 0.99])
def test_a_distant_slo_never_lets_a_plan_fill_more_than_the_policy_says(slo_utilization: float | None) -> None:
    easy = subject(slo_utilization)

    assert easy.target_utilization == 0.7
    assert easy.saturation_utilization == 0.92


def test_the_sentence_about_a_floor_names_the_ceiling() -> None:
    reason = Reason(ReasonCode.DEMAND_EXPECTED, {"slo_busy_ratio": 0.54})

    assert "miss the SLO latency beyond 54 %" in render_reason(reason, str)


def test_only_a_ceiling_that_binds_is_a_fact() -> None:
    needs = Needs(*(np.ones(1) for _ in range(8)))  # type: ignore[arg-type]

    assert facts_of(subject(0.5), needs, 0, 1, 1)["slo_busy_ratio"] == 0.5
    assert "slo_busy_ratio" not in facts_of(subject(0.99), needs, 0, 1, 1)
