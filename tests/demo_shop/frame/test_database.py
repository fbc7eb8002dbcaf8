"""The promises of `Database.transaction`, on a real PostgreSQL."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import psycopg
import pytest

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import StoreUnavailable
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")


def settings_of(state: dict[str, Any], pool_size: int = 4) -> DatabaseSettings:
    database = state["database"]
    hosts = tuple((host.rpartition(":")[0], int(host.rpartition(":")[2])) for host in database["hosts"].split(","))
    return DatabaseSettings(hosts, database["name"], database["user"], database["password"], pool_size)


def with_database(
    state: dict[str, Any], test: Callable[[Database, Metrics], Awaitable[None]], pool_size: int = 4
) -> None:
    async def run() -> None:
        metrics = Metrics()
        database = Database(settings_of(state, pool_size), "read-write", metrics)
        await database.open()
        try:
            async with database.connection(timeout_s=20.0) as connection:
                await connection.execute("DROP TABLE IF EXISTS frame_test")
                await connection.execute("CREATE TABLE frame_test (id int PRIMARY KEY)")
            await test(database, metrics)
        finally:
            async with database.connection() as connection:
                await connection.execute("DROP TABLE IF EXISTS frame_test")
            await database.close()

    asyncio.run(run())


def again(metrics: Metrics, why: str) -> float:
    return metrics.registry.get_sample_value("shop_transactions_again_total", {"why": why}) or 0.0


async def ids(database: Database) -> list[int]:
    return [row["id"] for row in await database.rows("SELECT id FROM frame_test ORDER BY id")]


def test_a_transaction_whose_connection_is_lost_is_run_again(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        runs = 0

        async def work(connection: Connection) -> str:
            nonlocal runs
            runs += 1
            await connection.execute("INSERT INTO frame_test VALUES (1) ON CONFLICT DO NOTHING")
            if runs == 1:
                await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
            return "done"

        assert await database.transaction(work) == "done"
        assert runs == 2
        assert await ids(database) == [1]
        assert not database.is_stalled

    with_database(stores, test)


def test_a_commit_whose_wait_for_the_standby_was_cancelled_is_not_believed(stores: dict[str, Any]) -> None:
    """PostgreSQL then commits here, says so with a mere warning, and the standby may lack it."""

    async def test(database: Database, metrics: Metrics) -> None:
        async with database.connection() as connection:
            await connection.execute("""
                CREATE OR REPLACE FUNCTION warn_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN
                    RAISE WARNING 'canceling wait for synchronous replication due to user request';
                    RETURN NULL;
                END $$""")
            await connection.execute(
                "CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON frame_test DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION warn_at_commit()"
            )

        async def work(connection: Connection) -> None:
            await connection.execute("INSERT INTO frame_test VALUES (7) ON CONFLICT DO NOTHING")

        await database.transaction(work)
        assert again(metrics, "unknown-commit") == 1.0
        assert await ids(database) == [7]

    with_database(stores, test)


WARN_ONCE = """
    CREATE OR REPLACE FUNCTION warn_at_commit() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN RAISE WARNING 'Warten auf den Standby abgebrochen'; RETURN NULL; END $$
