from __future__ import annotations

import xml.etree.ElementTree as ET

import pytest

from simulation import failure_report
from simulation.failure_backtest import METHODS, MethodUnknown, Plan, backtest, jobs, method_named

PLAN = Plan(("predict-linear", "static-threshold"), episodes=14, workloads=1, days=0.3, workers=1, shop_runs=0)


@pytest.fixture(scope="module")
def finished():
    heard = []
    return backtest(PLAN, heard.append), heard


def test_every_method_is_judged_on_the_same_episodes(finished):
    result, heard = finished

    found = failure_report.as_json(result)

    assert len(heard) == jobs(PLAN)
    assert set(found["methods"]) == set(PLAN.models)
    assert found["episodes"] == 14
    assert found["healthy_weeks"] == pytest.approx(0.3 / 7, abs=1e-3)
    assert sum(found["sources"].values()) == 14
    counts = [
        {kind: group["episodes"] for kind, group in method["by_kind"].items()} for method in found["methods"].values()
    ]
    assert counts[0] == counts[1]
    assert sum(counts[0].values()) == found["failing_episodes"]


def test_figures_are_shares_times_and_rates(finished):
    found = failure_report.as_json(finished[0])

    for method in found["methods"].values():
        assert 0.0 <= method["recall"] <= 1.0
        assert method["recall_ci95"][0] <= method["recall"] <= method["recall_ci95"][1]
        assert method["false_alarms_per_week"] >= 0.0
        assert method["p10_lead_s"] is None or method["p10_lead_s"] <= method["median_lead_s"]
        assert 0.0 <= method["brier"] <= 1.0
        assert sum(method["reliability"]["30"]["looks"]) > 0


def test_the_page_and_the_picture_show_every_method(finished, tmp_path):
    paths = failure_report.write(finished[0], tmp_path)

    assert [path.name for path in paths] == ["failures.json", "failures.md", "reliability.svg"]
    assert all(name in (tmp_path / "failures.md").read_text() for name in PLAN.models)
    picture = ET.parse(tmp_path / "reliability.svg").getroot()
    assert [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")][-2:] == list(PLAN.models)


def test_an_unknown_method_is_named_with_those_that_exist():
    with pytest.raises(MethodUnknown, match="no method is called 'magic': use one of foresail, "):
        method_named("magic")


def test_every_method_has_as_many_variants_as_it_says():
    assert all(METHODS[name]().variants for name in METHODS)
