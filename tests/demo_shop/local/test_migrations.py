"""Migrations: each once, in order, and never another than the one that was applied."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from demo_shop.settings import DatabaseSettings
from demo_shop.stores.migrate import Migration, MigrationRefused, in_order, migrate, packaged_migrations

pytestmark = pytest.mark.xdist_group("shop-stores")

ONE = Migration(1, "0001_one.sql", "CREATE TABLE one (id int); INSERT INTO one VALUES (1)")
TWO = Migration(2, "0002_two.sql", "-- 100 % sure\nCREATE TABLE two (id int)")


def test_files_are_ordered_by_their_numbers_and_others_are_left_out() -> None:
    files = {"0010_late.sql": "x", "0002_early.sql": "y", "README.md": "z"}

    assert [migration.version for migration in in_order(files)] == [2, 10]


@pytest.mark.parametrize("name", ["2_short.sql", "0002-dash.sql", "0002_Loud.sql", "next.sql"])
def test_a_name_without_a_clear_place_is_refused(name: str) -> None:
    with pytest.raises(MigrationRefused, match="0002_what_it_does"):
        in_order({name: ""})


def test_two_files_with_one_number_are_refused() -> None:
    with pytest.raises(MigrationRefused, match=r"0002_b\.sql: 0002_a\.sql has that number"):
        in_order({"0002_a.sql": "", "0002_b.sql": ""})


def test_the_shops_own_migrations_have_a_clear_order() -> None:
    versions = [migration.version for migration in packaged_migrations()]

    assert versions[0] == 1
    assert versions == sorted(set(versions))


@pytest.fixture
def conninfo(stores: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Arguments for an empty database of its own."""
    database = stores["database"]
    hosts = tuple(
        (host, int(port)) for host, _, port in (pair.rpartition(":") for pair in database["hosts"].split(","))
    )
    settings = DatabaseSettings(hosts, "postgres", "postgres", database["superuser_password"])
    arguments: dict[str, Any] = {**settings.conninfo("read-write"), "autocommit": True}
    with psycopg.connect(**arguments) as connection:
        connection.execute("DROP DATABASE IF EXISTS to_migrate")
        connection.execute("CREATE DATABASE to_migrate")
        yield {**arguments, "dbname": "to_migrate"}
        connection.execute("DROP DATABASE to_migrate WITH (FORCE)")


@pytest.fixture
def connection(conninfo: dict[str, Any]) -> Iterator[psycopg.Connection]:
    with psycopg.connect(**conninfo) as opened:
        yield opened


def test_applies_what_is_new_and_nothing_twice(connection: psycopg.Connection) -> None:
    assert migrate(connection, [ONE]) == ("0001_one.sql",)
    assert migrate(connection, [ONE, TWO]) == ("0002_two.sql",)
    assert migrate(connection, [ONE, TWO]) == ()

    assert connection.execute("SELECT count(*) FROM one").fetchone() == (1,)
    assert connection.execute("SELECT version FROM schema_migrations ORDER BY 1").fetchall() == [(1,), (2,)]


def test_a_failing_migration_leaves_nothing_of_itself_or_of_those_before(connection: psycopg.Connection) -> None:
    broken = Migration(2, "0002_broken.sql", "CREATE TABLE half (id int); SELECT * FROM nowhere")

    with pytest.raises(psycopg.errors.UndefinedTable):
        migrate(connection, [ONE, broken])

    tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
    assert tables == []


def test_a_file_that_was_changed_after_it_was_applied_is_refused(connection: psycopg.Connection) -> None:
    migrate(connection, [ONE])

    with pytest.raises(MigrationRefused, match=r"0001_one\.sql was changed after it was applied"):
        migrate(connection, [Migration(1, "0001_one.sql", ONE.sql + " "), TWO])

    assert connection.execute("SELECT to_regclass('two')").fetchone() == (None,)


def test_a_database_of_a_newer_shop_is_refused(connection: psycopg.Connection) -> None:
    migrate(connection, [ONE, TWO])

    with pytest.raises(MigrationRefused, match=r"0002_two\.sql was applied by a newer shop"):
        migrate(connection, [ONE])


def test_a_late_file_with_an_early_number_is_refused(connection: psycopg.Connection) -> None:
    migrate(connection, [TWO])

    with pytest.raises(MigrationRefused, match=r"0001_one\.sql comes before what is applied"):
        migrate(connection, [ONE, TWO])


def test_of_several_at_once_one_does_the_work(conninfo: dict[str, Any]) -> None:
    applied: list[tuple[str, ...]] = []
    together = threading.Barrier(4)

    def run() -> None:
        with psycopg.connect(**conninfo) as connection:
            together.wait(timeout=30.0)
            applied.append(migrate(connection, [ONE, TWO]))

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60.0)

    assert sorted(applied) == [(), (), (), ("0001_one.sql", "0002_two.sql")]


def test_the_command_says_each_stage_and_a_mistake_in_one_sentence(conninfo: dict[str, Any]) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "SHOP_DATABASE_HOSTS": ",".join(
            f"{host}:{port}"
            for host, port in zip(conninfo["host"].split(","), conninfo["port"].split(","), strict=True)
        ),
        "SHOP_DATABASE_NAME": "to_migrate",
        "SHOP_DATABASE_USER": "postgres",
        "SHOP_DATABASE_PASSWORD": conninfo["password"],
    }
    command = [sys.executable, "-m", "demo_shop.stores.migrate"]

    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    wrong = {**environment, "SHOP_DATABASE_HOSTS": "nowhere"}
    refused = subprocess.run(command, env=wrong, capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout) == (0, "schema\n")
    assert "applied 0001_shop.sql" in done.stderr
    assert refused.returncode == 1
    assert "SHOP_DATABASE_HOSTS: 'nowhere' is not host:port" in refused.stderr
    assert "Traceback" not in refused.stderr
