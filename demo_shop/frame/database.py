"""PostgreSQL through a switchover: pools that find the primary, transactions run again until they are certain."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, Literal, TypeVar

import psycopg
from psycopg import AsyncConnection, errors
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout

from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.settings import DatabaseSettings

T = TypeVar("T")
Connection = AsyncConnection[DictRow]

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
_ASK_AGAIN_S = 0.3
_STALLED_AFTER_S = 1.0
_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)
_WRONG_MEMBER = (errors.ReadOnlySqlTransaction, errors.CannotConnectNow, errors.AdminShutdown, errors.CrashShutdown)


class CommitUnknown(Exception):
    """The commit was asked for, and nobody can say whether every member has it."""


class Database:
    """A pool of connections to one kind of member. Rows are dictionaries; connections are in autocommit mode."""

    def __init__(
        self,
        settings: DatabaseSettings,
        member: Literal["read-write", "prefer-standby", "standby"],
        metrics: Metrics,
        *,
        rng: random.Random | None = None,
    ) -> None:
        self._name = {"read-write": "primary", "prefer-standby": "replica", "standby": "standby"}[member]
        self._metrics = metrics
        self._rng = rng or random.Random()
        self._taken_away: list[Connection] = []
        self._commits: dict[asyncio.Task[Any], float] = {}  # since when; the oldest first
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

    async def transaction(self, work: Callable[[Connection], Awaitable[T]], *, deadline_s: float = 10.0) -> T:
        """What `work` returned, in a transaction that is certainly committed on every synchronous member.

        Runs `work` again, with pauses that grow and jitter, when the connection is lost, the member turned out
        read-only, transactions conflict, or nobody can say whether the commit took place: `work` must be idempotent.
        Raises `StoreUnavailable` after `deadline_s`; the outcome is then unknown. What `work` raises itself rolls back.
        """
        return await self._until_certain(lambda left_s, unsure: self._transact(work, left_s, unsure), deadline_s)

    async def statement(self, query: str, parameters: Any = None, *, deadline_s: float = 10.0) -> list[DictRow]:
        """Rows of one statement that is a transaction of its own; promises and raises what `transaction` does.

        One round trip instead of three. It is not cut short at the deadline: meant for statements that wait for no
        locks that somebody might hold for long.
        """

        async def in_a_transaction(connection: Connection) -> list[DictRow]:
            cursor = await connection.execute(query, parameters)
            return await cursor.fetchall()

        async def once(left_s: float, unsure: bool) -> list[DictRow]:
            if unsure:
                return await self._transact(in_a_transaction, left_s, unsure)
            return await self._state(query, parameters, left_s)

        return await self._until_certain(once, deadline_s)

    async def _until_certain(self, once: Callable[[float, bool], Awaitable[T]], deadline_s: float) -> T:
        """What `once(seconds left, whether a commit before is unsure)` returned, run again while that may help."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + deadline_s
        pause_s, unsure = _FIRST_PAUSE_S, False
        while True:
            try:
                answer = await once(max(0.05, until_s - loop.time()), unsure)
                self._found_no_primary = False
                return answer
            except (CommitUnknown, StoreUnavailable, psycopg.Error) as error:
                unsure = unsure or isinstance(error, CommitUnknown)
                why = _why_again(error)
                if why is None:
                    raise
                self._found_no_primary = why != "conflict"
                if loop.time() + pause_s >= until_s:
                    raise StoreUnavailable(f"PostgreSQL ({self._name}): no certain commit in time: {error}") from error
                self._metrics.transactions_again.labels(why).inc()
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 1.7)

    async def _transact(self, work: Callable[[Connection], Awaitable[T]], left_s: float, unsure: bool) -> T:
        until_s = asyncio.get_running_loop().time() + left_s
        connection = await self._take(min(2.0, left_s))
        try:
            async with asyncio.timeout_at(until_s):
                await connection.execute("BEGIN")
                if unsure:
                    # The work may find everything done and write nothing, and such a commit waits for nobody. This
                    # record makes it wait, and what waits for it waits for all that was written before.
                    await connection.execute("SELECT pg_logical_emit_message(true, 'shop', 'once more')")
                answer = await work(connection)
        except BaseException as error:
            await self._abandon(connection, error)
            if isinstance(error, TimeoutError):
                raise StoreUnavailable("the transaction took too long") from error
            raise
        await self._seen_through(self._commit(connection), until_s)
        return answer

    async def _state(self, query: str, parameters: Any, left_s: float) -> list[DictRow]:
        until_s = asyncio.get_running_loop().time() + left_s
        connection = await self._take(min(2.0, left_s))
        return await self._seen_through(self._execute(connection, query, parameters), until_s)

    async def _seen_through(self, committing: Coroutine[Any, Any, T], until_s: float) -> T:
        """Waits for what commits. It lives on when its caller is cancelled or the time is over.

        Cutting the wait for the standby would leave a commit that is visible here and perhaps nowhere else.
        """
        commit = asyncio.create_task(committing)
        self._commits[commit] = asyncio.get_running_loop().time()
        commit.add_done_callback(self._committed)
        try:
            async with asyncio.timeout_at(max(until_s, asyncio.get_running_loop().time() + 0.1)):
                return await asyncio.shield(commit)
        except TimeoutError as error:
            raise CommitUnknown("the commit took too long") from error

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

    def _committed(self, commit: asyncio.Task[Any]) -> None:
        self._commits.pop(commit, None)
        if not commit.cancelled():
            commit.exception()  # seen by whoever waited; an abandoned caller has nobody to tell

    async def _commit(self, connection: Connection) -> None:
        """Commits and gives the connection back. Raises `CommitUnknown` when the answer was lost or unsure."""
        _warned.pop(connection, None)
        try:
            cursor = await connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            await connection.close()
            raise CommitUnknown(str(error)) from error
        finally:
            unsure = _warned.pop(connection, None)
            await self._pool.putconn(connection)
        if unsure is not None:
            raise CommitUnknown(unsure)
        if cursor.statusmessage != "COMMIT":
            # An error that `work` swallowed has aborted the transaction; PostgreSQL then rolls back without complaint.
            raise RuntimeError(f"the transaction was not committed: {cursor.statusmessage}; let errors leave the work")

    async def _execute(self, connection: Connection, query: str, parameters: Any) -> list[DictRow]:
        """Executes, which commits, and gives the connection back. Raises as `_commit` and what PostgreSQL says."""
        _warned.pop(connection, None)
        try:
            cursor = await connection.execute(query, parameters)
            rows = await cursor.fetchall()
        except _CONFLICTS:
            raise
        except (psycopg.OperationalError, errors.ReadOnlySqlTransaction) as error:
            await connection.close()
            if isinstance(error, _WRONG_MEMBER):
                raise
            raise CommitUnknown(str(error)) from error
        finally:
            unsure = _warned.pop(connection, None)
            await self._pool.putconn(connection)
        if unsure is not None:
            raise CommitUnknown(unsure)
        return rows

    async def _abandon(self, connection: Connection, error: BaseException) -> None:
        """Rolls back; a connection that may be broken or busy is thrown away, the pool opens another."""
        broken = isinstance(error, psycopg.OperationalError | asyncio.CancelledError | TimeoutError)
        if broken or isinstance(error, errors.ReadOnlySqlTransaction) or connection.broken:
            await connection.close()
        else:
            try:
                await connection.execute("ROLLBACK")
            except psycopg.Error:
                await connection.close()
        await self._pool.putconn(connection)

    @property
    def is_stalled(self) -> bool:
        """Whether writes get nowhere: the last one found no primary, or a commit has waited for more than a second."""
        oldest_s = next(iter(self._commits.values()), None)
        return self._found_no_primary or (
            oldest_s is not None and asyncio.get_running_loop().time() - oldest_s > _STALLED_AFTER_S
        )

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


def _why_again(error: BaseException) -> str | None:
    """Why running the transaction again may help; None: it will not."""
    if isinstance(error, CommitUnknown):
        return "unknown-commit"
    if isinstance(error, _CONFLICTS):
        return "conflict"
    if isinstance(error, _WRONG_MEMBER):
        return "wrong-member"
    if isinstance(error, errors.QueryCanceled):
        return None
    if isinstance(error, StoreUnavailable | psycopg.OperationalError | psycopg.InterfaceError):
        return "connection"
    return None
