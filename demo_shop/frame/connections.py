"""Connections to one kind of member of PostgreSQL: a pool that finds the right member, and says how it is doing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Literal

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.settings import DatabaseSettings

Connection = AsyncConnection[DictRow]
Member = Literal["read-write", "prefer-standby", "standby"]

_ASK_AGAIN_S = 0.3


class Connections:
    """A pool of connections to one kind of member. Rows are dictionaries; connections are in autocommit mode."""

    def __init__(
        self,
        settings: DatabaseSettings,
        member: Member,
        metrics: Metrics,
    ) -> None:
        self._name = {"read-write": "primary", "prefer-standby": "replica", "standby": "standby"}[member]
        self._metrics = metrics
        self._taken_away: list[Connection] = []
        self._found_no_primary = False
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            kwargs={**settings.conninfo(member), "row_factory": dict_row, "autocommit": True},
            configure=_watch_for_warnings,
            min_size=1,
            max_size=settings.pool_size,
            timeout=2.0,
            max_lifetime=300.0,
            max_idle=30.0,
            reconnect_timeout=0.0,  # the pool's own second try comes after 1 s: asking it again is sooner
            num_workers=2,
            # What writes finds out by itself and is run again; asking first would cost it a round trip each time.
            check=None if member == "read-write" else AsyncConnectionPool.check_connection,
            open=False,
        )

    async def open(self) -> None:
        """Starts connecting; does not wait for the store."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        await self.give_all_back()
        await self._pool.close(timeout=2.0)

    @asynccontextmanager
    async def connection(self, timeout_s: float | None = None) -> AsyncIterator[Connection]:
        """A checked connection. Raises `StoreUnavailable` when there is none in time (2 s unless told)."""
        connection = await self._take_checked(2.0 if timeout_s is None else timeout_s)
        try:
            yield connection
        except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
            await connection.close()
            raise StoreUnavailable(f"PostgreSQL ({self._name}): {error}") from error
        finally:
            await self._pool.putconn(connection)

    async def rows(self, query: str, parameters: Any = None) -> list[DictRow]:
        """All rows of one query."""
        async with self.connection() as connection:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

    async def _take_checked(self, timeout_s: float) -> Connection:
        """As `_take`; a connection to the primary leads to what still is the primary. The pool checks the others."""
        until_s = asyncio.get_running_loop().time() + timeout_s
        while True:
            connection = await self._take(max(0.01, until_s - asyncio.get_running_loop().time()))
            if self._name != "primary":
                return connection
            try:
                await _check_that_it_is_the_primary(connection)
            except BaseException as error:
                await connection.close()
                await self._pool.putconn(connection)
                if not isinstance(error, psycopg.Error):
                    raise
                if asyncio.get_running_loop().time() >= until_s:
                    raise StoreUnavailable(f"PostgreSQL ({self._name}): {error}") from error
            else:
                return connection

    async def _take(self, timeout_s: float) -> Connection:
        """A connection from the pool; each time it is asked the pool tries to connect. Raises `StoreUnavailable`."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + timeout_s
        while True:
            try:
                return await self._pool.getconn(timeout=max(0.01, min(_ASK_AGAIN_S, until_s - loop.time())))
            except (PoolTimeout, psycopg.OperationalError) as error:
                if loop.time() >= until_s:
                    self._found_no_primary = True
                    raise StoreUnavailable(f"PostgreSQL ({self._name}): {error}") from error

    async def take_away(self) -> bool:
        """Takes one connection out of service (a leak, for the fault of that name); False when none is left."""
        try:
            self._taken_away.append(await self._pool.getconn(timeout=0.2))
        except (PoolTimeout, psycopg.OperationalError):
            return False
        return True

    async def give_all_back(self) -> None:
        """Ends the leak."""
        while self._taken_away:
            await self._pool.putconn(self._taken_away.pop())

    def measure(self) -> None:
        """Writes the state of the pool into the metrics."""
        stats = self._pool.get_stats()
        size, idle = stats.get("pool_size", 0), stats.get("pool_available", 0)
        self._metrics.pool_count.labels(self._name, "used").set(size - idle)
        self._metrics.pool_count.labels(self._name, "idle").set(idle)
        self._metrics.pool_max.labels(self._name).set(stats.get("pool_max", 0))
        self._metrics.pool_pending.labels(self._name).set(stats.get("requests_waiting", 0))

    async def answers(self) -> None:
        """Returns when a member answers a query. Raises `StoreUnavailable`."""
        async with self.connection(timeout_s=0.9) as connection:
            await connection.execute("SELECT 1")


_warned: dict[Connection, str] = {}


def warning_on(connection: Connection) -> str | None:
    """The last warning that the server sent on this connection; asking forgets it."""
    return _warned.pop(connection, None)


async def _watch_for_warnings(connection: Connection) -> None:
    """A commit whose wait for the standby was cancelled succeeds with a mere warning; here it is remembered.

    Any warning counts: its text is in the server's language, and its code is that of all warnings.
    """

    def remember(notice: psycopg.errors.Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            _warned[connection] = notice.message_primary or "a warning without words"

    connection.add_notice_handler(remember)


async def _check_that_it_is_the_primary(connection: Connection) -> None:
    """A pooled connection may lead to a member that was primary when it was opened."""
    cursor = await connection.execute("SHOW transaction_read_only")
    row = await cursor.fetchone()
    if row is None or row["transaction_read_only"] == "on":
        raise psycopg.OperationalError("the member is no primary any more")
