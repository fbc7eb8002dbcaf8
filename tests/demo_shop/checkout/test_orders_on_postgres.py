"""Orders on the real store: crowds, crashes and competing processes."""

import asyncio
import json
import logging
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from uuid import UUID

import pytest

from demo_shop.checkout.books import OrderBooks, OrderShelf
from demo_shop.checkout.errors import Overtaken, StepUnavailable
from demo_shop.checkout.model import (
    Line,
    NewOrder,
    Order,
    OrderState,
    PricedLine,
    Quote,
    Refusal,
    RefusalCode,
    Wish,
)
from demo_shop.checkout.placing import Placed, Placing
from demo_shop.checkout.relay import Backlog, Fact, Relay
from demo_shop.checkout.saga import Saga
from demo_shop.checkout.sweeper import Sweeper
from demo_shop.frame.database import Database
from demo_shop.frame.logs import Log
from demo_shop.inventory.books import StockBooks
from demo_shop.inventory.model import Ask, Held, Short
from demo_shop.inventory.model import Line as StockLine
from demo_shop.payment.books import PaymentBooks
from demo_shop.payment.model import State, is_declined

pytestmark = pytest.mark.xdist_group("shop-stores")

PutOnShelf = Callable[[int], int]
WithDatabase = Callable[[Callable[[Database], Awaitable[None]]], None]
STEPS = ("begin", "reserve", "capture", "decide")


class Killed(Exception):
    """The process is gone."""


class Fuse:
    """Kills its process after a step, once."""

    def __init__(self, step: str | None = None) -> None:
        self._step = step

    def passes(self, step: str) -> None:
        if step == self._step:
            self._step = None
            raise Killed(step)


class FusedBooks(OrderBooks):
    def __init__(self, database: Database, fuse: Fuse) -> None:
        self.decided: list[Order] = []
        super().__init__(database, self.decided.append)
        self._fuse = fuse

    async def begin(self, new: NewOrder, within_s: float) -> Order | None:
        order = await super().begin(new, within_s)
        self._fuse.passes("begin")
        return order

    async def decide(self, order: Order, state: OrderState, refusal: Refusal | None, patience_s: float) -> Order:
        decided = await super().decide(order, state, refusal, patience_s)
        self._fuse.passes("decide")
        return decided


class Inventory:
    """The stock's books without HTTP between."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._books, self._fuse = StockBooks(database), fuse

    async def reserve(self, order_id: UUID, lines: Sequence[Line], patience_s: float) -> tuple[int, ...]:
        asked = Ask(order_id, tuple(StockLine(line.product_id, line.quantity) for line in lines))
        (outcome,) = await self._books.reserve([asked])
        self._fuse.passes("reserve")
        if isinstance(outcome, Short):
            return outcome.product_ids
        if not isinstance(outcome, Held):
            raise Overtaken
        return ()


class Payment:
    """The payments' books without HTTP between."""

    def __init__(self, database: Database, fuse: Fuse) -> None:
        self._books, self._fuse = PaymentBooks(database), fuse

    async def capture(self, order_id: UUID, amount_cents: int, payment_token: str, patience_s: float) -> bool:
        state = State.DECLINED if is_declined(payment_token, order_id) else State.CAPTURED
        payment = await self._books.book(order_id, amount_cents, state)
        self._fuse.passes("capture")
        return payment.state is State.CAPTURED


class Seconds:
    def left_s(self) -> float:
        return 20.0


class Process:
    """A process of checkout; `fuse` says where it dies."""

    def __init__(self, database: Database, fuse: Fuse | None = None) -> None:
        fuse = fuse or Fuse()
        self.books = FusedBooks(database, fuse)
        saga = Saga(self.books, Inventory(database, fuse), Payment(database, fuse))
        self._placing = Placing(self.books, saga, _price)
        self.sweeper = Sweeper(self.books, saga, Seconds)

    async def place(self, wish: Wish, key: str) -> Placed:
        return await self._placing.place(wish, key, Seconds(), synthetic=False)


