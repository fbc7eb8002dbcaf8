from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from foresail.cli import app
from simulation.scoring.scoreboard import FIGURES

TINY = {
    "name": "tiny",
    "duration_s": 120,
    "warm_up_s": 20,
    "history": {"hours": 0.1, "days_remembered": 0},
    "load": {"rps": 8},
    "topology": {
        "nodes": [{"zone": "a", "count": 1}, {"zone": "b", "count": 1}],
        "services": [{"name": "web", "cpu_ms": 10, "replicas": 2, "hpa": {"min_replicas": 2, "max_replicas": 4}}],
    },
}


def foresail(*arguments):
    return CliRunner().invoke(app, [str(a) for a in arguments])


@pytest.fixture
def scenario(tmp_path):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(TINY))
    return path


@pytest.fixture
def broken(tmp_path):
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump({**TINY, "durations": 1}))
    return path


def test_json_prints_the_summary_and_nothing_else(scenario, tmp_path):
    result = foresail(
        "simulate",
        scenario,
        "--arms",
        "hpa-default,hpa-tuned",
        "--seeds",
        2,
        "--jobs",
        1,
        "--out",
        tmp_path / "o",
        "--json",
    )

    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    assert set(summary["arms"]) == {"hpa-default", "hpa-tuned"}
    assert set(summary["arms"]["hpa-tuned"]) == set(FIGURES)
    assert len(summary["paired"]["hpa-default_vs_hpa-tuned"]["pod_hours"]["ci95"]) == 2
    assert summary["seeds"] == [1, 2]
    assert json.loads((tmp_path / "o" / "summary.json").read_text()) == summary


def test_the_terminal_shows_scoreboard_verdict_and_files(scenario, tmp_path):
    result = foresail("simulate", scenario, "--arms", "hpa-tuned", "--jobs", 1, "--out", tmp_path / "o")

    assert result.exit_code == 0
    assert "hpa-tuned was down for 0 s" in result.stdout
    assert str(tmp_path / "o" / "report.html") in result.stdout


def test_a_finished_run_explains_itself(scenario, tmp_path):
    foresail("simulate", scenario, "--arms", "foresail", "--jobs", 1, "--out", tmp_path / "o")

    result = foresail("explain", tmp_path / "o", "--at", "12:01")

    assert result.exit_code == 0
    assert "foresail, seed 1, at 12:01" in result.stdout
    assert "web" in result.stdout


