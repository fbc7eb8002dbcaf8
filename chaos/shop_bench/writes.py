"""How long nothing can be written, as a client sees it, and how soon a commit is visible on the standby."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import psycopg

_EVERY_S = 0.02
_TABLE = "CREATE TABLE IF NOT EXISTS bench_writes (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"


@dataclass(slots=True)
class Writer:
    """Commits a row every 20 ms on one connection to whichever member takes writes; notes when each was certain."""

    dsn: Mapping[str, str | int]
    committed: list[tuple[float, int]] = field(default_factory=list)  # (monotonic seconds, id)
    errors: int = 0
    _stop: threading.Event = field(default_factory=threading.Event)

    def write_on(self) -> None:
        number = 0
        while not self._stop.is_set():
            try:
                with _connected(self.dsn) as connection:
                    connection.execute(_TABLE)
                    while not self._stop.wait(_EVERY_S):
                        number += 1
                        connection.execute("INSERT INTO bench_writes (id) VALUES (%s)", (number,))
                        self.committed.append((time.monotonic(), number))
            except psycopg.Error:
                self.errors += 1
                self._stop.wait(0.05)

    def stop(self) -> None:
        self._stop.set()

    def longest_gap_s(self, after_s: float) -> float:
        """Between two commits that followed each other, of those around or after `after_s`."""
        times = [at_s for at_s, _ in self.committed]
        gaps = [later - sooner for sooner, later in itertools.pairwise(times) if later > after_s]
        return max(gaps, default=float("inf"))

    def lost(self) -> list[int]:
        """Rows whose commit was told and that are not there."""
        with _connected(self.dsn) as connection:
            there = {row[0] for row in connection.execute("SELECT id FROM bench_writes").fetchall()}
        return [number for _, number in self.committed if number not in there]


@contextmanager
def writing(dsn: Mapping[str, str | int]) -> Iterator[Writer]:
    """A writer at work; its table is dropped afterwards."""
    with suppress(psycopg.Error), _connected(dsn) as connection:
        connection.execute("DROP TABLE IF EXISTS bench_writes")
    writer = Writer(dsn)
    thread = threading.Thread(target=writer.write_on, daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        writer.stop()
        thread.join(10.0)


def visibility_delays_s(dsn: Mapping[str, str | int], times: int = 300) -> list[float]:
    """From the answer of a commit on the primary until a query on the standby sees its row, `times` times."""
    delays = []
    standby = {**dsn, "target_session_attrs": "standby"}
    with _connected(dsn) as primary, _connected(standby) as replica:
        primary.execute(_TABLE)
        primary.execute("TRUNCATE bench_writes")
        for number in range(times):
            primary.execute("INSERT INTO bench_writes (id) VALUES (%s)", (number,))
            committed_s = time.monotonic()
            while not replica.execute("SELECT 1 FROM bench_writes WHERE id = %s", (number,)).fetchone():
                if time.monotonic() - committed_s > 30.0:
                    break
            delays.append(time.monotonic() - committed_s)
            time.sleep(0.005)
        primary.execute("DROP TABLE bench_writes")
    return delays


def _connected(dsn: Mapping[str, str | int]) -> psycopg.Connection[Any]:
    arguments: Any = {**dsn, "tcp_user_timeout": 3000}
    return psycopg.connect(**arguments, autocommit=True)