async def _price(wish: Wish) -> Quote:
    return Quote(tuple(PricedLine(line.product_id, line.quantity, 1000) for line in wish.lines), degraded=False)


def wish_for(product_id: int, quantity: int = 1, token: str = "tok_visa") -> Wish:
    return Wish("ann", (Line(product_id, quantity),), token, None)


def new_key() -> str:
    return str(uuid.uuid4())


async def new_order(database: Database, product_id: int, *, synthetic: bool = False) -> Order:
    """A pending order in the books."""
    wish = wish_for(product_id)
    new = NewOrder(uuid.uuid4(), new_key(), wish, await _price(wish), synthetic)
    order = await OrderBooks(database, lambda _: None).begin(new, 5.0)
    assert order is not None
    return order


async def number(database: Database, query: str, *values: Any) -> int:
    (row,) = await database.rows(query, values)
    return int(next(iter(row.values())))


def test_of_fifty_customers_at_once_one_gets_the_last_item(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        process, product = Process(database), put_on_shelf(1)
        placed = await asyncio.gather(*(process.place(wish_for(product), new_key()) for _ in range(50)))
        orders = [each.order for each in placed]
        assert sum(order.state is OrderState.CONFIRMED for order in orders) == 1
        assert {order.refusal for order in orders} == {None, Refusal(RefusalCode.OUT_OF_STOCK, (product,))}
        ids = [order.id for order in orders]
        assert await number(database, "SELECT count(*) FROM payments WHERE order_id = ANY(%s)", ids) == 1

    with_database(test)


def test_one_key_sent_fifty_times_at_once_makes_one_order_and_fifty_equal_answers(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        product, key = put_on_shelf(100), new_key()
        processes = [Process(database), Process(database)]
        placed = await asyncio.gather(*(processes[i % 2].place(wish_for(product), key) for i in range(50)))
        assert len({json.dumps(each.order.public()) for each in placed}) == 1
        assert placed[0].order.state is OrderState.CONFIRMED
        assert sum(not each.replayed for each in placed) == 1
        assert await number(database, "SELECT count(*) FROM orders WHERE idempotency_key = %s", key) == 1
        assert await number(database, "SELECT answered FROM orders WHERE idempotency_key = %s", key) == 49
        assert await number(database, "SELECT reserved FROM stock WHERE product_id = %s", product) == 1
        assert sum(len(process.books.decided) for process in processes) == 1

    with_database(test)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_that_dies_after_any_step_leaves_an_order_that_another_finishes_once(
    step: str, put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        product, key = put_on_shelf(5), new_key()
        with pytest.raises(Killed):
            await Process(database, Fuse(step)).place(wish_for(product, 2), key)
        await database.rows(
            "UPDATE orders SET lease_until = now() - interval '1 second' "
            "WHERE idempotency_key = %s AND state = 'pending' RETURNING id",
            (key,),
        )
        await asyncio.gather(Process(database).sweeper.sweep(), Process(database).sweeper.sweep())
        placed = await Process(database).place(wish_for(product, 2), key)
        order = placed.order
        assert (order.state, placed.replayed) == (OrderState.CONFIRMED, True)
        assert await number(database, "SELECT count(*) FROM payments WHERE order_id = %s", order.id) == 1
        assert await number(database, "SELECT reserved FROM stock WHERE product_id = %s", product) == 2
        assert await number(database, "SELECT count(*) FROM outbox WHERE key = %s", str(order.id)) == 1

    with_database(test)


def test_beginning_again_after_an_unsure_commit_writes_again_and_makes_nothing_new(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        wish = wish_for(put_on_shelf(1))
        new = NewOrder(uuid.uuid4(), new_key(), wish, await _price(wish), synthetic=False)
        books = OrderBooks(database, lambda _: None)
        version = "SELECT xmin::text::bigint FROM orders WHERE id = %s"
        first = await books.begin(new, 5.0)
        written = await number(database, version, new.id)
        assert await books.begin(new, 5.0) == first
        # A transaction that writes nothing would not wait for the standby.
        assert await number(database, version, new.id) > written
        assert await number(database, "SELECT count(*) FROM order_lines WHERE order_id = %s", new.id) == 1

    with_database(test)


def test_an_answer_from_the_books_writes(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        order = await new_order(database, put_on_shelf(1))
        books = OrderBooks(database, lambda _: None)
        version = "SELECT xmin::text::bigint FROM orders WHERE id = %s"
        before = await number(database, version, order.id)
        assert await books.answer(order.id) == order
        assert await number(database, version, order.id) > before
        assert await books.answer(uuid.uuid4()) is None

    with_database(test)


def test_of_two_who_decide_differently_at_once_one_prevails_and_both_say_the_same(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        order = await new_order(database, put_on_shelf(1))
        told: list[Order] = []
        books = OrderBooks(database, told.append)
        abandoned = Refusal(RefusalCode.ABANDONED)
        one, other = await asyncio.gather(
            books.decide(order, OrderState.CONFIRMED, None, 5.0),
            books.decide(order, OrderState.REJECTED, abandoned, 5.0),
        )
        assert one == other == told[0]
        assert len(told) == 1
        assert await number(database, "SELECT count(*) FROM outbox WHERE key = %s", str(order.id)) == 1

    with_database(test)


def test_an_order_that_the_books_lost_is_not_decided(with_database: WithDatabase, put_on_shelf: PutOnShelf) -> None:
    async def test(database: Database) -> None:
        order = await new_order(database, put_on_shelf(1))
        await database.rows("DELETE FROM order_lines WHERE order_id = %s RETURNING 1", (order.id,))
        await database.rows("DELETE FROM orders WHERE id = %s RETURNING 1", (order.id,))
        with pytest.raises(StepUnavailable, match="not in the books"):
            await OrderBooks(database, lambda _: None).decide(order, OrderState.CONFIRMED, None, 5.0)

    with_database(test)


def test_a_living_lease_keeps_others_away(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        order = await new_order(database, put_on_shelf(1), synthetic=True)
        books = OrderBooks(database, lambda _: None)
        assert await books.claim(order.id) is None
        assert order.id not in [entry.order.id for entry in await books.claim_stranded(100)]
        await books.give_up_lease(order.id)
        claimed = [await books.claim(order.id) for _ in range(2)]
        assert claimed == [order, None]
        await books.decide(order, OrderState.REJECTED, Refusal(RefusalCode.ABANDONED), 5.0)
        assert await books.claim(order.id) is None

    with_database(test)


def test_two_sweepers_never_take_the_same_order(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        product, books = put_on_shelf(1), OrderBooks(database, lambda _: None)
        orders = [await new_order(database, product) for _ in range(10)]
        for order in orders:
            await books.give_up_lease(order.id)
        taken = await asyncio.gather(*(books.claim_stranded(4) for _ in range(6)))
        ids = [entry.order.id for entries in taken for entry in entries]
        assert len(ids) == len(set(ids))
        assert {order.id for order in orders} <= set(ids)
        for order in orders:
            await books.decide(order, OrderState.REJECTED, Refusal(RefusalCode.ABANDONED), 5.0)

    with_database(test)


def test_readers_see_decided_orders_and_those_of_a_customer(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        books = OrderBooks(database, lambda _: None)
        shelf = OrderShelf(database, books)
        order = await new_order(database, put_on_shelf(1))
        assert await shelf.order(order.id) == order
        decided = await books.decide(order, OrderState.CONFIRMED, None, 5.0)
        assert await shelf.order(order.id) == decided
        assert await shelf.order(uuid.uuid4()) is None
        assert decided in await shelf.orders_of("ann", most=1_000)
        assert await shelf.orders_of("nobody") == []

    with_database(test)


class Recorder:
    """A delivery that notes the facts it gets, and refuses those of some orders."""

    def __init__(self, *refused: UUID) -> None:
        self.delivered: list[str] = []
        self.tried: list[str] = []
        self._refused = {str(order_id) for order_id in refused}

    async def deliver(self, fact: Fact) -> None:
        await asyncio.sleep(0)
        self.tried.append(fact.order["id"])
        if fact.order["id"] in self._refused:
            raise StepUnavailable("inventory: no answer")
        self.delivered.append(fact.order["id"])


def relay_to(database: Database, recorder: Any, seen: Callable[[Backlog], None] = lambda _: None) -> Relay:
    logger = logging.getLogger("demo_shop.tests")
    return Relay(database, recorder, Log(logger, {}), lambda: 0.0, seen)


async def decided_orders(database: Database, product_id: int, how_many: int) -> list[UUID]:
    books = OrderBooks(database, lambda _: None)
    orders = [await new_order(database, product_id) for _ in range(how_many)]
    for order in orders:
        await books.decide(order, OrderState.CONFIRMED, None, 5.0)
    return [order.id for order in orders]


def test_two_relays_share_the_outbox_and_deliver_each_fact_once(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        orders = await decided_orders(database, put_on_shelf(100), 40)
        recorder = Recorder()
        relays = [relay_to(database, recorder) for _ in range(2)]
        while sum(await asyncio.gather(*(relay.deliver_batch() for relay in relays))):
            pass
        mine = [order for order in recorder.delivered if UUID(order) in orders]
        assert sorted(mine) == sorted(str(order) for order in orders)

    with_database(test)


def test_a_fact_that_cannot_be_delivered_holds_up_no_other_and_is_tried_again_later(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        stuck, *others = await decided_orders(database, put_on_shelf(10), 3)
        recorder = Recorder(stuck)
        backlog: list[Backlog] = []
        relay = relay_to(database, recorder, backlog.append)
        while await relay.deliver_batch():
            pass
        assert {str(order) for order in others} <= set(recorder.delivered)
        assert recorder.tried.count(str(stuck)) == 1  # its pause is not over on a clock that stands still
        assert await relay.backlog() == 1 == backlog[-1].facts
        assert backlog[-1].oldest_s > 0.0
        successor = Recorder()
        await relay_to(database, successor).deliver_batch()
        assert successor.delivered == [str(stuck)]

    with_database(test)


def test_the_relay_wakes_up_when_there_is_something_to_deliver(
    put_on_shelf: PutOnShelf, with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        product = put_on_shelf(10)
        arrived = asyncio.Event()
        wanted: set[str] = set()

        class Awaited(Recorder):
            async def deliver(self, fact: Fact) -> None:
                if fact.order["id"] in wanted:
                    arrived.set()

        relay = relay_to(database, Awaited())
        running = asyncio.create_task(relay.run())
        order = await new_order(database, product)
        wanted.add(str(order.id))
        await OrderBooks(database, lambda _: relay.wake()).decide(order, OrderState.CONFIRMED, None, 5.0)
        await asyncio.wait_for(arrived.wait(), 10.0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    with_database(test)


def test_what_was_delivered_long_ago_is_forgotten(put_on_shelf: PutOnShelf, with_database: WithDatabase) -> None:
    async def test(database: Database) -> None:
        (old, young) = await decided_orders(database, put_on_shelf(10), 2)
        relay = relay_to(database, Recorder())
        while await relay.deliver_batch():
            pass
        await database.rows(
            "UPDATE outbox SET delivered_at = now() - interval '25 hours' WHERE key = %s RETURNING 1", (str(old),)
        )
        await relay.forget_old()
        kept: Sequence[Mapping[str, Any]] = await database.rows("SELECT key FROM outbox")
        assert str(young) in {row["key"] for row in kept}
        assert str(old) not in {row["key"] for row in kept}

    with_database(test)
