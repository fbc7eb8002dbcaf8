"""`foresail cluster`: mistakes are told in one message, before anything is touched."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from foresail.cli import app


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))


def told(*words: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["cluster", *words])
    return result.exit_code, result.output


def test_unknown_timers_are_refused_by_name() -> None:
    assert told("up", "--provider", "bare", "--timers", "slow") == (
        2,
        "foresail: timers: 'slow' is unknown: use short or production\n",
    )


def test_unknown_providers_are_refused_by_name() -> None:
    code, output = told("up", "--provider", "cloud")

    assert code == 2
    assert "provider: 'cloud' is unknown: use bare or kind" in output


def test_an_image_that_is_not_there_is_refused() -> None:
    code, output = told("up", "--provider", "bare", "--image", "nowhere.tar")

    assert code == 2
    assert "nowhere.tar: no such file" in output


def test_status_of_nothing_says_so() -> None:
    assert told("status", "--provider", "bare", "--name", "none") == (1, "no cluster none is up\n")


def test_faults_need_a_cluster() -> None:
    code, output = told("kill-node", "node-1", "--provider", "bare", "--name", "none")

    assert code == 3
    assert "cluster none is not up: `foresail cluster up`" in output


def test_an_api_server_that_is_not_there_is_not_restarted() -> None:
    code, output = told("restart-api", "--provider", "bare", "--name", "none")

    assert code == 3
    assert "cluster none is not up: `foresail cluster up`" in output


def test_unknown_images_are_refused_by_name() -> None:
    code, output = told("image", "everything")

    assert code == 2
    assert "no image is called 'everything': use one of operator, shop, stores" in output


def test_a_name_that_cannot_be_is_refused() -> None:
    code, output = told("down", "--provider", "bare", "--name", "Shop.1")

    assert code == 2
    assert "name: 'Shop.1'" in output
