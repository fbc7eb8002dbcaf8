"""From the first process to the last: stopping, being killed, losing a store, coming back to kept data."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import psycopg
import pytest

from demo_shop.local import leftovers
from demo_shop.local.loopback import post, status_of

pytestmark = pytest.mark.xdist_group("shop-stores")

StartShop = Callable[..., AbstractContextManager[Path]]
STORES_ONLY = ("--without-roles", "--products", "0")


def described(state_file: Path) -> dict[str, Any]:
    state: dict[str, Any] = json.loads(state_file.read_text(encoding="utf-8"))
    return state


def eventually(holds: Callable[[], bool], limit_s: float = 90.0) -> None:
    deadline = time.monotonic() + limit_s
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def connect(state: dict[str, Any]) -> psycopg.Connection:
    database = state["database"]
    members = [pair.split(":") for pair in database["hosts"].split(",")]
    return psycopg.connect(
        host=",".join(host for host, _ in members),
        port=",".join(port for _, port in members),
        dbname="shop",
        user="shop",
        password=database["password"],
        target_session_attrs="read-write",
        connect_timeout=2,
        autocommit=True,
    )


def write_until_it_works(state: dict[str, Any], number: int) -> None:
    """Tries the same row again, as a shop would, until the answer is clear."""

    def written() -> bool:
        try:
            with connect(state) as connection:
                connection.execute("INSERT INTO written VALUES (%s) ON CONFLICT DO NOTHING", [number])
        except psycopg.Error:
            return False
        return True

    eventually(written)


def rows(state: dict[str, Any]) -> list[int]:
    with connect(state) as connection:
        return [number for (number,) in connection.execute("SELECT n FROM written ORDER BY n").fetchall()]


def primary(state: dict[str, Any]) -> str:
    def found() -> list[str]:
        members = [(n, p) for n, p in state["processes"].items() if p["role"] == "postgres"]
        return [name for name, process in members if status_of(process["patroni_url"] + "/primary") == 200]

    eventually(lambda: len(found()) == 1)
    return found()[0]


def postmaster(process: dict[str, Any]) -> int:
    return int((Path(process["data_dir"]) / "postmaster.pid").read_text(encoding="utf-8").splitlines()[0])


def marker_of(pid: int) -> str:
    pairs = Path(f"/proc/{pid}/environ").read_bytes().decode().split("\0")
    return next(pair.partition("=")[2] for pair in pairs if pair.startswith(leftovers.MARKER))


def shared_memory_of(state: dict[str, Any]) -> set[str]:
    """Ids of the System V segments of both servers."""
    locks = Path(state["launcher"]["data_dir"]).glob("*/data/postmaster.pid")
    return {lock.read_text(encoding="utf-8").splitlines()[6].split()[1] for lock in locks}


def segments() -> set[str]:
    lines = Path("/proc/sysvipc/shm").read_text(encoding="utf-8").splitlines()[1:]
    return {line.split()[1] for line in lines}


@pytest.fixture(scope="module")
def own_state_file(start_shop: StartShop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stores of this module's own, to be hurt, with a table to write to."""
    with start_shop(tmp_path_factory.mktemp("own"), *STORES_ONLY) as state_file:
        with connect(described(state_file)) as connection:
            connection.execute("CREATE TABLE written (n int PRIMARY KEY)")
        yield state_file


def wait_for_the_standby(state_file: Path) -> None:
    state = described(state_file)
    urls = [p["patroni_url"] for p in state["processes"].values() if p["role"] == "postgres"]
    eventually(lambda: any(status_of(url + "/synchronous") == 200 for url in urls))


def test_a_killed_primary_is_replaced_and_no_acknowledged_row_is_lost(own_state_file: Path) -> None:
    wait_for_the_standby(own_state_file)
    state = described(own_state_file)
    before = primary(state)
    write_until_it_works(state, 1)

    os.kill(postmaster(state["processes"][before]), signal.SIGKILL)
    write_until_it_works(state, 2)

    assert {1, 2} <= set(rows(state))
    wait_for_the_standby(own_state_file)
    assert {1, 2} <= set(rows(state))


