"""Real stores, and the whole shop, started once per session for the tests that ask for them.

Modules that use `stores` or `shop` carry `pytestmark = pytest.mark.xdist_group("shop-stores")`, so that one worker
runs them all and nothing is started twice.
"""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from demo_shop.local.programs import ProgramsMissing, find_programs

START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0


def pytest_configure(config: pytest.Config) -> None:
    # Known to pytest-xdist only; a run without it must not call the mark unknown.
    config.addinivalue_line("markers", "xdist_group(name): tests of one group run in one worker")


@pytest.fixture(scope="session")
def store_programs() -> None:
    """Skips when PostgreSQL, Patroni, etcd or Redis is missing; fails instead where CI=true promises them."""
    try:
        find_programs()
    except ProgramsMissing as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(str(missing))
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def stores_state_file(store_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that says where the stores run; written anew when one of them was started again."""
    with running(tmp_path_factory.mktemp("stores"), "--without-roles", "--products", _products(300)) as state_file:
        yield state_file


@pytest.fixture(scope="session")
def stores(stores_state_file: Path) -> dict[str, Any]:
    """PostgreSQL, Redis and etcd with schema and a small catalogue, as state.json describes them."""
    return described(stores_state_file)


@pytest.fixture(scope="session")
def shop_state_file(store_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that says where the whole shop runs; written anew when one of its processes was started again."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder, "--faults", "--port", "0", "--products", _products(600)) as state_file:
        yield state_file


@pytest.fixture(scope="session")
def shop(shop_state_file: Path) -> dict[str, Any]:
    """The whole shop with faults allowed, as state.json describes it; its first page can be served."""
    return described(shop_state_file)


def described(state_file: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(state_file.read_text(encoding="utf-8"))
    return state


@contextmanager
def running(folder: Path, *arguments: str) -> Iterator[Path]:
    """A shop of its own, until the end of the block; yields its state file."""
    state_file = folder / "state.json"
    log = folder / "launcher.log"
    with open(log, "wb") as output:
        launcher = subprocess.Popen(
            [sys.executable, "-m", "demo_shop.local", "--state", str(state_file), *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
    try:
        _wait_for(state_file, launcher, log)
        yield state_file
    finally:
        launcher.send_signal(signal.SIGINT)
        code = launcher.wait(timeout=STOP_LIMIT_S)
    assert code == 0, log.read_text(encoding="utf-8")
    assert not state_file.exists()


def _wait_for(state_file: Path, launcher: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while not state_file.exists():
        if launcher.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the shop did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.05)


def _products(wanted: int) -> str:
    return str(wanted if importlib.util.find_spec("demo_shop.stores.seed") else 0)
