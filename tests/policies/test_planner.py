"""One decision per workload per tick: modes, blindness, calibration and refused writes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Forecast
from policies import planner
from policies.brownout import BrownoutMemory, StandingCeiling
from policies.decision import Action, Reason, ReasonCode, SetBrownout, SetFloor
from policies.fast_lane import FastLaneMemory
from policies.memory import Memory, dump, load
from policies.model import (
    FastSeen,
    Guardrails,
    Mode,
    Observation,
    PodSeen,
    PolicySet,
    ScalingPolicy,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.overload import FastCeiling, OverloadMemory
from policies.tokens import Dimmed, GuardrailMemory

WEB, API = "shop/web", "shop/api"
PRIOR = ScalingPolicy(capacity_prior_rps=10.0)


def workload(name: str, offered_rps: float) -> WorkloadSeen:
    pod = PodSeen(f"{name}-0", "n", "z", created_at_s=-1e6, ready_at_s=-9e5)
    return WorkloadSeen(name, 1, (pod,), hpa_min=1, hpa_max=50, offered_rps=offered_rps)


def observation(now_s: float = 0.0, **known: object) -> Observation:
    seen = Observation(now_s, (workload(WEB, 63.0), workload(API, 3.0)), metrics_age_s=5.0)
    return replace(seen, **known)  # type: ignore[arg-type]


def forecast(*rps: float, names: tuple[str, ...] = (WEB, API), coverage: float = float("nan")) -> Forecast:
    paths = np.repeat(np.array(rps)[:, None, None], 20, axis=1).repeat(64, axis=2)
    quantiles = np.repeat(paths[:, 0, :, None], len(LEVELS), axis=2)
    count = len(rps)
    unknown = np.full(count, np.nan)
    return Forecast(names, LEVELS, quantiles, paths, 0.0, 0.0, 15.0, "test", np.full(count, coverage), unknown)


def policies(mode: Mode = Mode.ENFORCE) -> PolicySet:
    return PolicySet({name: WorkloadPolicy(name, mode=mode, scaling=PRIOR) for name in (WEB, API)})


def test_every_workload_gets_one_decision_and_doing_nothing_is_one() -> None:
    decisions, _ = planner.decide(observation(), forecast(63.0, 3.0), None, Memory(), policies(), 0.0)

    assert [decision.workload for decision in decisions] == [WEB, API]
    assert decisions[0].actions == (SetFloor(WEB, 9, 300.0),)
    assert decisions[1].actions == ()
    assert all(decision.reasons for decision in decisions)
    assert {decision.model for decision in decisions} == {"test"}


@pytest.mark.parametrize("mode", [Mode.OBSERVE, Mode.RECOMMEND])
def test_modes_below_enforce_withhold_and_remember_nothing_as_done(mode: Mode) -> None:
    memory = Memory()

    for tick in range(3):
        decisions, memory = planner.decide(
            observation(15.0 * tick), forecast(63.0, 3.0), None, memory, policies(mode), 15.0 * tick
        )

        assert decisions[0].actions == ()
        assert decisions[0].withheld == (SetFloor(WEB, 9, 15.0 * tick + 300.0),)
        assert decisions[0].reasons[-1] == Reason(ReasonCode.MODE, {"mode": mode.value})
    assert memory.scaling[WEB].floor.written is None


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param({"metrics_age_s": None}, Reason(ReasonCode.NO_METRICS), id="prometheus-silent"),
        pytest.param({"metrics_age_s": 300.0}, Reason(ReasonCode.NO_METRICS, {"age_s": 300.0}), id="metrics-old"),
        pytest.param({"api_ok": False}, Reason(ReasonCode.STALE_OBJECTS), id="api-gone"),
    ],
)
def test_blindness_holds_everything(change: dict[str, object], reason: Reason) -> None:
    seen = replace(observation(), **change)  # type: ignore[arg-type]

    decisions, memory = planner.decide(seen, forecast(63.0, 3.0), None, Memory(), policies(), 0.0)

    assert [decision.reasons for decision in decisions] == [(reason,), (reason,)]
    assert all(decision.actions == () == decision.withheld for decision in decisions)
    assert replace(memory, ticks=0) == Memory()


def test_a_workload_that_is_not_seen_is_decided_on_too() -> None:
    seen = observation(workloads=(workload(WEB, 63.0),))

    decisions, _ = planner.decide(seen, forecast(63.0, 3.0), None, Memory(), policies(), 0.0)

    assert decisions[1].actions == ()
    assert decisions[1].reasons == (Reason(ReasonCode.STALE_OBJECTS, {"missing": "workload"}),)


def test_the_kill_switch_stops_floors() -> None:
    stopped = replace(policies(), kill_switch=True)

    decisions, memory = planner.decide(observation(), forecast(63.0, 3.0), None, Memory(), stopped, 0.0)

    assert decisions[0].actions == ()
    assert [veto.reason.code for veto in decisions[0].vetoes] == [ReasonCode.KILL_SWITCH]
    assert memory.scaling[WEB].floor.written is None


def test_a_refused_write_is_asked_for_again() -> None:
    before = Memory()
    first, after = planner.decide(observation(), forecast(63.0, 3.0), None, before, policies(), 0.0)

    after = planner.not_done(after, before, first[0].actions[0])
    second, _ = planner.decide(observation(15.0), forecast(63.0, 3.0), None, after, policies(), 15.0)

    assert second[0].actions == (SetFloor(WEB, 9, 315.0),)


def test_ids_are_the_same_for_the_same_time_and_workload() -> None:
    first, _ = planner.decide(observation(), forecast(63.0, 3.0), None, Memory(), policies(), 30.0)
    second, _ = planner.decide(observation(), forecast(63.0, 3.0), None, Memory(), policies(), 30.0)

    assert [decision.id for decision in first] == ["d-30000-shop/web", "d-30000-shop/api"]
    assert first == second


def test_most_seconds_the_fast_lane_decides_nothing() -> None:
    seen = FastSeen(0.0, (), (), {WEB: workload(WEB, 63.0)})

    assert planner.decide_fast(seen, Memory(), policies(), 0.0)[0] == ()


def test_memory_survives_json() -> None:
    _, memory = planner.decide(observation(), forecast(63.0, 3.0), None, Memory(), policies(), 0.0)

    assert load(dump(memory)) == memory


def test_poor_calibration_stops_no_floor() -> None:
    poor = forecast(63.0, 3.0, coverage=0.1)

    decisions, _ = planner.decide(observation(), poor, None, Memory(), policies(), 0.0)

    assert decisions[0].actions == (SetFloor(WEB, 9, 300.0),)


# Ceilings while people stop us


def dimmed(fast: bool) -> Memory:
    """A ceiling that one of the lanes set a moment ago."""
    standing = {WEB: Dimmed(0.4, fast, until_s=160.0)}
    slow = BrownoutMemory({} if fast else {WEB: StandingCeiling(0.4, 100.0, 160.0)})
    own = {WEB: FastCeiling(0.4, 100.0, 160.0, 100.0, 0.0)} if fast else {}
    lane = FastLaneMemory(overload=OverloadMemory(ceilings=own))
    return Memory(brownout=slow, fast_lane=lane, guardrails=GuardrailMemory(dimmed=standing))


def stopped(by: str) -> PolicySet:
    rules = policies()
    if by == "the kill switch":
        return replace(rules, kill_switch=True)
    web = replace(rules.workloads[WEB], guardrails=Guardrails(paused=True))
    return replace(rules, workloads={**rules.workloads, WEB: web})


def second(memory: Memory, rules: PolicySet, now_s: float) -> tuple[list[Action], Memory]:
    seen = FastSeen(now_s, (), (), {WEB: workload(WEB, 63.0)}, gateway_failed_ratio=0.0, gateway_rate_rps=60.0)
    decisions, memory = planner.decide_fast(seen, memory, rules, now_s)
    return [action for decision in decisions for action in decision.actions], memory


@pytest.mark.parametrize("by", ["the kill switch", "a pause"])
@pytest.mark.parametrize("fast", [False, True], ids=["planned", "of-the-fast-lane"])
def test_a_ceiling_is_lifted_as_soon_as_somebody_stops_us(fast: bool, by: str) -> None:
    actions, memory = second(dimmed(fast), stopped(by), 110.0)
    assert actions == [SetBrownout(WEB, 1.0, 170.0)]

    actions, _ = second(memory, stopped(by), 111.0)
    assert actions == []


def test_a_ceiling_stays_while_nobody_stops_us() -> None:
    actions, memory = second(dimmed(fast=False), policies(), 110.0)

    assert actions == [] and WEB in memory.guardrails.dimmed


def test_nobody_elses_ceiling_is_lifted_by_a_pause_of_one_policy() -> None:
    rules = stopped("a pause")
    memory = dimmed(fast=False)
    other = replace(memory, guardrails=GuardrailMemory(dimmed={API: Dimmed(0.4, False, until_s=160.0)}))

    actions, after = second(other, rules, 110.0)

    assert actions == [] and API in after.guardrails.dimmed
