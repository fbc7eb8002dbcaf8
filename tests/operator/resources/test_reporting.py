"""What a status shows, and when it has to be written at all."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from crd_admission import admitted
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from policies_as_written import body, policy

from forecasting.forecast import Forecast
from foresail.resources.conditions import conditions_of
from foresail.resources.crd import crd
from foresail.resources.news import news
from foresail.resources.policy_resource import read_policy
from foresail.resources.problems import PolicyName, Problem, ProblemKind
from foresail.resources.reporting import MOST_BYTES, read_status, status_of
from foresail.resources.shown import calibration_shown, demand_shown, forecasts_shown, iso
from foresail.resources.status import (
    MOST_DECISIONS,
    MOST_FLOORS,
    CalibrationShown,
    ConditionType,
    Truth,
    Verdict,
)
from policies.calibration_gate import TrustMemory
from policies.decision import Decision, Proposal, Reason, ReasonCode, SetFloor, SetTraffic, Veto
from policies.floors import FloorState
from policies.model import Mode, Rung

#: The same examples in every run and no time limit: this machine may be busy.
REPEATABLE = settings(
    max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

NOW_S = 1_795_766_400.0  # 2026-11-27T08:00:00Z
WEB = "shop/web"
PAUSED = replace(policy(mode="Enforce"), paused=True)
STATUS = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"]


def decision(at_s=NOW_S, workload=WEB, code=ReasonCode.DEMAND_FITS, mode=Mode.ENFORCE, **fields):
    return Decision(
        f"{workload}@{at_s:.0f}", at_s, workload, mode, fields.pop("actions", ()), (Reason(code),), **fields
    )


def raised(floor, at_s=NOW_S, workload=WEB, **fields):
    act = SetFloor(workload, floor, at_s + 300.0)
    return decision(at_s, workload, ReasonCode.DEMAND_EXPECTED, actions=(act,), **fields)


def floor(written, original=3, **fields):
    return FloorState(written=written, original=original, expires_at_s=NOW_S + 300.0, **fields)


def forecast(*peaks, workloads=(WEB,), at_s=NOW_S, coverage=0.8, skill=0.4):
    """All paths of a workload have the same peak."""
    paths = np.array([[[0.0, peak, 0.0]] * 5 for peak in peaks])
    measured = np.full(len(peaks), coverage), np.full(len(peaks), skill)
    return Forecast(workloads, (0.5,), paths[:, 0, :, None], paths, at_s, at_s, 15.0, "foresail", *measured)


def status(resource=None, decisions=(), floors=None, calibration=None, at_s=NOW_S, **fields):
    resource = resource or policy(mode="Enforce")
    floors = floors or {}
    problems = fields.pop("problems", resource.problems)
    kill_switch = fields.pop("kill_switch", False)
    workloads = fields.pop("workloads", (WEB,))
    new = fields.pop("new", decisions)
    conditions = conditions_of(resource, problems, workloads, decisions, floors, calibration, at_s, kill_switch)
    return status_of(resource, new, floors, calibration, conditions, at_s, workloads=workloads, **fields)


def condition(shown, kind):
    return next(condition for condition in shown.conditions if condition.type is kind)


def test_shows_floors_with_what_was_there_before_and_when_it_returns():
    shown = status(floors={WEB: floor(8), "other/x": floor(9)})

    assert shown.body()["floors"] == [
        {"workload": WEB, "original": 3, "written": 8, "expiresAt": "2026-11-27T08:05:00Z"}
    ]
    assert shown.floor == "web 3→8"


def test_a_floor_that_came_down_to_what_was_there_before_is_none():
    shown = status(floors={WEB: floor(3)})

    assert shown.floors == ()
    assert shown.floor == ""


def test_many_floors_are_told_in_short():
    names = [f"shop/w{n:03}" for n in range(MOST_FLOORS + 5)]

    shown = status(floors={name: floor(4 + n) for n, name in enumerate(names)}, workloads=names)

    assert len(shown.floors) == MOST_FLOORS
    assert shown.floors[-1].workload == names[-1]  # the highest rise is among them
    assert shown.floor == f"w005 3→9, w006 3→10 (+{MOST_FLOORS - 2})"


def test_decisions_are_explained_newest_first():
    shown = status(decisions=(decision(NOW_S - 15.0), raised(8)))

    assert [one.at for one in shown.decisions] == ["2026-11-27T08:00:00Z", "2026-11-27T07:59:45Z"]
    assert shown.decisions[0].explanation == "Set the floor of shop/web to 8: demand will need more pods."
    assert shown.decisions[0].acts == ("SetFloor shop/web 8",)
    assert shown.decisions[0].reasons == ("demand_expected",)


def test_what_was_held_back_is_shown():
    off = SetTraffic(WEB, "web-1", False, NOW_S + 600.0)
    wish = Proposal(WEB, Rung.DRAIN, off, 0.9, (Reason(ReasonCode.OUTLIER),), True)
    held = decision(withheld=(off,), mode=Mode.OBSERVE, vetoes=(Veto(wish, Reason(ReasonCode.COOLDOWN)),))

    (shown,) = status(decisions=(held,)).decisions

    assert shown.withheld == ("SetTraffic shop/web web-1 False",)
    assert shown.reasons == ("demand_fits", "not: cooldown")
    assert shown.mode is Mode.OBSERVE


def test_at_most_ten_decisions_are_kept():
    shown = None
    for n in range(MOST_DECISIONS + 3):
        shown = status(decisions=(raised(4 + n, NOW_S + 15.0 * n),), before=shown)

    assert [one.acts[0] for one in shown.decisions] == [f"SetFloor shop/web {n}" for n in range(16, 6, -1)]


@pytest.mark.parametrize("expires_at_s", [float("inf"), float("nan"), -1.0, 1e300])
def test_a_time_that_is_none_breaks_nothing(expires_at_s):
    state = FloorState(written=8, original=3, expires_at_s=expires_at_s)
    off = SetTraffic(WEB, "web-1", False, expires_at_s)

    shown = status(floors={WEB: state}, decisions=(decision(actions=(off,)),))

    assert admitted(STATUS, shown.body())[1] == []


def test_other_policies_decisions_are_not_shown():
    assert status(decisions=(raised(8, workload="shop/other"),)).decisions == ()


def test_the_same_decision_again_is_no_news():
    # A floor is renewed, and numbers in reasons move; what is done and why has not changed.
    first, said = news((raised(8),), {})
    renewed, said = news((raised(8, NOW_S + 150.0),), said)
    higher, _ = news((raised(9, NOW_S + 165.0),), said)

    assert (len(first), len(renewed), len(higher)) == (1, 0, 1)


def test_a_decision_to_do_nothing_waits_a_minute_after_the_last_news():
    _, said = news((raised(8),), {})
    soon, said = news((decision(NOW_S + 45.0),), said)
    later, _ = news((decision(NOW_S + 60.0),), said)

    assert (len(soon), len(later)) == (0, 1)


def test_calm_workloads_push_no_acts_out():
    acts = tuple(raised(8, NOW_S, f"shop/w{n}") for n in range(MOST_DECISIONS))
    calm = tuple(decision(NOW_S + 15.0, f"shop/calm{n}") for n in range(5))
    names = [one.workload for one in (*acts, *calm)]

    shown = status(decisions=(*acts, *calm), workloads=names)

    assert all(one.acts for one in shown.decisions)


def test_an_unchanged_status_is_equal_so_that_nobody_writes_it():
    floors = {WEB: floor(8)}
    first, said = news((raised(8),), {})
    before = status(decisions=(raised(8),), new=first, floors=floors)

    again = (raised(8, NOW_S + 15.0),)
    new, _ = news(again, said)
    after = status(decisions=again, new=new, floors=floors, before=before, at_s=NOW_S + 15.0)

    assert after == before


def test_conditions_keep_the_time_at_which_they_changed():
    calm, missing = (decision(),), (decision(code=ReasonCode.NO_METRICS),)
    first = status(decisions=calm)
    same = status(decisions=calm, before=first, at_s=NOW_S + 60.0)
    other = status(decisions=missing, before=same, at_s=NOW_S + 120.0)

    assert same == first
    kind = ConditionType.METRICS_MISSING
    assert [condition(s, kind).last_transition_time for s in (first, same, other)] == [
        iso(NOW_S),
        iso(NOW_S),
        iso(NOW_S + 120.0),
    ]
    assert condition(other, ConditionType.READY).last_transition_time == iso(NOW_S)


def test_what_was_written_reads_the_same():
    shown = status(decisions=(raised(8),), floors={WEB: floor(8)}, calibration=CalibrationShown(verdict=Verdict.GOOD))

    assert read_status({**body(), "status": json.loads(json.dumps(shown.body()))}) == shown
    assert admitted(STATUS, shown.body())[1] == []


@pytest.mark.parametrize(
    "written", [None, {}, {"status": None}, {"status": {"conditions": 1}}, {"status": {"mode": "x"}}]
)
def test_a_status_that_cannot_be_read_is_none(written):
    assert read_status(written) is None


def test_a_newer_operators_fields_are_passed_over():
    assert read_status({"status": {"workloads": 2, "invented": {}}}).workloads == 2


@pytest.mark.parametrize(
    ("given", "in_force", "reason"),
    [
        pytest.param({}, Mode.ENFORCE, "AsDeclared", id="as-declared"),
        pytest.param({"resource": PAUSED}, Mode.OBSERVE, "Annotation", id="paused"),
        pytest.param({"kill_switch": True}, Mode.OBSERVE, "KillSwitch", id="kill-switch"),
        pytest.param(
            {"calibration": CalibrationShown(verdict=Verdict.POOR, doubted=(WEB,))},
            Mode.RECOMMEND,
            "CalibrationPoor",
            id="poor-calibration",
        ),
        pytest.param(
            {"calibration": CalibrationShown(verdict=Verdict.POOR), "resource": policy()},
            Mode.OBSERVE,
            "AsDeclared",
            id="poor-calibration-lowers-nothing-that-only-observes",
        ),
        pytest.param(
            {"decisions": (decision(code=ReasonCode.NO_METRICS),)}, Mode.ENFORCE, "MetricsMissing", id="no-metrics"
        ),
        pytest.param({"resource": read_policy(body(mode="On"))}, Mode.OBSERVE, "Invalid", id="invalid"),
    ],
)
def test_the_mode_in_force_and_why(given, in_force, reason):
    shown = status(**given)

    assert (shown.mode.in_force, shown.mode.reason) == (in_force, reason)


def test_an_invalid_policy_is_not_ready_and_says_the_field():
    ready = condition(status(read_policy(body(mode="On")), workloads=()), ConditionType.READY)

    assert (ready.status, ready.reason) == (Truth.FALSE, "Invalid")
    assert ready.message.startswith("spec.mode: input should be 'Observe', 'Recommend' or 'Enforce'")


def test_a_policy_without_workloads_is_not_ready():
    ready = condition(status(workloads=()), ConditionType.READY)

    assert (ready.status, ready.reason) == (Truth.FALSE, "NoSuchWorkload")


def test_a_conflict_is_a_condition_on_its_own():
    message = "shop/web is under the older policy shop/a and stays there: remove it from one of the two"
    problem = Problem(PolicyName("shop", "shop"), ProblemKind.CONFLICT, "spec.targets[0]", message, WEB)

    shown = status(problems=(problem,))

    assert condition(shown, ConditionType.CONFLICT).status is Truth.TRUE
    assert condition(shown, ConditionType.CONFLICT).message == f"spec.targets[0]: {message}"
    assert condition(shown, ConditionType.READY).reason == "PartlyFollowed"


def test_demand_above_the_maximum_names_the_workload_and_the_fix():
    above = condition(status(decisions=(decision(code=ReasonCode.DEMAND_ABOVE_MAX),)), ConditionType.DEMAND_ABOVE_MAX)

    assert above.status is Truth.TRUE
    assert above.message.endswith("raise maxReplicas of shop/web")


def test_somebody_elses_writes_are_contested_while_we_leave_them_alone():
    contested = {WEB: FloorState(contested_until_s=NOW_S + 60.0)}

    assert condition(status(floors=contested), ConditionType.CONTESTED).status is Truth.TRUE
    assert condition(status(floors=contested, at_s=NOW_S + 61.0), ConditionType.CONTESTED).status is Truth.FALSE


def test_before_the_first_tick_nothing_is_claimed():
    shown = status()

    unknown = {one.type for one in shown.conditions if one.status is Truth.UNKNOWN}
    assert unknown == {
        ConditionType.DEMAND_ABOVE_MAX,
        ConditionType.METRICS_MISSING,
        ConditionType.CALIBRATION_POOR,
    }


def test_forecasts_are_rounded_and_stay_until_they_move():
    (first,) = forecasts_shown((WEB,), demand_shown(forecast(123.4)), ())
    near = forecasts_shown((WEB,), demand_shown(forecast(131.0, at_s=NOW_S + 60.0)), (first,))
    far = forecasts_shown((WEB,), demand_shown(forecast(150.0, at_s=NOW_S + 60.0)), (first,))
    soon = forecasts_shown((WEB,), demand_shown(forecast(150.0, at_s=NOW_S + 15.0)), (first,))

    assert first.likely_requests_per_second == first.high_requests_per_second == 120.0
    assert first.horizon_seconds == 45
    assert near == soon == (first,)
    assert far[0].likely_requests_per_second == 150.0


def test_without_a_forecast_none_is_shown():
    assert forecasts_shown((WEB,), None, ()) == ()
    assert forecasts_shown((WEB,), demand_shown(forecast(float("nan"))), ()) == ()


@pytest.mark.parametrize(
    ("doubted", "coverage", "verdict"),
    [
        ({}, 0.8, Verdict.GOOD),
        ({}, float("nan"), Verdict.LEARNING),
        ({WEB: ("reached", 0.5)}, 0.8, Verdict.POOR),
        ({"memory/shop/web/web-1": ("reached", 0.5)}, 0.8, Verdict.POOR),
        ({"memory/shop/other/x": ("reached", 0.5)}, 0.8, Verdict.GOOD),
    ],
)
def test_calibration_in_a_word(doubted, coverage, verdict):
    shown = calibration_shown((WEB,), demand_shown(forecast(10.0, coverage=coverage)), TrustMemory(doubted), None)

    assert shown.verdict is verdict
    assert len(shown.doubted) == (verdict is Verdict.POOR)


def test_calibration_figures_stay_until_they_move():
    first = calibration_shown((WEB,), demand_shown(forecast(10.0, coverage=0.81, skill=0.4)), TrustMemory(), None)
    near = calibration_shown((WEB,), demand_shown(forecast(10.0, coverage=0.84, skill=0.37)), TrustMemory(), first)
    far = calibration_shown((WEB,), demand_shown(forecast(10.0, coverage=0.9, skill=0.4)), TrustMemory(), first)

    assert (first.coverage_ratio, first.skill) == (0.81, 0.4)
    assert near == first
    assert far.coverage_ratio == 0.9


@REPEATABLE
@given(st.integers(0, 300), st.integers(0, 60))
def test_a_status_is_bounded_whatever_happens(length, count):
    names = [f"{'n' * min(63, length)}/{n:03}{'w' * min(250, length)}" for n in range(count)]
    decisions = tuple(raised(5, workload=name) for name in names)
    demand = forecast(*([10.0] * count), workloads=tuple(names)) if names else None
    forecasts = forecasts_shown(names, demand_shown(demand), ())

    shown = status(decisions=decisions, floors={name: floor(5) for name in names}, workloads=names, forecasts=forecasts)

    assert len(json.dumps(shown.body(), ensure_ascii=False).encode()) <= MOST_BYTES
    assert admitted(STATUS, shown.body())[1] == []
