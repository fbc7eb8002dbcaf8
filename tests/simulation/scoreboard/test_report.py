from __future__ import annotations

import json
import re

import numpy as np
import pytest

from policies.decision import Decision, EvictPod, Reason, ReasonCode, SetFloor
from policies.model import Mode
from simulation.reporting.report import embedded_json, kept_together, report_html
from simulation.reporting.run_view import calibration, run_view
from simulation.result import Act
from simulation.scenario import scenario_of
from simulation.scoring.scoreboard import score
from simulation.scoring.summary import summarise


@pytest.fixture
def page(made_run, made_scenario, made_fault, made_forecast):
    scenario = made_scenario(120)
    faults = (made_fault(20, 40, label="</script> crash"),)
    runs = [
        made_run(seconds=120, arm="hpa-tuned", failed={30: 5}, faults=faults),
        made_run(seconds=120, arm="foresail", faults=faults, forecasts=(made_forecast(0.0, 8, 10, 12),)),
    ]
    summary = summarise([scenario], ["hpa-tuned", "foresail"], [1], [score(r) for r in runs])
    return report_html(scenario, summary, [run_view(r) for r in runs])


def data_of(page):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.S)[1])


def test_the_report_needs_no_network(page):
    assert not re.search(r"""(src|href)\s*=|@import|url\((?!#)|https?://(?!www\.w3\.org/2000/svg)""", page)


def test_the_report_begins_with_the_verdict(page):
    assert re.search(r"<h1>foresail was down for 0\N{NO-BREAK SPACE}s, .*less than hpa-tuned", page)


def test_nothing_in_the_data_can_end_its_element(page):
    assert data_of(page)["faults"][0]["label"] == "</script> crash"
    assert "&lt;/script&gt; crash" in page


def test_the_report_draws_each_arm_and_its_spells(page):
    tuned, foresail = data_of(page)["arms"]

    assert tuned["down"] == [[30, 40]]
    assert foresail["down"] == []
    assert foresail["forecasts"][0]["high"] == [12.0] * 4


def test_an_averted_fault_is_told_as_such(page):
    assert re.search(r"10 s down, MTTR 10 s</td>\s*<td class=\"text\">averted</td>", page)


def test_embedded_json_escapes_markup():
    assert str(embedded_json({"a": "<b>"})) == '{"a":"\\u003cb>"}'


def test_numbers_and_units_stay_on_one_line():
    assert kept_together("10 s, 75 % less") == "10\N{NO-BREAK SPACE}s, 75\N{NO-BREAK SPACE}% less"


def test_series_are_thinned_to_what_a_screen_shows(made_run):
    # 7200 s in at most 720 points: steps of 10 s
    view = run_view(made_run(seconds=7200, failed={15: 1}))

    assert view.step_s == 10
    assert len(view.demand_rps) == 720
    assert view.demand_rps[:2] == [10.0, 10.0]
    assert view.bad_pct[:3] == [0.0, 1.0, 0.0]  # 1 of 100


def test_demand_is_shown_where_it_is_forecast_at_the_gateway(made_run, made_scenario):
    """Requests that enter elsewhere are not what the gateway's forecast is about."""
    raw = made_scenario(100).model_dump(mode="json", exclude_unset=True)
    raw["topology"]["classes"] = [
        {"name": "page", "share": 1, "operation": "gateway.request"},
        {"name": "request", "share": 1, "operation": "checkout.request"},  # the class of runs made by hand
    ]

    assert set(run_view(made_run(scenario=scenario_of(raw, "two doors"))).demand_rps) == {0.0}
    assert set(run_view(made_run()).demand_rps) == {10.0}


def test_calibration_counts_outcomes_inside_above_and_below_the_band(made_run, made_forecast):
    # demand is 10/s: bands 8-12 hold it, 11-12 lie above what came, 8-9 below it
    forecasts = (
        made_forecast(0.0, 8, 10, 12),
        made_forecast(15.0, 8, 10, 12),
        made_forecast(30.0, 11, 11.5, 12),
        made_forecast(45.0, 8, 8.5, 9),
        made_forecast(45.0, 10, 10, 10),  # promises no band
    )

    (minute,) = calibration(made_run(seconds=200, forecasts=forecasts))

    assert minute.lead_s == 60.0
    assert (minute.inside, minute.above, minute.below, minute.points) == (0.5, 0.25, 0.25, 4)


def test_a_forecast_is_held_against_the_bin_that_ends_at_its_step(made_run, made_forecast):
    # issued at 0, a minute ahead: the bin [45, 60)
    demand = np.full((2, 10), 100.0)
    demand[0, 3] = 10.0

    (minute,) = calibration(made_run(seconds=150, forecasts=(made_forecast(0.0, 8, 10, 12),), actual_demand_rps=demand))

    assert minute.inside == 1.0


def decided(at_s, action):
    return Decision(f"d-{at_s}", at_s, "shop/gateway", Mode.ENFORCE, (action,), (Reason(ReasonCode.DEMAND_EXPECTED),))


def test_renewing_a_floor_is_told_apart_from_changing_it(made_run):
    floors = [(10.0, 3), (20.0, 3), (30.0, 4)]

    view = run_view(made_run(decisions=tuple(decided(t, SetFloor("shop/gateway", n, t + 300)) for t, n in floors)))

    assert [e["kind"] for e in view.events] == ["act", "renewal", "act"]


def test_when_too_much_happened_disruptive_acts_are_kept(made_run):
    decisions = [decided(float(t), SetFloor("shop/gateway", 3 + t % 2, t + 300.0)) for t in range(20)]
    eviction = decided(50.0, EvictPod("shop/gateway", "gateway-1"))
    act = Act(50.0, "gateway", "EvictPod", "gateway-1", True, eviction.id)

    view = run_view(made_run(decisions=(*decisions, eviction), acts=(act,)), events=5)

    assert [e["at_s"] for e in view.events] == [0, 1, 2, 3, 50]
    assert view.events_left_out == 16
