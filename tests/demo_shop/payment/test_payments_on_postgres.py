import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest

from demo_shop.frame.database import Database
from demo_shop.payment.books import Payment, PaymentBooks
from demo_shop.payment.model import State

pytestmark = pytest.mark.xdist_group("shop-stores")

WithDatabase = Callable[[Callable[[Database], Awaitable[None]]], None]


async def rows_of(database: Database, order_id: uuid.UUID) -> list[tuple[int, str, bool]]:
    rows = await database.rows("SELECT * FROM payments WHERE order_id = %s", (order_id,))
    return [(row["amount_cents"], row["state"], row["refunded_at"] is not None) for row in rows]


def test_an_order_paid_for_many_times_at_once_is_charged_once(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        payments = await asyncio.gather(*(books.book(order, 700, State.CAPTURED) for _ in range(30)))
        assert payments == [Payment(order, 700, State.CAPTURED)] * 30
        assert await rows_of(database, order) == [(700, "captured", False)]

    with_database(test)


def test_the_books_say_what_they_said_first(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        await books.book(order, 700, State.DECLINED)
        assert await books.book(order, 900, State.CAPTURED) == Payment(order, 700, State.DECLINED)

    with_database(test)


def test_an_answer_from_the_books_writes(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        version = "SELECT xmin::text::bigint AS xmin FROM payments WHERE order_id = %s"
        for again in (books.book(order, 700, State.CAPTURED), books.refund(order)):
            await books.book(order, 700, State.CAPTURED)
            before = (await database.rows(version, (order,)))[0]["xmin"]
            await again
            assert (await database.rows(version, (order,)))[0]["xmin"] > before

    with_database(test)


def test_a_refund_gives_the_money_back_once(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        await books.book(order, 700, State.CAPTURED)
        first = await books.refund(order)
        assert first == await books.refund(order) == Payment(order, 700, State.REFUNDED)
        assert await rows_of(database, order) == [(700, "refunded", True)]

    with_database(test)


def test_what_was_declined_stays_declined(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        await books.book(order, 700, State.DECLINED)
        assert (await books.refund(order)).state is State.DECLINED
        assert await rows_of(database, order) == [(700, "declined", False)]

    with_database(test)


def test_a_payment_that_comes_after_its_refund_takes_no_money(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, order = PaymentBooks(database), uuid.uuid4()
        await books.refund(order)
        assert await books.book(order, 700, State.CAPTURED) == Payment(order, 0, State.REFUNDED)

    with_database(test)