"""
WARN_AFTER_INSERT = (
    "CREATE CONSTRAINT TRIGGER warn AFTER INSERT ON frame_test DEFERRABLE INITIALLY DEFERRED"
    " FOR EACH ROW EXECUTE FUNCTION warn_at_commit()"
)


def test_the_commit_after_an_unsure_one_waits_for_the_standby_though_the_work_has_nothing_left_to_write(
    stores: dict[str, Any],
) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async with database.connection() as connection:
            await connection.execute(WARN_ONCE)
            await connection.execute(WARN_AFTER_INSERT)
        writes: list[bool] = []

        async def work(connection: Connection) -> None:
            await connection.execute("INSERT INTO frame_test VALUES (7) ON CONFLICT DO NOTHING")
            # Only a transaction with an id writes a commit record, which is what the standby is waited for.
            cursor = await connection.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL AS writes")
            row = await cursor.fetchone()
            writes.append(row is not None and row["writes"])

        await database.transaction(work)
        assert writes == [True, True]

    with_database(stores, test)


def test_a_statement_is_committed_in_one_go_and_run_again_when_its_commit_is_unsure(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        insert = "INSERT INTO frame_test VALUES (%s) ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING id"
        assert await database.statement(insert, (3,)) == [{"id": 3}]
        assert again(metrics, "unknown-commit") == 0.0
        async with database.connection() as connection:
            await connection.execute(WARN_ONCE)
            await connection.execute(WARN_AFTER_INSERT)
        assert await database.statement(insert, (4,)) == [{"id": 4}]
        assert again(metrics, "unknown-commit") == 1.0
        assert await ids(database) == [3, 4]
        with pytest.raises(psycopg.errors.UniqueViolation):
            await database.statement("INSERT INTO frame_test VALUES (3) RETURNING id")

    with_database(stores, test)


def test_a_statement_whose_connection_is_lost_is_run_again(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        # Ends its own connection for as long as the row is not there.
        kill_or_read = (
            "SELECT CASE WHEN EXISTS (SELECT FROM frame_test) THEN true"
            " ELSE pg_terminate_backend(pg_backend_pid()) END AS done"
        )
        asked = asyncio.create_task(database.statement(kill_or_read))
        async with asyncio.timeout(10.0):
            while again(metrics, "unknown-commit") + again(metrics, "wrong-member") == 0.0:
                await asyncio.sleep(0.01)
        async with database.connection() as connection:
            await connection.execute("INSERT INTO frame_test VALUES (1) ON CONFLICT DO NOTHING")
        assert await asked == [{"done": True}]

    with_database(stores, test)


def test_work_that_swallows_an_error_is_told_that_nothing_was_committed(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async def work(connection: Connection) -> None:
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                await connection.execute("INSERT INTO frame_test VALUES (1), (1)")

        with pytest.raises(RuntimeError, match="ROLLBACK"):
            await database.transaction(work)

    with_database(stores, test)


def test_two_transactions_that_lock_each_other_out_both_succeed(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async with database.connection() as connection:
            await connection.execute("INSERT INTO frame_test VALUES (1), (2)")
        first_locks = asyncio.Barrier(2)
        met = False

        async def swap(connection: Connection, one: int, other: int) -> None:
            nonlocal met
            await connection.execute("SELECT 1 FROM frame_test WHERE id = %s FOR UPDATE", (one,))
            if not met:
                await first_locks.wait()
                met = True
            await connection.execute("SELECT 1 FROM frame_test WHERE id = %s FOR UPDATE", (other,))

        await asyncio.gather(
            database.transaction(lambda connection: swap(connection, 1, 2)),
            database.transaction(lambda connection: swap(connection, 2, 1)),
        )
        assert again(metrics, "conflict") == 1.0

    with_database(stores, test)


def test_what_the_work_itself_raises_rolls_back_and_is_not_tried_again(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async def work(connection: Connection) -> None:
            await connection.execute("INSERT INTO frame_test VALUES (1)")
            await connection.execute("INSERT INTO frame_test VALUES (1)")

        with pytest.raises(psycopg.errors.UniqueViolation):
            await database.transaction(work)
        assert await ids(database) == []

    with_database(stores, test)


def test_a_caller_that_leaves_does_not_cut_the_commit_short(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async with database.connection() as connection:
            await connection.execute("""
                CREATE OR REPLACE FUNCTION slow_commit() RETURNS trigger LANGUAGE plpgsql AS $$
                BEGIN PERFORM pg_sleep(0.5); RETURN NULL; END $$""")
            await connection.execute(
                "CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON frame_test DEFERRABLE INITIALLY DEFERRED"
                " FOR EACH ROW EXECUTE FUNCTION slow_commit()"
            )
        reached = asyncio.Event()

        async def work(connection: Connection) -> None:
            await connection.execute("INSERT INTO frame_test VALUES (3)")
            reached.set()

        caller = asyncio.create_task(database.transaction(work))
        await reached.wait()
        await asyncio.sleep(0.1)  # the commit is on its way
        caller.cancel()
        with pytest.raises(asyncio.CancelledError):
            await caller
        async with asyncio.timeout(10.0):
            while await ids(database) != [3]:
                await asyncio.sleep(0.05)

    with_database(stores, test)


def test_writes_are_stalled_while_a_commit_waits_for_more_than_a_second(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        statement = asyncio.create_task(database.statement("SELECT pg_sleep(2) IS NULL AS slept"))
        async with asyncio.timeout(10.0):
            while not database.is_stalled:
                await asyncio.sleep(0.05)
        await statement
        assert not database.is_stalled

    with_database(stores, test)


def test_no_certain_commit_in_time_is_said_so() -> None:
    async def run() -> None:
        nowhere = DatabaseSettings((("127.0.0.1", 1),), "shop", "shop", None)
        database = Database(nowhere, "read-write", Metrics())
        await database.open()

        async def work(connection: Connection) -> None:
            raise AssertionError("there is no connection to work on")

        with pytest.raises(StoreUnavailable, match="PostgreSQL"):
            await database.transaction(work, deadline_s=0.5)
        assert database.is_stalled
        await database.close()

    asyncio.run(run())


def test_connections_taken_away_are_missed_until_they_are_given_back(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        assert [await database.take_away() for _ in range(3)] == [True, True, False]
        with pytest.raises(StoreUnavailable):
            async with database.connection(timeout_s=0.1):
                pass
        await database.give_all_back()
        assert await ids(database) == []

    with_database(stores, test, pool_size=2)


def test_the_pool_is_measured(stores: dict[str, Any]) -> None:
    async def test(database: Database, metrics: Metrics) -> None:
        async with database.connection():
            database.measure()
        value = metrics.registry.get_sample_value
        assert value("db_client_connection_count", {"pool": "primary", "state": "used"}) == 1.0
        assert value("db_client_connection_max", {"pool": "primary"}) == 4.0

    with_database(stores, test)