def test_a_killed_etcd_comes_back_and_the_primary_stays(own_state_file: Path) -> None:
    wait_for_the_standby(own_state_file)
    state = described(own_state_file)
    before, etcd = primary(state), state["processes"]["etcd"]

    os.kill(etcd["pid"], signal.SIGKILL)
    eventually(lambda: described(own_state_file)["processes"]["etcd"]["pid"] != etcd["pid"])
    write_until_it_works(state, 3)

    assert primary(described(own_state_file)) == before
    wait_for_the_standby(own_state_file)


def test_etcd_tells_nothing_to_who_has_no_password(own_state_file: Path) -> None:
    url = described(own_state_file)["processes"]["etcd"]["url"]

    # "AA==" to "AA==": every key there is.
    status, answer = post(f"{url}/v3/kv/range", {"key": "AA==", "range_end": "AA=="})

    assert status != 200
    assert "kvs" not in answer


def test_patroni_changes_nothing_for_who_has_no_password(own_state_file: Path) -> None:
    state = described(own_state_file)
    leader = primary(state)

    status, _ = post(state["processes"][leader]["patroni_url"] + "/switchover", {"leader": leader})

    assert status == 401
    assert primary(state) == leader


def test_status_says_what_runs_and_what_does_not(own_state_file: Path) -> None:
    command = [sys.executable, "-m", "demo_shop.local", "status", "--state", str(own_state_file)]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 0
    lines = {line.split()[0]: line.split()[1] for line in done.stdout.splitlines()}
    assert [lines[name] for name in ("etcd", "redis", "postgres-1", "postgres-2")] == ["runs"] * 4


def test_a_state_file_that_is_not_there_is_named() -> None:
    command = [sys.executable, "-m", "demo_shop.local", "stop", "--state", "nowhere.json"]

    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "nowhere.json: there is no such file" in done.stderr


def test_a_stopped_shop_leaves_nothing(start_shop: StartShop, tmp_path: Path) -> None:
    with start_shop(tmp_path, *STORES_ONLY) as state_file:
        state = described(state_file)
        marker, memory = marker_of(state["processes"]["etcd"]["pid"]), shared_memory_of(state)
        data_dir = Path(state["launcher"]["data_dir"])
        running = leftovers.processes_of(marker, data_dir)

    assert len(running) >= 5  # etcd, Redis, two Patronis and at least one server
    assert memory
    assert leftovers.processes_of(marker, data_dir) == []
    assert not data_dir.exists()
    assert memory.isdisjoint(segments())


def test_a_killed_launcher_leaves_nothing_either(store_programs: None, tmp_path: Path) -> None:
    state_file = tmp_path / "state.json"
    command = [sys.executable, "-m", "demo_shop.local", "--state", str(state_file), *STORES_ONLY]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as launcher:
        try:
            eventually(state_file.exists)
            state = described(state_file)
            marker, memory = marker_of(state["processes"]["etcd"]["pid"]), shared_memory_of(state)
            data_dir = Path(state["launcher"]["data_dir"])
        finally:
            launcher.kill()

    eventually(lambda: not data_dir.exists())
    assert leftovers.processes_of(marker, data_dir) == []
    assert memory.isdisjoint(segments())
    assert not state_file.exists()


def test_kept_data_is_there_again_at_the_next_start(
    start_shop: StartShop, tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> None:
    # Not under pytest's folder: where the tests run as root, PostgreSQL's own user has to get there.
    data_dir = Path(tempfile.mkdtemp(prefix="kept-"))
    request.addfinalizer(lambda: shutil.rmtree(data_dir))
    arguments = (*STORES_ONLY, "--data-dir", str(data_dir))

    with start_shop(tmp_path_factory.mktemp("first"), *arguments) as state_file:
        state = described(state_file)
        with connect(state) as connection:
            connection.execute("CREATE TABLE written (n int PRIMARY KEY)")
        write_until_it_works(state, 7)
    with start_shop(tmp_path_factory.mktemp("second"), *arguments) as state_file:
        again = described(state_file)
        kept = rows(again)

    assert kept == [7]
    assert again["database"]["password"] == state["database"]["password"]
