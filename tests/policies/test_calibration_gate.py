"""Trust in forecasts: lost below one mark, regained at a higher one, and said aloud while it is missing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from forecasting.forecast import LEVELS, Forecast
from policies import calibration_gate, planner
from policies.calibration_gate import TrustMemory
from policies.decision import Proposal, Reason, ReasonCode, SetBrownout, SetFloor, SetTraffic
from policies.explain import render
from policies.memory import Memory, dump, load
from policies.model import (
    Mode,
    Observation,
    PodSeen,
    PolicySet,
    Rung,
    ScalingPolicy,
    SignalHistory,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
    WorkloadSeen,
)

WEB, API = "shop/web", "shop/api"
LEAK = SignalTarget(SignalKind.MEMORY, WEB, "web-0")
OTHER_LEAK = SignalTarget(SignalKind.MEMORY, WEB, "web-1")
ERRORS = SignalTarget(SignalKind.ERRORS, WEB, "web-0")
UNKNOWN = float("nan")


def forecast(**measured: float) -> Forecast:
    """Of the three signals; `measured` holds for the first, the others are fine."""
    names = (LEAK.key, OTHER_LEAK.key, ERRORS.key)
    fine = {"coverage": 0.8, "coverage98": 0.98, "skill": 0.2, "skill_linear": 0.1}
    figures = {name: np.asarray([measured.get(name, good), good, good]) for name, good in fine.items()}
    quantiles = np.ones((3, 4, len(LEVELS)))
    paths = np.ones((3, 10, 4))
    return Forecast(names, LEVELS, quantiles, paths, 0.0, 0.0, 60.0, "test", **figures)  # type: ignore[arg-type]


def trust(*forecasts: Forecast) -> TrustMemory:
    memory = TrustMemory()
    for one in forecasts:
        memory = calibration_gate.reviewed(memory, None, one)
    return memory


def drain(code: ReasonCode = ReasonCode.FAILURE_EXPECTED, *, signal: str = "memory", fast: bool = False) -> Proposal:
    reason = Reason(code, {"signal": signal, "pod": "web-0"})
    action = SetTraffic(WEB, "web-0", on=False, expires_at_s=600.0)
    return Proposal(WEB, Rung.DRAIN, action, 0.9, (reason,), disruptive=True, fast=fast)


def seen() -> Observation:
    history = SignalHistory((LEAK, OTHER_LEAK, ERRORS), np.zeros((3, 4)), np.ones(3), 60.0, 0.0)
    pod = PodSeen("web-0", "n", "z", created_at_s=-1e6, ready_at_s=-9e5)
    web = WorkloadSeen(WEB, 1, (pod,), hpa_min=1, hpa_max=50, offered_rps=63.0)
    return Observation(0.0, (web,), signals=history, metrics_age_s=5.0)


def stopped(proposal: Proposal, memory: TrustMemory) -> bool:
    accepted, vetoes = calibration_gate.judge([proposal], seen(), memory)
    assert [veto.reason.code for veto in vetoes] == [ReasonCode.CALIBRATION_POOR] * len(vetoes)
    assert len(accepted) + len(vetoes) == 1
    return bool(vetoes)


@pytest.mark.parametrize(
    ("measured", "loses"),
    [
        pytest.param({"coverage": 0.49}, True, id="narrow-band-misses-half"),
        pytest.param({"coverage": 0.51}, False, id="narrow-band-holds-half"),
        pytest.param({"coverage98": 0.84}, True, id="wide-band-misses-a-seventh"),
        pytest.param({"skill": -0.6, "skill_linear": -0.6}, True, id="worse-than-both-baselines"),
        pytest.param({"skill": -5.0, "skill_linear": 0.0}, False, id="as-good-as-a-line"),
        pytest.param({"skill": 0.0, "skill_linear": -5.0}, False, id="as-good-as-yesterday"),
        pytest.param({"skill": -0.6, "skill_linear": UNKNOWN}, True, id="worse-than-the-only-one-measured"),
        pytest.param(
            dict.fromkeys(("coverage", "coverage98", "skill", "skill_linear"), UNKNOWN), False, id="not-measured-yet"
        ),
    ],
)
def test_trust_is_lost_by_what_was_measured(measured: dict[str, float], loses: bool) -> None:
    memory = trust(forecast(**measured))

    assert stopped(drain(), memory) is loses


@pytest.mark.parametrize(
    ("reached", "loses"),
    [
        pytest.param(0.60, True, id="two-fifths-fell-short"),
        pytest.param(0.70, False, id="three-tenths-fell-short"),
        pytest.param(1.00, False, id="all-rose-as-forecast-or-higher"),
    ],
)
def test_who_is_known_to_promise_too_much_is_not_trusted_and_who_promised_too_little_is(
    reached: float, loses: bool
) -> None:
    """A band that missed most outcomes because they rose above it says nothing against acting early."""
    signals = replace(forecast(coverage=0.2, coverage98=0.4), reached=np.asarray([reached, 0.9, 0.9]))

    assert stopped(drain(), trust(signals)) is loses


@pytest.mark.parametrize(
    "proposal",
    [
        pytest.param(drain(signal="errors"), id="rests-on-another-signal"),
        pytest.param(drain(ReasonCode.OUTLIER), id="rests-on-no-forecast"),
        pytest.param(drain(fast=True), id="fast-lane"),
        pytest.param(replace(drain(), disruptive=False), id="an-undo"),
    ],
)
def test_what_does_not_rest_on_the_forecast_goes_on(proposal: Proposal) -> None:
    assert not stopped(proposal, trust(forecast(coverage=0.3)))


def test_acts_on_a_kind_of_signal_need_trust_in_most_of_its_forecasts() -> None:
    """A reason that names no pod rests on all of its workload's signals: one doubted of three does not stop it."""
    reason = Reason(ReasonCode.PRIMARY_AT_RISK, {"signal": "lag"})
    proposal = replace(drain(), reasons=(reason,))

    assert not stopped(proposal, trust(forecast(coverage=0.3)))
    assert stopped(proposal, TrustMemory(dict.fromkeys((LEAK.key, ERRORS.key), ("coverage", 0.3))))


