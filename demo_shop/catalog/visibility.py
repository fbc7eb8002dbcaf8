"""How long after its commit a write can be read from the standby."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

import psycopg
from prometheus_client import CollectorRegistry, Gauge, Histogram

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.frame.problems import StoreUnavailable

#: Seconds; 1 ms to 30 s. Delays below the first mean that the standby had replayed the write before we could ask.
BUCKETS_S = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.35, 0.7, 1.5, 3.0, 6.0, 12.0, 30.0)


@dataclass(frozen=True, slots=True)
class Rhythm:
    """In seconds."""

    beat_s: float = 1.0
    # A beat is due a little before a second has passed, so that one process keeps the beat instead of handing it on.
    due_after_s: float = 0.95
    first_look_s: float = 0.001
    longest_look_s: float = 0.05
    give_up_s: float = 30.0
    absent_s: float = 5.0  # a standby that was not there is looked for again after this


class VisibilityMetrics:
    """NaN: not known, since there is no standby or since another process measures."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.delays_s = Histogram(
            "shop_replication_visibility_seconds",
            "From the acknowledged commit of a write until the standby shows it",
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.last_s = Gauge(
            "shop_replication_visibility_last_seconds",
            "The last such delay; while waiting, the delay so far; NaN: no standby, or another process measures",
            registry=registry,
        )
        self.last_s.set(math.nan)


class Heartbeat:
    """Writes the heartbeat when it is due, and waits until the standby shows it. `now_s` is monotonic."""

    def __init__(
        self,
        primary: Database,
        standby: Database,
        metrics: VisibilityMetrics,
        now_s: Callable[[], float],
        rhythm: Rhythm | None = None,
    ) -> None:
        self._primary, self._standby, self._metrics, self._now_s = primary, standby, metrics, now_s
        self._rhythm = rhythm or Rhythm()
        self._absent_until_s = -math.inf

    async def run(self) -> None:
        """Goes on for ever; stores that are away make the delay unknown, not the work fail."""
        while True:
            start_s = self._now_s()
            await self.beat()
            await asyncio.sleep(max(0.0, self._rhythm.beat_s - (self._now_s() - start_s)))

    async def beat(self) -> float | None:
        """The delay measured, in seconds; None: not our turn, or unknown."""
        try:
            sequence = await self._write()
            delay_s = None if sequence is None else await self._wait_for(sequence)
        except (StoreUnavailable, psycopg.Error):
            delay_s = None
        if delay_s is None:
            self._metrics.last_s.set(math.nan)
            return None
        self._metrics.delays_s.observe(delay_s)
        self._metrics.last_s.set(delay_s)
        return delay_s

    async def _write(self) -> int | None:
        """The heartbeat's new number; None: another process has written it less than a beat ago."""
        rows = await self._primary.rows(
            """
            UPDATE replication_heartbeat SET sequence = sequence + 1, at = clock_timestamp()
            WHERE id = 1 AND at <= clock_timestamp() - make_interval(secs => %(due_after_s)s)
            RETURNING sequence
            """,
            {"due_after_s": self._rhythm.due_after_s},
        )
        return int(rows[0]["sequence"]) if rows else None

    async def _wait_for(self, sequence: int) -> float:
        """Seconds until the standby shows `sequence`; after `give_up_s`, that long. Raises `StoreUnavailable`."""
        written_at_s = self._now_s()
        if written_at_s < self._absent_until_s:
            raise StoreUnavailable("PostgreSQL (standby): it was not there a moment ago")
        try:
            async with self._standby.connection(timeout_s=0.5) as connection:
                return await self._watch(connection, sequence, written_at_s)
        except StoreUnavailable:
            self._absent_until_s = self._now_s() + self._rhythm.absent_s
            raise

    async def _watch(self, connection: Connection, sequence: int, written_at_s: float) -> float:
        pause_s = self._rhythm.first_look_s
        while True:
            shown = await _sequence(connection)
            waited_s = self._now_s() - written_at_s
            if shown >= sequence or waited_s >= self._rhythm.give_up_s:
                return waited_s
            self._metrics.last_s.set(waited_s)
            await asyncio.sleep(pause_s)
            pause_s = min(self._rhythm.longest_look_s, pause_s * 1.5)


async def _sequence(connection: Connection) -> int:
    cursor = await connection.execute("SELECT sequence FROM replication_heartbeat WHERE id = 1")
    row = await cursor.fetchone()
    return 0 if row is None else int(row["sequence"])
