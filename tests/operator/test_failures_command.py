from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from foresail.cli import app


def foresail(*arguments):
    return CliRunner().invoke(app, ["backtest-failures", *map(str, arguments)])


def test_a_quick_run_prints_json_and_writes_its_files(tmp_path):
    result = foresail("--quick", "--models", "static-threshold", "--jobs", 1, "--json", "--out", tmp_path / "o")

    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)
    assert list(found["methods"]) == ["static-threshold"]
    assert json.loads((tmp_path / "o" / "failures.json").read_text()) == found
    assert (tmp_path / "o" / "reliability.svg").is_file()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "magic"], "no method is called 'magic'"),
        (["--models", ","], "names no method"),
        (["--episodes", "3"], "--episodes"),
        (["--false-alarms-per-week", "0"], "--false-alarms-per-week"),
        (["--out", "{file}"], "cannot be made a folder"),
    ],
)
def test_a_mistake_gets_one_message_and_exit_code_2(arguments, message, tmp_path):
    file = tmp_path / "file"
    file.write_text("")

    result = foresail(*(a.format(file=file) for a in arguments))

    assert result.exit_code == 2
    assert message in " ".join(result.stderr.split())
    assert "Traceback" not in result.stderr
