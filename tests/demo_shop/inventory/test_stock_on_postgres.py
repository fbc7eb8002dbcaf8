"""Stock under many buyers at once, on the real store."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.inventory.batching import Batching
from demo_shop.inventory.books import Release, StockBooks
from demo_shop.inventory.model import Ask, Differs, Held, Line, Released, Short, State
from demo_shop.inventory.shelves import KeyOfAnotherDelivery, Shelves

pytestmark = pytest.mark.xdist_group("shop-stores")

PutOnShelf = Callable[[int], int]
WithDatabase = Callable[[Callable[[Database], Awaitable[None]]], None]


def ask(*lines: tuple[int, int]) -> Ask:
    return Ask(uuid.uuid4(), tuple(Line(*line) for line in sorted(lines)))


def again_after_conflicts(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("shop_transactions_again_total", {"why": "conflict"}) or 0.0


async def shelf_of(database: Database, product_id: int) -> tuple[int, int]:
    """On hand and reserved."""
    rows = await database.rows("SELECT on_hand, reserved FROM stock WHERE product_id = %s", (product_id,))
    return rows[0]["on_hand"], rows[0]["reserved"]


async def check_books(database: Database, *product_ids: int) -> None:
    """What must hold at any time: the shelf agrees with the movements and with the promises."""
    for product_id in product_ids:
        on_hand, reserved = await shelf_of(database, product_id)
        rows = await database.rows(
            "SELECT (SELECT sum(quantity) FROM stock_movements WHERE product_id = %(p)s) AS moved, "
            "(SELECT coalesce(sum(quantity), 0) FROM reservations WHERE product_id = %(p)s AND state = 'held') AS held",
            {"p": product_id},
        )
        assert (rows[0]["moved"], rows[0]["held"]) == (on_hand, reserved)
        assert 0 <= reserved <= on_hand


def test_of_fifty_buyers_at_once_one_gets_the_last_item(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(1)
        outcomes = await asyncio.gather(*(books.reserve([ask((product, 1))]) for _ in range(50)))
        assert sum(isinstance(outcome, Held) for (outcome,) in outcomes) == 1
        assert sum(outcome == Short((product,)) for (outcome,) in outcomes) == 49
        assert await shelf_of(database, product) == (1, 1)

    with_database(test)


def test_buyers_that_share_a_batch_are_served_alike(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        product = put_on_shelf(7)
        reserving = Batching(StockBooks(database).reserve, most=32, lanes=2)
        outcomes = await asyncio.gather(*(reserving.submit(ask((product, 1))) for _ in range(50)))
        assert sum(isinstance(outcome, Held) for outcome in outcomes) == 7
        assert await shelf_of(database, product) == (7, 7)

    with_database(test)


def test_one_order_asked_for_twenty_times_holds_its_lines_once(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(100)
        same = ask((product, 2))
        outcomes = await asyncio.gather(*(books.reserve([same]) for _ in range(20)))
        assert sorted(outcome.fresh for (outcome,) in outcomes if isinstance(outcome, Held)) == [False] * 19 + [True]
        assert await shelf_of(database, product) == (100, 2)

    with_database(test)


def test_orders_that_name_products_in_opposite_order_never_wait_for_each_other(
    put_on_shelf: PutOnShelf, with_database: WithDatabase, database_metrics: Metrics
) -> None:
    async def test(database: Database) -> None:
        books, one, other = StockBooks(database), put_on_shelf(100), put_on_shelf(100)
        backwards = [Ask(uuid.uuid4(), (Line(other, 1), Line(one, 1))) for _ in range(20)]
        forwards = [Ask(uuid.uuid4(), (Line(one, 1), Line(other, 1))) for _ in range(20)]
        await asyncio.gather(
            *(books.reserve([each]) for pair in zip(backwards, forwards, strict=True) for each in pair)
        )
        assert await shelf_of(database, one) == (100, 40) == await shelf_of(database, other)
        assert again_after_conflicts(database_metrics) == 0

    with_database(test)


def test_a_sale_takes_the_goods_off_the_shelf_once(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(10)
        bought = ask((product, 3))
        await books.reserve([bought])
        assert await asyncio.gather(*(books.sell([bought.order_id]) for _ in range(5))) == [[State.SOLD]] * 5
        assert await shelf_of(database, product) == (7, 0)
        rows = await database.rows("SELECT quantity FROM stock_movements WHERE key = %s", (str(bought.order_id),))
        assert [row["quantity"] for row in rows] == [-3]

    with_database(test)


def test_what_was_sold_is_not_released_and_what_was_released_is_not_sold(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(10)
        sold, released = ask((product, 1)), ask((product, 2))
        await books.reserve([sold, released])
        await books.sell([sold.order_id])
        await books.release([Release(released.order_id)])
        assert await books.release([Release(sold.order_id)]) == [State.SOLD]
        assert await books.sell([released.order_id]) == [State.RELEASED]
        assert await shelf_of(database, product) == (9, 0)

    with_database(test)


def test_a_reservation_that_comes_after_its_release_is_refused(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(10)
        late = ask((product, 4))
        assert await books.release([Release(late.order_id, late.lines)]) == [State.RELEASED]
        assert await books.reserve([late]) == (Released(),)
        assert await shelf_of(database, product) == (10, 0)

    with_database(test)


def test_an_order_cannot_hold_other_lines_than_before(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books, product = StockBooks(database), put_on_shelf(10)
        first = ask((product, 4))
        await books.reserve([first])
        assert await books.reserve([Ask(first.order_id, (Line(product, 5),))]) == (Differs(),)
        assert await shelf_of(database, product) == (10, 4)

    with_database(test)


def test_nothing_is_known_of_an_order_that_never_held_anything(with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        books = StockBooks(database)
        assert await books.sell([uuid.uuid4()]) == [None]
        assert await books.release([Release(uuid.uuid4())]) == [None]

    with_database(test)


def test_a_delivery_counts_once_per_key(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        shelves, product = Shelves(database, database), put_on_shelf(2)
        key = str(uuid.uuid4())
        assert await asyncio.gather(*(shelves.deliver(product, 5, key) for _ in range(10))) == [7] * 10
        with pytest.raises(KeyOfAnotherDelivery, match="delivery of 5"):
            await shelves.deliver(product, 6, key)
        assert await shelves.deliver(2**31 - 1, 5, key) is None
        assert await shelves.available([product, 2**31 - 1]) == {product: 7}
        await check_books(database, product)

    with_database(test)


def test_stock_held_for_nobody_is_found_after_a_quarter_of_an_hour(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        books, shelves, product = StockBooks(database), Shelves(database, database), put_on_shelf(10)
        old, young, living = ask((product, 1)), ask((product, 1)), ask((product, 1))
        await books.reserve([old, young, living])
        await database.rows(
            "WITH o AS (INSERT INTO orders (id, idempotency_key, request_hash, customer_id, payment_token, state, "
            "total_cents) VALUES (%(id)s, %(id)s::text, '', 'c', 'tok_visa', 'pending', 1000)) "
            "UPDATE reservations SET created_at = now() - interval '16 minutes' WHERE order_id = ANY(%(old)s) "
            "RETURNING 1",
            {"id": living.order_id, "old": [old.order_id, living.order_id]},
        )
        forgotten = await shelves.forgotten()
        assert old.order_id in forgotten
        assert young.order_id not in forgotten and living.order_id not in forgotten

    with_database(test)


Step = tuple[str, int, int, int]  # what, which order, how much of the first product, how much of the second
STEPS = st.lists(
    st.tuples(
        st.sampled_from(("reserve", "sell", "release", "deliver")),
        st.integers(0, 5),
        st.integers(1, 3),
        st.integers(0, 3),
    ),
    min_size=5,
    max_size=25,
)


@settings(max_examples=12, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=STEPS, width=st.integers(1, 6))
def test_the_books_agree_whatever_happens_at_once(
    put_on_shelf: PutOnShelf, with_database: WithDatabase, steps: list[Step], width: int
) -> None:
    async def test(database: Database) -> None:
        books, shelves = StockBooks(database), Shelves(database, database)
        one, other = put_on_shelf(6), put_on_shelf(4)
        orders = [uuid.uuid4() for _ in range(6)]

        async def take(what: str, which: int, of_one: int, of_other: int) -> None:
            lines = (Line(one, of_one), Line(other, of_other))[: 2 if of_other else 1]
            if what == "reserve":
                await books.reserve([Ask(orders[which], lines)])
            elif what == "sell":
                await books.sell([orders[which]])
            elif what == "release":
                await books.release([Release(orders[which], lines if of_other else ())])
            else:
                await shelves.deliver(one, of_one, f"{orders[0]}-{which}-{of_one}")

        for begin in range(0, len(steps), width):
            await asyncio.gather(*(take(*step) for step in steps[begin : begin + width]))
            await check_books(database, one, other)

    with_database(test)
