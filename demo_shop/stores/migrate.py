"""Brings a database to the present schema: numbered SQL files, each applied once, in order."""

from __future__ import annotations

import argparse
import hashlib
import itertools
import re
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from typing import Any

import psycopg

from demo_shop.settings import DatabaseSettings, SettingInvalid, database_from_environment

# Any number, the same for all who migrate this schema.
_LOCK = 5_307_001

_RECORDS = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version    int PRIMARY KEY,
    name       text NOT NULL,
    checksum   text NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""


class MigrationRefused(Exception):
    """The files and the database do not fit together; the message says how."""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def packaged_migrations() -> tuple[Migration, ...]:
    """Those that come with this version of the shop, in order."""
    folder = resources.files("demo_shop.stores") / "migrations"
    return in_order({entry.name: entry.read_text(encoding="utf-8") for entry in folder.iterdir() if entry.is_file()})


def in_order(files: dict[str, str]) -> tuple[Migration, ...]:
    """Migrations of the files that end in .sql. Raises `MigrationRefused` for names that give no clear order."""
    migrations = []
    for name in sorted(files):
        if not name.endswith(".sql"):
            continue
        parts = re.fullmatch(r"([0-9]{4})_[a-z0-9_]+\.sql", name)
        if parts is None:
            raise MigrationRefused(f"{name}: a migration is named like 0002_what_it_does.sql")
        migrations.append(Migration(int(parts[1]), name, files[name]))
    for earlier, later in itertools.pairwise(migrations):
        if earlier.version == later.version:
            raise MigrationRefused(f"{later.name}: {earlier.name} has that number already; take the next one")
    return tuple(migrations)


def migrate(connection: psycopg.Connection, migrations: Sequence[Migration]) -> tuple[str, ...]:
    """Names of those applied now; empty when the schema was up to date. Raises `MigrationRefused`.

    All in one transaction under a lock: of two that start at once the second finds the work done.
    """
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        connection.execute(_RECORDS)
        applied = _applied(connection)
        _refuse_misfits(applied, migrations)
        new = [migration for migration in migrations if migration.version not in applied]
        for migration in new:
            # Bytes go as they are: a percent sign in the file is no placeholder.
            connection.execute(migration.sql.encode())
            connection.execute(
                "INSERT INTO schema_migrations (version, name, checksum) VALUES (%s, %s, %s)",
                [migration.version, migration.name, migration.checksum],
            )
    return tuple(migration.name for migration in new)


def _applied(connection: psycopg.Connection) -> dict[int, tuple[str, str]]:
    rows = connection.execute("SELECT version, name, checksum FROM schema_migrations").fetchall()
    return {int(version): (str(name), str(checksum)) for version, name, checksum in rows}


def _refuse_misfits(applied: dict[int, tuple[str, str]], migrations: Sequence[Migration]) -> None:
    known = {migration.version: migration for migration in migrations}
    for version, (name, checksum) in sorted(applied.items()):
        if version not in known:
            raise MigrationRefused(f"{name} was applied by a newer shop; run that version or restore a backup")
        if known[version].checksum != checksum:
            raise MigrationRefused(f"{name} was changed after it was applied; undo that and write a new migration")
    newest = max(applied, default=0)
    for migration in migrations:
        if migration.version not in applied and migration.version < newest:
            raise MigrationRefused(f"{migration.name} comes before what is applied; give it a number above {newest}")


def connect(database: DatabaseSettings, wait_s: float) -> psycopg.Connection:
    """A connection to the primary, tried again until there is one. Raises the last error after `wait_s` seconds."""
    deadline = time.monotonic() + wait_s
    while True:
        try:
            # A server that is busy taking in the seed may not acknowledge bytes for a while: it is not dead.
            arguments: Any = {**database.conninfo("read-write"), "tcp_user_timeout": 60_000}
            return psycopg.connect(**arguments, autocommit=True)
        except psycopg.OperationalError:
            if time.monotonic() >= deadline:
                raise
        time.sleep(0.1)


def main(arguments: Sequence[str] | None = None) -> int:
    """Prints a word on standard output for each stage that is reached: schema, catalogue, past."""
    parser = argparse.ArgumentParser(prog="python -m demo_shop.stores.migrate", description=__doc__)
    parser.add_argument("--seed", action="store_true", help="fill the catalogue as well")
    parser.add_argument("--products", type=int, default=10_000, help="size of the seeded catalogue")
    parser.add_argument("--random-seed", type=int, default=1)
    parser.add_argument("--wait-s", type=float, default=60.0, help="how long to wait for a primary, in seconds")
    options = parser.parse_args(arguments)
    if options.products < 1:
        parser.error(f"--products {options.products}: at least 1")
    try:
        database = database_from_environment()
        migrations = packaged_migrations()
        if options.seed:
            _migrate_and_seed(database, migrations, options)
        else:
            with connect(database, options.wait_s) as connection:
                _migrate(connection, migrations)
    except (MigrationRefused, SettingInvalid, psycopg.Error) as error:
        _say(f"failed: {error}")
        return 1
    return 0


def _migrate(connection: psycopg.Connection, migrations: Sequence[Migration]) -> None:
    for name in migrate(connection, migrations):
        _say(f"applied {name}")
    _reached("schema")


def _migrate_and_seed(database: DatabaseSettings, migrations: Sequence[Migration], options: argparse.Namespace) -> None:
    # The seed brings numpy; whoever only migrates needs neither.
    from demo_shop.stores.seed import seed_catalogue, seed_history_and_model
    from demo_shop.stores.seeding.shop import draw_shop

    # The primary may still be starting: the time that takes is enough to draw the shop.
    drawn = draw_shop(options.products, options.random_seed)
    with connect(database, options.wait_s) as connection:
        _migrate(connection, migrations)
        seed_catalogue(connection, options.products, options.random_seed, drawn)
        _reached("catalogue")
        seed_history_and_model(connection, drawn)
        _reached("past")


def _reached(stage: str) -> None:
    sys.stdout.write(f"{stage}\n")
    sys.stdout.flush()


def _say(sentence: str) -> None:
    sys.stderr.write(f"migrate: {sentence}\n")


if __name__ == "__main__":
    sys.exit(main())
