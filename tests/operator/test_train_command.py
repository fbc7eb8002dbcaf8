from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from foresail.cli import app

# darts, torch and Lightning warn of themselves.
pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.xdist_group("own-models")]


def foresail(*arguments: Any) -> Result:
    return CliRunner().invoke(app, [str(one) for one in arguments])


@pytest.fixture
def cycle(tmp_path: Path) -> Path:
    """700 minutes of a noisy cycle in a file."""
    noise = np.random.default_rng(0).normal(0.0, 1.0, 700)
    values = 50.0 + 20.0 * np.sin(np.arange(700) / 4.0) + noise
    lines = [f"{1_700_000_000 + 60 * place},{value:.2f}" for place, value in enumerate(values)]
    path = tmp_path / "cycle.csv"
    path.write_text("TimeStamp,Value\n" + "\n".join(lines) + "\n")
    return path


def test_training_fills_a_registry_that_can_be_listed_rolled_back_and_emptied(cycle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "models"

    trained = foresail("train", "--csv", cycle, "--kinds", "tide", "--minutes", 0.01, "--out", folder, "--json")

    assert trained.exit_code == 0, trained.output
    (model,) = json.loads(trained.stdout)["models"].items()
    # 210 points are held out: three outcomes of 64 steps fit, which prove nothing.
    assert model[1]["cycle"]["origins"] == 3
    assert json.loads(trained.stdout)["promoted"] == {}
    listed = foresail("models", "list", "--out", folder, "--json")
    assert [one["id"] for one in json.loads(listed.stdout)["models"]] == [model[0]]
    assert "set 1" in foresail("models", "list", "--out", folder).stdout
    rolled = foresail("models", "rollback", "--out", folder)
    assert rolled.stdout.startswith("the default forecasts everything")
    assert foresail("models", "remove", model[0], "--out", folder).exit_code == 0
    assert json.loads(foresail("models", "list", "--out", folder, "--json").stdout)["models"] == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        pytest.param([], "give either --csv", id="nothing"),
        pytest.param(["--csv", "a.csv", "--prometheus", "http://x"], "give either --csv", id="both"),
        pytest.param(["--prometheus", "http://x"], "at least one --query", id="no-query"),
        pytest.param(["--prometheus", "x:9090", "--query", "up"], "starts with http", id="no-scheme"),
        pytest.param(["--csv", "nowhere.csv"], "nowhere.csv", id="no-file"),
        pytest.param(["--csv", "a.csv", "--kinds", "prophet"], "use tide, autoregressive", id="kind"),
        pytest.param(
            ["--prometheus", "http://x", "--query", "up", "--token-file", "nowhere"], "cannot be read", id="token"
        ),
    ],
)
def test_mistakes_end_with_one_clear_line(arguments: list[str], said: str) -> None:
    result = foresail("train", *arguments)

    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.output


def test_a_file_that_is_too_short_is_told(tmp_path: Path) -> None:
    short = tmp_path / "short.csv"
    short.write_text("\n".join(str(place) for place in range(50)))

    result = foresail("train", "--csv", short, "--step-s", 60, "--out", tmp_path / "models")

    assert result.exit_code == 2
    assert "points; at least 192 are needed" in result.stderr


def test_a_hub_folder_without_a_model_is_told(cycle: Path, tmp_path: Path) -> None:
    (tmp_path / "hub").mkdir()

    result = foresail("train", "--csv", cycle, "--hub", tmp_path / "hub", "--out", tmp_path / "models")

    assert result.exit_code == 2
    assert "config.json is missing" in result.stderr


@pytest.mark.parametrize("command", [["list"], ["rollback"], ["remove", "tide-1"]])
def test_without_a_registry_every_command_says_how_to_make_one(command: list[str], tmp_path: Path) -> None:
    result = foresail("models", *command, "--out", tmp_path / "nowhere")

    assert result.exit_code == 2
    assert "train some with `foresail train`" in result.stderr
