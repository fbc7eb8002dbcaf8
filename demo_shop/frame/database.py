"""PostgreSQL through a switchover: transactions that are run again until they are certain."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import psycopg
from psycopg import errors
from psycopg.rows import DictRow

from demo_shop.frame.connections import Connection, Connections, Member, warning_on
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.settings import DatabaseSettings

T = TypeVar("T")

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 0.5
_STALLED_AFTER_S = 1.0
_CONFLICTS = (errors.SerializationFailure, errors.DeadlockDetected)
_WRONG_MEMBER = (errors.ReadOnlySqlTransaction, errors.CannotConnectNow, errors.AdminShutdown, errors.CrashShutdown)


class CommitUnknown(Exception):
    """The commit was asked for, and nobody can say whether every member has it."""


class Database(Connections):
    """Connections, and transactions on them whose outcome is certain."""

    def __init__(
        self, settings: DatabaseSettings, member: Member, metrics: Metrics, *, rng: random.Random | None = None
    ) -> None:
        super().__init__(settings, member, metrics)
        self._rng = rng or random.Random()
        self._commits: dict[asyncio.Task[Any], float] = {}  # since when; the oldest first

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

    def _committed(self, commit: asyncio.Task[Any]) -> None:
        self._commits.pop(commit, None)
        if not commit.cancelled():
            commit.exception()  # seen by whoever waited; an abandoned caller has nobody to tell

    async def _commit(self, connection: Connection) -> None:
        """Commits and gives the connection back. Raises `CommitUnknown` when the answer was lost or unsure."""
        warning_on(connection)  # what was said before is not about this
        try:
            cursor = await connection.execute("COMMIT")
        except psycopg.OperationalError as error:
            await connection.close()
            raise CommitUnknown(str(error)) from error
        finally:
            unsure = warning_on(connection)
            await self._pool.putconn(connection)
        if unsure is not None:
            raise CommitUnknown(unsure)
        if cursor.statusmessage != "COMMIT":
            # An error that `work` swallowed has aborted the transaction; PostgreSQL then rolls back without complaint.
            raise RuntimeError(f"the transaction was not committed: {cursor.statusmessage}; let errors leave the work")

    async def _execute(self, connection: Connection, query: str, parameters: Any) -> list[DictRow]:
        """Executes, which commits, and gives the connection back. Raises as `_commit` and what PostgreSQL says."""
        warning_on(connection)  # what was said before is not about this
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
            unsure = warning_on(connection)
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
