from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

import simulation.corpus as corpus
from forecasting.series_files import read_series
from foresail.cli import app
from policies.model import SignalKind, SignalTarget
from simulation.corpus_scenarios import Drawn
from simulation.corpus_signals import Tape
from simulation.scenario import scenario_of
from simulation.world import World

SEED = 1_000_000
SMALL = {
    "name": "small",
    "duration_s": 4500,
    "warm_up_s": 60,
    "starts_at": "06:30",
    "history": {"hours": 0, "days_remembered": 0},
    "load": {"rps": 4, "roughness": 0.3},
    "topology": {
        "nodes": [{"zone": "a", "count": 2}],
        "services": [{"name": "entry", "cpu_ms": 40, "replicas": 3, "memory_base_mib": 100, "memory_limit_mib": 300}],
    },
    "faults": [
        # 4 MiB a minute from 900 s on for half an hour: 120 MiB, less than the room of 200 MiB.
        {"kind": "memory_leak", "service": "entry", "start_s": 900, "duration_s": 1800, "magnitude": 4},
        {"kind": "metrics_outage", "start_s": 3000, "duration_s": 300},
    ],
}


def small(seed):
    return Drawn(scenario_of(SMALL, f"seed {seed}"), hpa=False)


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """One run's files, simulated once for all tests that only look at them."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(corpus, "corpus_scenario", small)
        folder = tmp_path_factory.mktemp("corpus")
        return corpus.write_corpus(folder, runs=1, workers=1)


def columns(written, kind):
    path = written.manifest.parent / f"run-{SEED}-{kind}.csv"
    return {series.name.partition("/")[2]: series for series in read_series(path)}


def test_services_are_written_every_fifteen_seconds(written):
    offered = columns(written, "15s")["entry.offered"]

    assert offered.step_s == 15.0
    assert offered.values.size == 300  # 4500 / 15
    # Poisson arrivals of 4/s, 900 s of noise on the rate included.
    assert np.nanmean(offered.values) == pytest.approx(4.0, rel=0.2)


def test_times_are_those_of_the_scenario_on_some_day(written):
    offered = columns(written, "15s")["entry.offered"]

    # 1,000,000 = 2747 × 364 + 92: 92 days after 1 January 2024 (day 19,723), at 06:30.
    assert offered.start_at_s == (19_723 + 92) * 86_400 + 6.5 * 3600


def test_pods_are_written_every_minute_and_show_the_leak(written):
    memory = [series for name, series in columns(written, "60s").items() if name.endswith(".memory")]

    assert len(memory) == 2  # of three pods
    for series in memory:
        assert series.step_s == 60.0
        assert np.nanmax(series.values[:15]) < 105
        # Leaks are within a fifth of 4 MiB/min: 96 to 144 MiB after half an hour.
        assert 190 < np.nanmax(series.values[40:46]) < 250
        assert np.nanmax(series.values[46:]) < 105


def test_an_outage_of_monitoring_is_a_gap(written):
    offered = columns(written, "15s")["entry.offered"].values

    # 3000 to 3300 s are points 200 to 219; the first scrape after it has no interval to reckon with.
    assert np.isnan(offered[201:220]).all()
    assert not np.isnan(offered[:199]).any()
    assert not np.isnan(offered[222:]).any()


def test_the_manifest_says_what_every_column_is_and_what_went_wrong(written):
    manifest = json.loads(written.manifest.read_text())

    (run,) = manifest["runs"]
    assert manifest["failed"] == []
    assert run["seed"] == SEED
    assert run["arm"] == "fixed replicas"
    assert run["scenario"]["load"]["rps"] == 4
    for file, kind in zip(run["files"], ("15s", "60s"), strict=True):
        assert [signal["column"] for signal in file["signals"]] == list(columns(written, kind))
    leak, outage = run["faults"]
    assert (leak["kind"], leak["start_s"], leak["end_s"], leak["service"]) == ("memory_leak", 900, 2700, "entry")
    assert len([target for target in leak["targets"] if target != "entry"]) == 3
    assert outage["kind"] == "metrics_outage"
    memory = next(signal for signal in run["files"][1]["signals"] if signal["quantity"] == "memory")
    assert (memory["unit"], memory["limit"], memory["workload"]) == ("MiB", 300, "entry")


def test_a_second_call_leaves_what_is_there_and_does_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setattr(
        corpus, "corpus_scenario", lambda seed: Drawn(small(seed).scenario.model_copy(update=SHORT), False)
    )
    first = corpus.write_corpus(tmp_path, runs=2, workers=1)
    texts = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / f"run-{SEED}-15s.csv").unlink()

    second = corpus.write_corpus(tmp_path, runs=2, workers=1)

    assert [run.found for run in first.runs] == [False, False]
    assert sorted((run.seed, run.found) for run in second.runs) == [(SEED, False), (SEED + 1, True)]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == texts


SHORT = {"duration_s": 1200.0, "faults": ()}


def test_a_run_in_which_pods_did_nothing_has_no_table_of_them(tmp_path, monkeypatch):
    # Twelve scrapes of 15 s and three minutes of signals: too few of either to be kept.
    shorter = {"duration_s": 180.0, "faults": ()}
    monkeypatch.setattr(
        corpus, "corpus_scenario", lambda seed: Drawn(small(seed).scenario.model_copy(update=shorter), False)
    )

    corpus.write_corpus(tmp_path, runs=1, workers=1)
    again = corpus.write_corpus(tmp_path, runs=1, workers=1)

    assert sorted(path.name for path in tmp_path.iterdir()) == ["manifest.json", f"run-{SEED}.json"]
    assert again.runs[0].found


def test_a_run_that_breaks_is_reported_and_the_others_are_written(tmp_path, monkeypatch):
    def breaks(seed):
        if seed == SEED:
            raise ArithmeticError("out of luck")
        return Drawn(small(seed).scenario.model_copy(update=SHORT), False)

    monkeypatch.setattr(corpus, "corpus_scenario", breaks)
    result = CliRunner().invoke(app, ["corpus", "--out", str(tmp_path), "--runs", "2", "--jobs", "1", "--json"])

    assert result.exit_code == 1
    told = json.loads(result.stdout.splitlines()[0])
    assert (told["written"], told["found"]) == (1, 0)
    assert told["failed"] == {str(SEED): "ArithmeticError: out of luck"}
    assert json.loads((tmp_path / "manifest.json").read_text())["failed"][0]["seed"] == SEED


@pytest.mark.parametrize("seed", [1, 999_999, 2_000_000])
def test_seeds_of_reported_runs_are_refused(tmp_path, seed):
    result = CliRunner().invoke(app, ["corpus", "--out", str(tmp_path), "--runs", "1", "--seed", str(seed)])

    assert result.exit_code == 2
    assert "kept for reported runs" in result.output
    assert not list(tmp_path.iterdir())


def test_flat_and_straight_and_short_lived_signals_are_left_out():
    tape = Tape(World(small(SEED).scenario, SEED))
    rows = {"flat": lambda k: 5.0, "straight": lambda k: 0.1 * k, "young": lambda k: k % 3, "lively": lambda k: k % 7}
    for minute in range(75):
        names = [name for name in rows if name != "young" or minute < 59]
        targets = [SignalTarget(SignalKind.MEMORY, name, f"{name}-0") for name in names]
        tape.record(60.0 * minute, targets, [rows[name](minute) for name in names], [100.0] * len(names))

    _, members = tape.recordings()

    assert [signal.column for signal in members.signals] == ["lively-0.memory"]


def test_the_pods_that_lived_longest_are_kept():
    tape = Tape(World(small(SEED).scenario, SEED))
    for minute in range(75):
        pods = [f"web-{pod}" for pod in range(4) if minute < 75 - 3 * pod]
        targets = [SignalTarget(SignalKind.MEMORY, "web", pod) for pod in reversed(pods)]
        tape.record(60.0 * minute, targets, [float(minute % 5) for _ in pods], [100.0] * len(pods))

    _, members = tape.recordings()

    assert [signal.member for signal in members.signals] == ["web-0", "web-1"]
    assert np.isnan(members.values[1, 72:]).all()
