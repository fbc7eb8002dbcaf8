"""Live runs go through the same summary and report as simulated ones, and say so."""

import json

from simulation.reporting.report import report_html
from simulation.scenario import Load, Scenario, topology_preset
from simulation.studies.experiment import Plan, put_together


def test_a_summary_of_live_runs_is_marked_live(tmp_path):
    scenario = Scenario(name="short", duration_s=30, topology=topology_preset("shop"), load=Load(rps=5))
    plan = Plan((scenario,), ("hpa-tuned", "foresail"), (1,), tmp_path, origin="live")

    outcome = put_together(plan, [])

    assert json.loads((tmp_path / "summary.json").read_text())["origin"] == "live"
    page = report_html(scenario, outcome.summary, [])
    assert "1 paired seed · live" in page
    assert "measured on a cluster" in page and "No cluster was involved" not in page
