"""What the live tests need is brought as far as a machine can have it; only CI insists on all of it."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("prepare_live_tests.sh")
STEPS = ("demo_shop/local/install-stores.sh", ".venv/bin/foresail", "charts/build-tools.sh")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """One in which every step writes down that it was taken, and succeeds."""
    for step in STEPS:
        makes(tmp_path / step, 0)
    (tmp_path / "tests").mkdir()
    shutil.copy(SCRIPT, tmp_path / "tests")
    return tmp_path


def makes(step: Path, code: int) -> None:
    step.parent.mkdir(parents=True, exist_ok=True)
    step.write_text(f'#!/bin/sh\necho "{step.name} $*" >>"{step.parent.parent / "taken"}"\nexit {code}\n')
    step.chmod(0o755)


def prepared(checkout: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    own = {name: value for name, value in os.environ.items() if name != "CI"}
    command = ["sh", str(checkout / "tests" / SCRIPT.name)]
    return subprocess.run(command, env={**own, **environment}, capture_output=True, text=True, check=False)


def taken(checkout: Path) -> list[str]:
    return sorted(line for file in checkout.rglob("taken") for line in file.read_text().splitlines())


def test_every_step_is_taken(checkout: Path) -> None:
    done = prepared(checkout, CI="true")

    assert done.returncode == 0, done.stderr
    assert taken(checkout) == ["build-tools.sh ", "foresail cluster prepare", "install-stores.sh --tests"]


@pytest.mark.parametrize("step", STEPS)
def test_without_one_the_others_are_brought_and_it_is_said(checkout: Path, step: str) -> None:
    makes(checkout / step, 3)

    done = prepared(checkout)

    assert done.returncode == 0
    assert len(taken(checkout)) == 3
    assert done.stderr.count("not on this machine, for the reason above; their tests will be skipped") == 1


@pytest.mark.parametrize("step", STEPS)
def test_ci_skips_nothing(checkout: Path, step: str) -> None:
    makes(checkout / step, 3)

    done = prepared(checkout, CI="true")

    assert done.returncode == 1
    assert done.stderr.endswith("CI=true: nothing may be skipped\n")
