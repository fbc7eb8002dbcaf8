from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from foresail.cli import app

CHEAP = ("--models", "random-walk,foresail-fallback")


def foresail(*arguments):
    return CliRunner().invoke(app, ["backtest", *(str(argument) for argument in arguments)])


@pytest.fixture
def rates(tmp_path):
    """600 minutes of a rate with a cycle of 24, times and all."""
    path = tmp_path / "rates.csv"
    rng = np.random.default_rng(1)
    values = 100 + 20 * np.sin(2 * np.pi * np.arange(600) / 24) + rng.normal(size=600)
    times = (f"2024-05-01 {minute // 60:02d}:{minute % 60:02d}:00" for minute in range(600))
    lines = (f"{time},{value:.3f}" for time, value in zip(times, values, strict=True))
    path.write_text("TimeStamp,Value\n" + "\n".join(lines) + "\n")
    return path


@pytest.fixture
def numbers(tmp_path):
    path = tmp_path / "numbers.txt"
    path.write_text("\n".join(f"{50 + value:.2f}" for value in np.random.default_rng(2).normal(size=400).cumsum()))
    return path


def test_json_holds_the_nine_figures_of_every_model_and_nothing_else_is_printed(rates):
    result = foresail(rates, *CHEAP, "--json")

    assert result.exit_code == 0
    told = json.loads(result.stdout)
    assert set(told["models"]) == {"seasonal-naive", "random-walk", "foresail-fallback"}
    assert told["windows"] == 5  # of 64 minutes in the last 360
    for model in told["models"].values():
        for key in ("wql", "mase", "p90", "p99", "cover80", "cover98", "peak_crps", "hit_brier", "ms_per_100"):
            assert isinstance(model[key], float), key
    assert told["models"]["seasonal-naive"]["wql"] == 1.0
    assert told["models"]["random-walk"]["wql"] > 1.5


def test_files_are_groups_of_their_own(rates, numbers):
    result = foresail(rates, numbers, "--step-s", 60, "--models", "random-walk", "--json", "--windows", 2)

    groups = json.loads(result.stdout)["groups"]
    assert {name: group["windows"] for name, group in groups.items()} == {"rates": 2, "numbers": 2}


def test_the_terminal_shows_the_best_first_and_says_what_the_figures_mean(rates, tmp_path):
    result = foresail(rates, *CHEAP, "--out", tmp_path / "o")

    assert result.exit_code == 0
    rows = [line.split()[0] for line in result.stdout.splitlines() if line.strip()]
    assert rows.index("foresail-fallback") < rows.index("seasonal-naive") < rows.index("random-walk")
    assert "divided by seasonal-naive's" in " ".join(result.stdout.split())
    for name in ("backtest.json", "backtest.md", "reliability.svg"):
        assert str(tmp_path / "o" / name) in result.stdout.replace("\n", "")
        assert (tmp_path / "o" / name).stat().st_size > 500


def test_horizons_choose_within_which_steps_peaks_are_judged(rates):
    result = foresail(rates, "--models", "random-walk", "--horizons", "80,5", "--json")

    told = json.loads(result.stdout)
    assert told["horizons"] == [5, 80]
    assert told["horizon_steps"] == 80
    assert {"wql_5", "wql_80", "peak_crps_5", "peak_crps_80"} <= set(told["models"]["random-walk"])


def test_a_model_that_fails_is_named_and_the_others_are_shown(rates, tmp_path):
    result = foresail(rates, "--models", f"random-walk,onnx:{tmp_path}", "--json")

    assert result.exit_code == 1
    told = json.loads(result.stdout)
    assert set(told["models"]) == {"seasonal-naive", "random-walk"}
    assert set(told["failed"]) == {f"onnx:{tmp_path}"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param([], "give files, or --data FOLDER", id="nothing"),
        pytest.param(["nowhere.csv"], "nowhere.csv", id="file"),
        pytest.param(["{numbers}"], "--step-s", id="step"),
        pytest.param(["{rates}", "--step-s", "-1"], "step", id="negative-step"),
        pytest.param(["{rates}", "--models", "magic"], "no model is called 'magic'", id="model"),
        pytest.param(["{rates}", "--models", ","], "no model is named", id="no-model"),
        pytest.param(["{rates}", "--horizons", "soon"], "whole numbers of steps", id="horizons"),
        pytest.param(["{rates}", "--horizons", "0"], "from 1 to", id="zero-horizon"),
        pytest.param(["{rates}", "--windows", "0"], "--windows", id="windows"),
        pytest.param(["--data", "nowhere"], "no such folder", id="data"),
        pytest.param(["--data", "{folder}"], "none of the data sets", id="no-data"),
        pytest.param(["{rates}", "--out", "{rates}"], "cannot be made a folder", id="out"),
        pytest.param(["{short}", "--step-s", "60"], "no window can be judged", id="short"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(arguments, message, rates, numbers, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "short.txt").write_text("1\n2\n3\n")
    (tmp_path / "empty").mkdir()
    places = {"rates": rates, "numbers": numbers, "short": tmp_path / "short.txt", "folder": tmp_path / "empty"}

    result = foresail(*(argument.format(**places) for argument in arguments))

    assert result.exit_code == 2
    assert result.stdout == ""
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
