"""What the installer says when it may not install: exactly what is missing and what would bring it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "demo_shop" / "local" / "install-stores.sh"


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder of programs that holds no store, and a user who is not root."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("sh", "tr", "sed"):
        path = shutil.which(name)
        assert path is not None
        (folder / name).symlink_to(path)
    program(folder / "id", "echo 1000")
    return folder


def program(file: Path, line: str) -> None:
    file.write_text(f"#!/bin/sh\n{line}\n", encoding="utf-8")
    file.chmod(0o755)


def run(programs: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(programs / "sh"), str(SCRIPT), *arguments],
        env={"PATH": str(programs)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_names_the_packages_to_install_as_root(programs: Path) -> None:
    program(programs / "apt-get", "echo must not run; exit 9")

    done = run(programs, "--tests")

    assert done.returncode == 1
    command = done.stderr.splitlines()[-1].split()
    assert command[:3] == ["apt-get", "install", "--no-install-recommends"]
    assert {"patroni", "python3-etcd", "etcd-server", "redis-server", "chromium"} <= set(command)
    assert "must not run" not in done.stdout


def test_wants_the_browser_for_the_tests_only(programs: Path) -> None:
    program(programs / "apt-get", "exit 9")

    assert "chromium" not in run(programs).stderr


def test_names_the_programs_where_there_is_no_apt(programs: Path) -> None:
    done = run(programs)

    assert done.returncode == 1
    assert "has no apt-get" in done.stderr
    assert "patroni, etcd and redis-server on PATH" in " ".join(done.stderr.split())


def test_does_nothing_when_all_is_there(programs: Path) -> None:
    for name in ("patroni", "etcd", "redis-server", "initdb"):
        program(programs / name, "exit 9")
    program(programs / "postgres", "echo 'postgres (PostgreSQL) 15.4 (Debian 15.4-1)'")

    done = run(programs)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_refuses_an_option_that_it_does_not_know(programs: Path) -> None:
    done = run(programs, "--now")

    assert done.returncode == 2
    assert "unknown option --now" in done.stderr
