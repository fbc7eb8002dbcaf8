"""The stores, started for real: what they promise before any role runs."""

from __future__ import annotations

import json
import os
import stat
import time
from pathlib import Path
from typing import Any

import psycopg
import pytest
import redis

pytestmark = pytest.mark.xdist_group("shop-stores")


def connect(state: dict[str, Any], port: int | None = None, **changes: Any) -> psycopg.Connection:
    database = state["database"]
    members = [pair.split(":") for pair in database["hosts"].split(",")]
    arguments: dict[str, Any] = {
        "host": "127.0.0.1" if port else ",".join(host for host, _ in members),
        "port": port or ",".join(member_port for _, member_port in members),
        "dbname": database["name"],
        "user": database["user"],
        "password": database["password"],
        "target_session_attrs": "any" if port else "read-write",
        "autocommit": True,
    }
    return psycopg.connect(**(arguments | changes))


def test_the_shops_user_owns_its_database_and_nothing_more(stores: dict[str, Any]) -> None:
    with connect(stores) as connection:
        owner = connection.execute(
            "SELECT r.rolname FROM pg_database d JOIN pg_roles r ON r.oid = d.datdba WHERE datname = 'shop'"
        ).fetchone()
        rights = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolreplication FROM pg_roles WHERE rolname = 'shop'"
        ).fetchone()

    assert owner == ("shop",)
    assert rights == (False, False, False, False)


def test_commits_are_flushed_and_pages_are_checksummed(stores: dict[str, Any]) -> None:
    with connect(stores) as connection:
        settings = dict(
            connection.execute(
                "SELECT name, setting FROM pg_settings WHERE name IN"
                " ('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'password_encryption')"
            ).fetchall()
        )

    assert settings == {
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        "data_checksums": "on",
        "password_encryption": "scram-sha-256",
    }


def test_a_wrong_password_opens_nothing(stores: dict[str, Any]) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        connect(stores, password="guess")

    client = redis.Redis.from_url(stores["redis_url"], password="guess")
    with pytest.raises(redis.AuthenticationError):
        client.ping()
    client.close()


def test_redis_keeps_carts_and_evicts_only_what_expires(stores: dict[str, Any]) -> None:
    with redis.Redis.from_url(stores["redis_url"], password=stores["redis_password"], decode_responses=True) as client:
        settings = client.config_get("appendonly", "appendfsync", "maxmemory-policy")

    assert settings == {"appendonly": "yes", "appendfsync": "everysec", "maxmemory-policy": "volatile-lru"}


def test_the_standby_becomes_synchronous_and_the_state_says_so(stores: dict[str, Any], stores_state_file: Path) -> None:
    deadline = time.monotonic() + 60.0
    while not json.loads(stores_state_file.read_text(encoding="utf-8"))["synchronous_standby"]:
        assert time.monotonic() < deadline
        time.sleep(0.1)

    with connect(stores, user="postgres", password=stores["database"]["superuser_password"]) as connection:
        standbys = connection.execute("SELECT application_name, sync_state FROM pg_stat_replication").fetchall()
    assert standbys in ([("postgres-1", "sync")], [("postgres-2", "sync")])


def test_the_state_is_for_its_owner_only(stores_state_file: Path) -> None:
    assert stat.S_IMODE(stores_state_file.stat().st_mode) == 0o600


def test_no_password_is_on_a_command_line(stores: dict[str, Any]) -> None:
    secrets = [
        stores["database"]["password"],
        stores["database"]["superuser_password"],
        stores["redis_password"],
        stores["control_token"],
        stores["patroni"]["password"],
    ]

    lines = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                lines.append((entry / "cmdline").read_bytes().decode("utf-8", "replace"))
            except OSError:
                continue

    assert any("patroni" in line for line in lines)
    assert not [line for line in lines if any(secret in line for secret in secrets)]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has another account to run the stores as")
def test_stores_never_run_as_root(stores: dict[str, Any]) -> None:
    owners = {name: Path(f"/proc/{process['pid']}").stat().st_uid for name, process in stores["processes"].items()}

    assert len(owners) == 4
    assert 0 not in owners.values()
