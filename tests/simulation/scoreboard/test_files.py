from __future__ import annotations

import csv
import io
import json
import zlib
from dataclasses import replace

import numpy as np
import pytest

from policies.decision import Decision, EvictPod, Proposal, Reason, ReasonCode, SetTraffic, Veto
from policies.model import Mode, Rung
from simulation.reporting.files import TIMELINE_COLUMNS, Folder, raw_arrays, run_files, timeline_rows, write_runs
from simulation.result import Act, Resize
from simulation.scoring.scoreboard import FIGURES, score


@pytest.fixture
def acted(made_run, made_forecast):
    """A pod drained at 45 (it took effect), an eviction held back at 50, a resize at 30."""
    drain = SetTraffic("shop/gateway", "gateway-1", on=False, expires_at_s=600.0)
    eviction = Proposal("shop/gateway", Rung.REPLACE, EvictPod("shop/gateway", "gateway-1"), 0.8, (), disruptive=True)
    return made_run(
        decisions=(
            Decision("d-1", 45.0, "shop/gateway", Mode.ENFORCE, (drain,), (Reason(ReasonCode.OUTLIER),)),
            Decision(
                "d-2", 50.0, "shop/gateway", Mode.ENFORCE, (), (), vetoes=(Veto(eviction, Reason(ReasonCode.COOLDOWN)),)
            ),
        ),
        acts=(Act(45.0, "gateway", "SetTraffic", "gateway-1", True, "d-1"),),
        resizes=(Resize(30.0, "gateway", 3, 4, "hpa"),),
        forecasts=(made_forecast(30.0, 8.0, 10.0, 13.0),),
    )


def lines_of(run):
    return [json.loads(line) for line in zlib.decompress(run_files(run).decisions).decode().splitlines()]


def test_the_timeline_has_a_row_per_second_and_service_in_the_columns_agreed(made_run):
    rows = list(csv.reader(io.StringIO(timeline_rows(made_run(seconds=3, failed={1: 2})))))

    assert TIMELINE_COLUMNS == (
        "t_s",
        "arm",
        "seed",
        "service",
        "offered_rps",
        "ok_rps",
        "failed_rps",
        "p50_ms",
        "p99_ms",
        "cpu_utilization",
        "replicas_desired",
        "replicas_ready",
    )
    assert len(rows) == 6
    assert rows[2] == ["1", "foresail", "1", "gateway", "10.0", "8.0", "2.0", "20.0", "90.0", "0.5", "3", "3"]


def test_an_unknown_value_is_an_empty_field(made_run):
    run = made_run(seconds=1)
    run.services.p99_ms[1, 0] = np.nan

    assert timeline_rows(run).splitlines()[1].split(",")[8] == ""


def test_decisions_are_told_in_order_with_their_reasons_and_vetoes(acted):
    resize, drain, held = lines_of(acted)

    assert resize["sentence"] == "The HPA raised gateway from 3 to 4 pods."
    assert (drain["clock"], drain["actions"][0]["kind"], drain["actions"][0]["took_effect"]) == (
        "12:00:45",
        "SetTraffic",
        True,
    )
    assert drain["sentence"]
    assert held["vetoes"][0]["because"]["code"] == "cooldown"
    assert held["vetoes"][0]["rung"] == "replace"


def test_a_refused_action_is_told_as_such(acted):
    refused = replace(acted, refusals=frozenset({(acted.decisions[0].id, "SetTraffic")}))

    _, drain, _ = lines_of(refused)

    assert drain["actions"][0]["took_effect"] is False


def test_the_forecast_of_the_time_stands_beside_a_decision(acted):
    _, drain, _ = lines_of(acted)

    # issued at 30 with steps to 90: a minute ahead is known, five are not
    assert drain["forecast"] == [{"in_s": 60.0, "q05_rps": 8.0, "q50_rps": 10.0, "q95_rps": 13.0}]


def test_raw_results_hold_what_figures_are_made_of(acted):
    with np.load(io.BytesIO(raw_arrays(acted))) as raw:
        assert (raw["arrived"] == acted.client.arrived).all()
        assert json.loads(str(raw["about"]))["acts"][0]["target"] == "gateway-1"


def test_a_folder_collects_runs_and_forgets_an_earlier_experiment(tmp_path, made_run):
    (tmp_path / "raw").mkdir()
    (tmp_path / "raw" / "kpa-7.npz").write_bytes(b"old")
    folder = Folder(tmp_path)
    for arm in ("hpa-tuned", "foresail"):
        run = made_run(seconds=2, arm=arm)
        folder.add(score(run), run_files(run))

    timeline = (tmp_path / "timeline.csv").read_text().splitlines()

    assert timeline[0] == ",".join(TIMELINE_COLUMNS)
    assert len(timeline) == 1 + 2 * 2 * 2
    assert sorted(p.name for p in (tmp_path / "raw").iterdir()) == ["foresail-1.npz", "hpa-tuned-1.npz"]


def test_runs_csv_has_every_figure(tmp_path, made_run):
    write_runs(tmp_path / "runs.csv", [score(made_run(failed={50: 5}))])

    (row,) = csv.DictReader((tmp_path / "runs.csv").read_text().splitlines())

    assert list(row) == ["scenario", "arm", "seed", *FIGURES]
    assert (row["downtime_s"], row["pod_hours"], row["peak_rps"]) == ("10", "2", "")
