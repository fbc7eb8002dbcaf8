"""Several scenarios in one experiment: groups by what could be foreseen, and the page about all of them."""

from __future__ import annotations

import pytest

from simulation.reporting.results_page import results_page
from simulation.scoring.scoreboard import score
from simulation.scoring.summary import summarise
from simulation.scoring.summary_json import summary_json


@pytest.fixture
def summary(made_run, made_scenario):
    """One seed: Foresail is down 10 of 40 s where a leak is coming and 40 of 40 s where a pod crashes."""
    leak = {"kind": "memory_leak", "service": "gateway", "start_s": 10, "duration_s": 300}
    crash = {"kind": "pod_crash", "service": "gateway", "start_s": 10, "duration_s": 300}
    foreseen, sudden = made_scenario(900, [leak], "leak"), made_scenario(900, [crash], "crash")
    long, short = dict.fromkeys(range(30, 61), 5), {30: 5}
    scores = [
        score(made_run(seconds=900, arm=arm, seed=1, failed=failed, scenario=scenario))
        for scenario, arm, failed in (
            (foreseen, "hpa-tuned", long),
            (foreseen, "foresail", short),
            (sudden, "hpa-tuned", long),
            (sudden, "foresail", long),
        )
    ]
    return summarise([foreseen, sudden], ["hpa-tuned", "foresail"], [1], scores)


def test_scenarios_are_grouped_by_what_could_be_foreseen(summary):
    assert {name: group.scenarios for name, group in summary.groups.items()} == {
        "predictable": ("leak",),
        "unforeseeable": ("crash",),
    }
    ratio = summary.comparison("foresail", "hpa-tuned", "downtime_s").ratio
    assert ratio == pytest.approx(50 / 80)
    pair = ("foresail", "hpa-tuned")
    assert summary.groups["predictable"].paired[pair]["downtime_s"].ratio == pytest.approx(0.25)
    assert summary.groups["unforeseeable"].paired[pair]["downtime_s"].ratio == pytest.approx(1.0)


def test_groups_are_in_the_json_of_several_scenarios(summary):
    groups = summary_json(summary)["groups"]

    assert groups["predictable"]["paired"]["foresail_vs_hpa-tuned"]["downtime_s"]["ratio"] == pytest.approx(0.25)


def test_the_page_shows_ratios_by_group_and_every_scenario(summary):
    page = results_page(summary)

    assert "| predictable | foresail | hpa-tuned | 0.25 |" in page
    assert "| crash | 40 / " in page


@pytest.mark.parametrize(
    ("faults", "group"),
    [
        pytest.param(["memory_leak", "pod_crash"], "mixed", id="some-of-it"),
        pytest.param([], "predictable", id="a-load-that-moves-without-steps"),
    ],
)
def test_what_a_forecast_could_know_names_the_group(made_scenario, faults, group):
    hits = [{"kind": kind, "service": "gateway", "start_s": 10, "duration_s": 300} for kind in faults]

    assert made_scenario(900, hits).group == group