def test_dimming_rests_on_the_forecast_of_demand() -> None:
    late = Reason(ReasonCode.CAPACITY_LATE)
    dim = Proposal(WEB, Rung.REWEIGHT, SetBrownout(WEB, 0.5, 60.0), 0.9, (late,), disruptive=True)

    assert stopped(dim, TrustMemory({WEB: ("coverage", 0.3)}))
    assert not stopped(dim, TrustMemory({API: ("coverage", 0.3)}))


def test_trust_does_not_come_and_go_with_every_outcome() -> None:
    lost = trust(forecast(coverage=0.49))
    better = calibration_gate.reviewed(lost, None, forecast(coverage=0.55))
    well = calibration_gate.reviewed(better, None, forecast(coverage=0.61))
    worse_again = calibration_gate.reviewed(well, None, forecast(coverage=0.55))

    assert stopped(drain(), better)  # 60 % are needed to come back
    assert not stopped(drain(), well)
    assert not stopped(drain(), worse_again)  # and below 50 % to go


def test_what_is_no_longer_measured_stays_as_it_was() -> None:
    lost = trust(forecast(coverage=0.4))

    forgotten = calibration_gate.reviewed(lost, None, forecast(coverage=UNKNOWN))
    blind = calibration_gate.reviewed(lost, None, None)

    assert forgotten.doubted == lost.doubted == blind.doubted


def test_series_that_are_gone_are_forgotten_once_both_forecasts_are_there() -> None:
    lost = TrustMemory({"memory/shop/web/web-9": ("coverage", 0.2)})
    demand = forecast()

    assert calibration_gate.reviewed(lost, None, forecast()).doubted == lost.doubted
    assert calibration_gate.reviewed(lost, demand, forecast()).doubted == {}


def test_a_series_that_mends_one_mark_may_still_fail_another() -> None:
    lost = trust(forecast(coverage=0.4))

    memory = calibration_gate.reviewed(lost, None, forecast(coverage=0.7, coverage98=0.8))

    assert memory.doubted[LEAK.key] == ("coverage98", 0.8)


def test_poor_forecasts_stop_no_floor_and_the_decision_says_which_mode_is_left() -> None:
    policies = PolicySet({WEB: WorkloadPolicy(WEB, scaling=ScalingPolicy(capacity_prior_rps=10.0))})
    paths = np.full((1, 20, 64), 63.0)
    quantiles = np.full((1, 64, len(LEVELS)), 63.0)
    poor, unmeasured = np.asarray([0.41]), np.full(1, np.nan)
    demand = Forecast((WEB,), LEVELS, quantiles, paths, 0.0, 0.0, 15.0, "test", poor, unmeasured)

    (decision,), memory = planner.decide(seen(), demand, forecast(coverage98=0.7), Memory(), policies, 0.0)

    assert decision.actions == (SetFloor(WEB, 9, 300.0),)
    told = render(decision, lambda at_s: f"{at_s:.0f} s")
    assert "disruptive acts on its demand forecast are down to Recommend" in told
    assert "(coverage 41 %, at least 60 % needed)" in told
    assert "on its memory forecast are down to Recommend: it has not earned trust lately for 1 of 2" in told
    assert "(coverage of the 98 % band 70 %, at least 90 % needed)" in told
    assert load(dump(memory)).trust == memory.trust != TrustMemory()


def test_a_policy_that_only_observes_is_not_raised_by_doubt() -> None:
    policies = PolicySet({WEB: WorkloadPolicy(WEB, mode=Mode.OBSERVE)})

    (reason,) = calibration_gate.lowered(seen(), policies, trust(forecast(coverage=0.3)))[WEB]

    assert reason.facts["mode"] == "Observe"


def test_nobody_says_anything_while_all_are_trusted() -> None:
    policies = PolicySet({WEB: WorkloadPolicy(WEB)})

    assert calibration_gate.lowered(seen(), policies, trust(forecast())) == {}
