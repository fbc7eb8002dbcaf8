"""Scores of forecasts and counts of acts."""

from __future__ import annotations

import numpy as np
import pytest

from policies import outcome
from policies.decision import Action, Decision, DetachPod, EvictPod, SetBrownout, SetFloor, SetTraffic, SwitchOver
from policies.model import Mode, Rung
from policies.outcome import Act

CART = "shop/cart"


def decision(at_s: float, *actions: Action) -> Decision:
    return Decision(f"d-{at_s}", at_s, CART, Mode.ENFORCE, actions, ())


def off(pod: str, until_s: float) -> SetTraffic:
    return SetTraffic(CART, pod, on=False, expires_at_s=until_s)


def test_coverage_and_pinball_of_known_outcomes() -> None:
    levels = (0.1, 0.5, 0.9)
    quantiles = np.array([[0.0, 5.0, 10.0]] * 3)
    actual = np.array([5.0, 12.0, np.nan])

    score = outcome.score(levels, quantiles, actual)

    # 5: 0.1 x 5 + 0 + 0.1 x 5 = 1.0. 12: 0.1 x 12 + 0.5 x 7 + 0.9 x 2 = 6.5. Six terms together.
    assert score.outcomes == 2
    assert score.coverage == 0.5
    assert score.band == pytest.approx(0.8)
    assert score.pinball == pytest.approx(7.5 / 6)


def test_nothing_known_gives_no_score() -> None:
    score = outcome.score((0.1, 0.9), np.full((2, 2), np.nan), np.array([1.0, 2.0]))

    assert (score.outcomes, score.coverage, score.pinball) == (0, None, None)


def test_the_steps_of_a_replacement_and_renewals_are_one_act() -> None:
    decisions = [
        decision(0.0, DetachPod(CART, "p0", 600.0)),
        decision(60.0, off("p0", 600.0)),
        decision(90.0, EvictPod(CART, "p0")),
        decision(100.0, SetFloor(CART, 5, 400.0), off("p1", 700.0)),
        decision(650.0, off("p1", 1300.0)),
        decision(660.0, SetTraffic(CART, "p1", on=True)),
        decision(5000.0, off("p1", 5600.0)),
    ]

    assert outcome.acts(decisions) == (
        Act(0.0, Rung.REPLACE, (CART,), "p0"),
        Act(100.0, Rung.DRAIN, (CART,), "p1"),
        Act(5000.0, Rung.DRAIN, (CART,), "p1"),
    )


def test_acts_by_rung_leave_undoing_out() -> None:
    decisions = [
        decision(0.0, SetFloor(CART, 5, 300.0), SetBrownout(CART, 0.5, 60.0)),
        decision(15.0, SetBrownout(CART, 1.0, 75.0), SetTraffic(CART, "p", on=True)),
        decision(30.0, SwitchOver("db", CART, "a", "b")),
    ]

    counts = outcome.actions_by_rung(decisions)

    assert {rung: count for rung, count in counts.items() if count} == {
        Rung.PRE_SCALE: 1,
        Rung.REWEIGHT: 1,
        Rung.SWITCH_OVER: 1,
    }


def test_an_act_is_needless_when_no_fault_ran_or_had_just_ended() -> None:
    def at(at_s: float) -> Act:
        return Act(at_s, Rung.DRAIN, (CART,), "p")

    needless = outcome.needless([at(50.0), at(150.0), at(450.0), at(501.0)], [(100.0, 200.0)])

    assert [act.at_s for act in needless] == [50.0, 501.0]


def test_rates_per_week_and_hundred_workloads() -> None:
    # Two in a day with ten workloads: fourteen a week, ten times that for a hundred.
    assert outcome.per_week_and_100_workloads(2, 86_400.0, 10) == pytest.approx(140.0)
    assert outcome.per_week_and_100_workloads(2, 0.0, 10) is None
