"""Real stores, and the whole shop, started once per session for the tests that ask for them.

Modules that use `stores` or `shop` carry `pytestmark = pytest.mark.xdist_group("shop-stores")`, so that one worker
runs them all and nothing is started twice.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.local.loopback import status_of
from demo_shop.local.programs import ProgramsMissing, find_programs
from demo_shop.settings import DatabaseSettings
from demo_shop.stores.migrate import migrate, packaged_migrations

START_LIMIT_S = 120.0
STOP_LIMIT_S = 60.0


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
def start_shop(store_programs: None) -> Callable[..., AbstractContextManager[Path]]:
    """`with start_shop(folder, *arguments) as state_file`: a shop of its own for tests that hurt the stores."""
    return running


@pytest.fixture(scope="session")
def stores_state_file(store_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that says where the stores run; written anew when one of them was started again."""
    with running(tmp_path_factory.mktemp("stores"), "--without-roles", "--products", "300") as state_file:
        yield state_file


@pytest.fixture(scope="session")
def stores(stores_state_file: Path) -> dict[str, Any]:
    """PostgreSQL, Redis and etcd with schema and a small catalogue, as state.json describes them."""
    return described(stores_state_file)


@pytest.fixture(scope="session")
def shop_state_file(store_programs: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The file that says where the whole shop runs; written anew when one of its processes was started again."""
    folder = tmp_path_factory.mktemp("shop")
    with running(folder, "--faults", "--port", "0", "--products", "600") as state_file:
        yield state_file


@pytest.fixture(scope="session")
def shop(shop_state_file: Path) -> dict[str, Any]:
    """The whole shop with faults allowed, as state.json describes it; seeded, and every role is ready."""
    return described(shop_state_file)


@pytest.fixture(scope="session")
def own_database(stores: dict[str, Any]) -> DatabaseSettings:
    """A database with the schema and nothing in it, for tests that sell whatever they put there."""
    database = stores["database"]
    hosts = tuple((host, int(port)) for host, _, port in (at.rpartition(":") for at in database["hosts"].split(",")))
    # The shop's own user may enter the shop's database only.
    everything = DatabaseSettings(hosts, "postgres", "postgres", database["superuser_password"])
    with psycopg.connect(**everything.conninfo("read-write"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE shop_of_tests")
    own = replace(everything, name="shop_of_tests")
    with psycopg.connect(**own.conninfo("read-write"), autocommit=True) as connection:
        migrate(connection, packaged_migrations())
        connection.execute("INSERT INTO categories VALUES (1, 'things', 'Things')")
    return own


@pytest.fixture
def put_on_shelf(own_database: DatabaseSettings) -> Callable[[int], int]:
    """Puts so many units of a new product, for 10.00 each, on the shelf and returns the product's id."""

    def put(units: int) -> int:
        with psycopg.connect(**own_database.conninfo("read-write"), autocommit=True) as connection:
            row = connection.execute(
                "WITH made AS (INSERT INTO products (id, sku, name, brand, description, category_id, base_price_cents) "
                "SELECT coalesce(max(id), 0) + 1, 'sku-' || coalesce(max(id), 0) + 1, 'Thing', 'Brand', '', 1, 1000 "
                "FROM products RETURNING id), "
                "stocked AS (INSERT INTO stock SELECT id, %(units)s FROM made) "
                "INSERT INTO stock_movements (key, product_id, quantity) SELECT 'seed', id, %(units)s FROM made "
                "RETURNING product_id",
                {"units": units},
            ).fetchone()
        assert row is not None
        return int(row[0])

    return put


@pytest.fixture
def database_metrics() -> Metrics:
    """What the connections of `with_database` measure."""
    return Metrics()


@pytest.fixture
def with_database(
    own_database: DatabaseSettings, database_metrics: Metrics
) -> Callable[[Callable[[Database], Awaitable[None]]], None]:
    """Runs a test that wants connections to the primary."""

    def run(test: Callable[[Database], Awaitable[None]]) -> None:
        async def inside() -> None:
            database = Database(own_database, "read-write", database_metrics)
            await database.open()
            try:
                await test(database)
            finally:
                await database.close()

        asyncio.run(inside())

    return run


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
    while not (state_file.exists() and _is_complete(state_file)):
        if launcher.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"the shop did not start:\n{log.read_text(encoding='utf-8')}")
        time.sleep(0.05)


def _is_complete(state_file: Path) -> bool:
    """Whether the past and its model are in, and every role says that it is ready."""
    state = described(state_file)
    return bool(state["seeded"]) and all(
        status_of(f"{process['management_url']}/-/ready") == 200
        for process in state["processes"].values()
        if "management_url" in process
    )
