"""`foresail chaos compare` on experiments that were simulated in the first place: the truth is known."""

from __future__ import annotations

import json

import pytest
import yaml
from typer.testing import CliRunner

from chaos.experiments.state import RunState
from foresail.cli import app
from simulation.scenario import FaultKind

CRASH = {"kind": FaultKind.POD_CRASH.value, "service": "gateway", "start_s": 30, "duration_s": 30, "pods": 1}


def compare(*arguments):
    return CliRunner().invoke(app, ["chaos", "compare", *map(str, arguments), "--jobs", "1"])


@pytest.fixture
def played(live_folder, scenario):
    """A finished run of each of two arms, played at half the rate with a shortened warm-up."""
    short = scenario(faults=[CRASH])
    folder = live_folder(short, scale=0.5)
    folder.play(short, "hpa-tuned", 1)
    folder.play(short, "hpa-default", 1)
    return folder


def test_what_was_simulated_in_the_first_place_is_found_again_to_the_last_request(played):
    result = compare(played.path, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 0
    for line in told["arms"]:
        figures = line["figures"]
        for figure in ("requests", "downtime_s", "pod_hours"):
            assert figures[figure]["live"] == pytest.approx(figures[figure]["simulated"]), figure
        assert figures["p99_hard_ms"]["simulated"] == pytest.approx(figures["p99_hard_ms"]["live"], rel=0.25)
        assert all(one["desired"] == one["ready"] == 1.0 for one in line["replicas_within_1"])
    assert [verdict["holds"] for verdict in told["verdicts"]] == [True, True, True]
    assert json.loads((played.path / "comparison.json").read_text()) == told


def test_the_requests_of_a_probe_are_simulated_and_not_scored(live_folder, scenario):
    short = scenario(faults=[CRASH])
    folder = live_folder(short, probe_hz=2.0)
    folder.play(short, "hpa-tuned", 1)

    [line] = json.loads(compare(folder.path, "--json").stdout)["arms"]

    for figure in ("requests", "downtime_s", "pod_hours"):
        assert line["figures"][figure]["error"] == pytest.approx(0.0), figure
    assert all(one["desired"] == one["ready"] == 1.0 for one in line["replicas_within_1"])


def test_the_page_says_what_was_compared_in_words(played):
    result = compare(played.path)

    page = (played.path / "comparison.md").read_text()
    assert result.stdout == page
    assert "| short | hpa-tuned | 1 | " in page
    assert "- downtime within 30% or 5 s, by scenario and arm: yes (2 of 2)" in page


def test_a_shop_that_is_slower_than_the_simulators_is_told(live_folder, scenario):
    busy = scenario(load={"rps": 45, "roughness": 0.0})
    slow = busy.topology.model_copy(
        update={"operations": tuple(o.model_copy(update={"cpu_ms": 3.0 * o.cpu_ms}) for o in busy.topology.operations)}
    )
    folder = live_folder(busy)
    folder.play(busy, "hpa-tuned", 1, truth=slow)

    own = json.loads(compare(folder.path, "--json").stdout)
    (folder.path / "slow.yaml").write_text(yaml.safe_dump(slow.model_dump(mode="json")))
    measured = json.loads(compare(folder.path, "--json", "--topology", folder.path / "slow.yaml").stdout)

    assert own["verdicts"][0]["holds"] is False
    assert own["arms"][0]["figures"]["downtime_s"]["error"] < -5.0
    assert measured["verdicts"][0]["holds"] is True


def test_runs_without_a_result_are_listed_and_not_compared(played, scenario):
    short = played.scenarios[0]
    played.end(short, "foresail", 1, RunState.FAILED, "RunFailed: helm said no")
    played.end(short, "hpa-default", 2, RunState.BEGAN)
    played.end(short, "keda", 1, RunState.FINISHED)

    result = compare(played.path, "--json")

    told = json.loads(result.stdout)
    assert result.exit_code == 1
    assert {(one["arm"], one["seed"]): one["why"] for one in told["not_compared"]} == {
        ("foresail", 1): "failed: RunFailed: helm said no",
        ("hpa-default", 2): "began",
        ("keda", 1): "the simulator has no arm 'keda'",
    }
    assert {line["arm"] for line in told["arms"]} == {"hpa-tuned", "hpa-default"}


def test_fewer_seeds_and_arms_can_be_asked_for(played):
    played.play(played.scenarios[0], "hpa-tuned", 2)

    told = json.loads(compare(played.path, "--json", "--seeds", 1, "--arm", "hpa-tuned").stdout)

    assert [(line["arm"], line["seeds"]) for line in told["arms"]] == [("hpa-tuned", [1])]
    assert told["verdicts"][2]["holds"] is None  # one arm has no order


@pytest.mark.parametrize(
    ("options", "told"),
    [
        pytest.param(["--arm", "oracle"], "--arm oracle", id="arm"),
        pytest.param(["--scenario", "other"], "--scenario other", id="scenario"),
        pytest.param(["--topology", "nowhere"], "nowhere: no such file, and no topology is called", id="topology"),
    ],
)
def test_what_is_not_there_is_refused(played, options, told):
    result = compare(played.path, *options)

    assert result.exit_code == 2 and told in result.stderr


def test_a_folder_without_an_experiment_is_refused(tmp_path):
    result = compare(tmp_path)

    assert result.exit_code == 2 and "has no experiment.json" in result.stderr