def test_a_trace_replaces_the_load_and_ends_the_run(scenario, tmp_path):
    trace = tmp_path / "rates.csv"
    trace.write_text("rps\n" + "5\n" * 30)

    result = foresail(
        "simulate", scenario, "--arms", "hpa-tuned", "--jobs", 1, "--out", tmp_path / "o", "--json",
        "--trace", trace, "--trace-step-s", 2, "--trace-mean-rps", 20,
    )  # fmt: skip

    assert result.exit_code == 0
    assert json.loads(result.stdout)["duration_s"] == 60
    # 20/s for 60 s: 1200 ± 4 × 35
    assert json.loads(result.stdout)["arms"]["hpa-tuned"]["requests"]["mean"] == pytest.approx(1200, abs=140)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(["simulate", "nowhere.yaml"], "nowhere.yaml: no such file", id="scenario"),
        pytest.param(["simulate", "{broken}"], "durations: unknown key", id="key"),
        pytest.param(["simulate", "{tiny}", "--arms", "magic"], "no arm is called 'magic'", id="arm"),
        pytest.param(["simulate", "{tiny}", "--arms", ","], "names no arm", id="no-arm"),
        pytest.param(["simulate", "{tiny}", "--seeds", "0"], "--seeds", id="seeds"),
        pytest.param(["simulate", "{tiny}", "--trace", "none.csv"], "none.csv", id="trace"),
        pytest.param(
            ["simulate", "{tiny}", "--trace-mean-rps", "5"], "--trace-mean-rps needs --trace", id="trace-option"
        ),
        pytest.param(
            ["simulate", "{tiny}", "--trace", "{tiny}", "--trace-mean-rps", "5", "--trace-peak-rps", "9"],
            "choose one",
            id="trace-scales",
        ),
        pytest.param(["simulate", "{tiny}", "--trace", "{tiny}"], "is not a number", id="trace-content"),
        pytest.param(["simulate", "{tiny}", "--backend", "cloud"], "use local or dask", id="backend"),
        pytest.param(["simulate", "{tiny}", "--backend", "dask"], "needs --scheduler", id="no-scheduler"),
        pytest.param(["simulate", "{tiny}", "--scheduler", "tcp://x:1"], "only for --backend dask", id="scheduler"),
        pytest.param(["simulate", "{tiny}", "{tiny}"], "have the same name", id="twice"),
        pytest.param(["simulate", "{tiny}", "--out", "{tiny}"], "cannot be made a folder", id="out"),
        pytest.param(["simulate", "{tiny}", "--duration-s", "-4"], "duration_s", id="duration"),
        pytest.param(["explain", "{folder}", "--at", "12:31"], "give the --out folder", id="explain"),
        pytest.param(["pareto", "nowhere.yaml"], "no such file", id="pareto"),
        pytest.param(["tune", "--arms", "hpa-default"], "nothing to tune", id="tune"),
        pytest.param(["tune", "--arms", "foresail", "--log", "{tiny}", "--dry-run"], "is no trial", id="tune-log"),
        pytest.param(["hpa-replay", "nowhere.json"], "nowhere.json", id="replay"),
        pytest.param(["bench", "everything"], "use one of sim, tick", id="bench"),
        pytest.param(["hpa-replay", "{nan}"], "field current_replicas: expected a whole number", id="replay-nan"),
        pytest.param(["simulate", "{tiny}", "--seeds", "99999999999"], "--seeds", id="too-many-seeds"),
        pytest.param(["pareto", "{tiny}", "--out", "{tiny}"], "cannot be made a folder", id="pareto-out"),
        pytest.param(["tune", "--log", "{tiny}/trials.jsonl"], "cannot be made a folder", id="tune-log-folder"),
        pytest.param(["launch"], "launch", id="command"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(arguments, message, scenario, broken, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    inputs = '{"current_replicas": NaN, "desired_replicas": 3, "min": 1, "max": 4}'
    nan = tmp_path / "nan.json"
    nan.write_text(f'[{{"id": 1, "kind": "convert_without_behavior", "input": {inputs}, "expected": {{}}}}]')
    places = {"tiny": scenario, "broken": broken, "folder": tmp_path, "nan": nan}

    result = foresail(*(a.format(**places) for a in arguments))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr


def test_a_time_outside_the_run_is_refused(tmp_path):
    about = {"arms": {"foresail": {}}, "seeds": [1], "starts_at": "12:00", "duration_s": 60}
    (tmp_path / "summary.json").write_text(json.dumps(about))
    (tmp_path / "decisions.jsonl").write_text("")

    result = foresail("explain", tmp_path, "--at", "13:00")

    assert result.exit_code == 2
    assert "which goes from 12:00 to 12:01" in result.stderr


@pytest.mark.parametrize(
    ("summary", "decisions", "message"),
    [
        ("{", "", "summary.json: no JSON"),
        ("[]", "", "summary.json: not the summary of a run"),
        ('{"arms": {"kpa": {}}, "seeds": [1], "starts_at": "12:00", "duration_s": 60}', "{\n", "line 1 is no JSON"),
        ('{"arms": {"kpa": {}}, "seeds": [1], "starts_at": "12:00", "duration_s": 60}', "5\n", "line 1 is no decision"),
    ],
)
def test_a_damaged_run_is_refused(summary, decisions, message, tmp_path):
    (tmp_path / "summary.json").write_text(summary)
    (tmp_path / "decisions.jsonl").write_text(decisions)

    result = foresail("explain", tmp_path, "--at", "12:00")

    assert result.exit_code == 2
    assert message in result.stderr


def test_a_reader_that_stops_early_is_no_mistake(tmp_path):
    inputs = {"current_replicas": 2, "desired_replicas": 3, "min": 1, "max": 4}
    case = {"kind": "convert_without_behavior", "input": inputs, "expected": {"replicas": 3}}
    path = tmp_path / "cases.json"
    path.write_text(json.dumps([{"id": i, **case} for i in range(20_000)]))
    command = [sys.executable, "-c", "from foresail.cli import main; main()", "hpa-replay", str(path)]

    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as replay:
        first = replay.stdout.readline()
        replay.stdout.close()
        assert json.loads(first) == {"id": 0, "replicas": 3}
        assert replay.stderr.read() == ""


def test_a_shorter_run_drops_the_faults_that_come_later(scenario, tmp_path):
    raw = {**TINY, "faults": [{"kind": "pod_crash", "service": "web", "start_s": 100}]}
    scenario.write_text(yaml.safe_dump(raw))

    result = foresail(
        "simulate", scenario, "--arms", "hpa-tuned", "--jobs", 1, "--out", tmp_path / "o", "--json", "--duration-s", 30
    )

    assert result.exit_code == 0
    assert json.loads(result.stdout)["faults"] == []


def test_a_run_without_decisions_says_so(tmp_path):
    about = {"arms": {"foresail": {}}, "seeds": [1], "starts_at": "12:00", "duration_s": 60}
    (tmp_path / "summary.json").write_text(json.dumps(about))
    (tmp_path / "decisions.jsonl").write_text("")

    assert "nothing was decided" in foresail("explain", tmp_path, "--at", "12:00").stdout


def test_a_sweep_of_the_main_knob_is_written_and_drawn(scenario, tmp_path):
    result = foresail(
        "pareto", scenario, "--arms", "hpa-tuned", "--points", 2, "--seeds", 1, "--jobs", 1, "--out", tmp_path / "p"
    )

    assert result.exit_code == 0
    assert (
        (tmp_path / "p" / "pareto.csv")
        .read_text()
        .startswith("arm,knob,value,runs,pod_hours,downtime_s,bad_requests\n")
    )
    assert len(json.loads((tmp_path / "p" / "pareto.json").read_text())["points"]) == 2
    assert "<svg" not in (tmp_path / "p" / "pareto.html").read_text()  # drawn when opened
    assert "hpa_target_pct" in (tmp_path / "p" / "pareto.html").read_text()


def test_scenarios_are_listed_with_what_they_are_about():
    lines = foresail("scenarios").stdout.splitlines()

    assert len(lines) >= 20
    assert all(len(line.split()) > 2 for line in lines)
    assert any(line.startswith("sale-day ") for line in lines)


def test_the_schema_is_json():
    assert "topology" in json.loads(foresail("schema").stdout)["properties"]


def test_replays_print_one_line_per_case():
    cases = Path(__file__).parents[2] / "../shared/data/hpa/hpa_vectors.json"
    if not cases.is_file():
        pytest.skip("the shared HPA cases are not here")

    lines = foresail("hpa-replay", cases).stdout.splitlines()

    assert len(lines) == len(json.loads(cases.read_text())["cases"])
    assert all("id" in json.loads(line) for line in lines)


def test_help_loads_nothing_heavy():
    code = (
        "import sys, foresail.cli; print([m for m in ('numpy', 'numba', 'pandas', 'simulation') if m in sys.modules])"
    )

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
