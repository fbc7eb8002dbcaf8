"""Prices over a real PostgreSQL and a real Redis."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis

from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.pricing.book import Book, Entry
from demo_shop.pricing.demand import RecentDemand
from demo_shop.pricing.market_sources import STREAM, Catalogue, OrderReader
from demo_shop.pricing.pricer import Pricer
from demo_shop.pricing.shared_book import SharedBook
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")

PRODUCT, OTHER = 61, 62


class Stores:
    """The clients of one test."""

    def __init__(self, redis: Redis, database: Database) -> None:
        self.redis, self.database = redis, database

    def pricer(self, now_s: Callable[[], float] = time.time) -> Pricer:
        demand = RecentDemand(60.0)
        orders = OrderReader(self.redis, demand, 60.0)
        return Pricer(Catalogue(self.database), demand, orders, SharedBook(self.redis), now_s)

    async def stock(self, product_id: int) -> int:
        rows = await self.database.rows("SELECT on_hand FROM stock WHERE product_id = %s", (product_id,))
        return int(rows[0]["on_hand"])

    async def set_stock(self, product_id: int, on_hand: int) -> None:
        async with self.database.connection() as connection:
            await connection.execute("UPDATE stock SET on_hand = %s WHERE product_id = %s", (on_hand, product_id))

    async def order(self, product_id: int, quantity: int, **besides: object) -> None:
        lines = [{"product_id": product_id, "quantity": quantity, "unit_price_cents": 100}]
        order = {"id": str(uuid4()), "state": "confirmed", "lines": lines, **besides}
        await self.redis.xadd(STREAM, {"order": json.dumps(order)})

    async def forget(self) -> None:
        await self.redis.delete("pricing:v1:tick", "pricing:v1:book", STREAM)


def on_stores(state: dict[str, Any], settings: DatabaseSettings, work: Callable[[Stores], Awaitable[None]]) -> None:
    async def run() -> None:
        redis = Redis.from_url(state["redis_url"], password=state["redis_password"])
        database = Database(settings, "read-write", Metrics())
        await database.open()
        own = Stores(redis, database)
        try:
            await own.forget()
            await work(own)
            await own.forget()
        finally:
            await database.close()
            await redis.aclose()

    asyncio.run(run())


async def until(pricer: Pricer, product_id: int, factor: str) -> None:
    """Looks as often as the service does, until the price has the factor; 5 s are promised."""
    async with asyncio.timeout(30.0):
        while True:
            await pricer.look()
            quoted = pricer.quote(product_id)
            assert quoted is not None
            if factor in [effect.factor for effect in quoted[1].explanation]:
                return
            await asyncio.sleep(0.5)


def test_a_stock_of_three_raises_the_price(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def sell(own: Stores) -> None:
        pricer = own.pricer()
        await pricer.look()
        before = await own.stock(PRODUCT)
        await own.set_stock(PRODUCT, 3)
        try:
            await until(pricer, PRODUCT, "stock")
            quoted = pricer.quote(PRODUCT)
            assert quoted is not None
            base_cents, quote = quoted
            assert base_cents < quote.price_cents <= base_cents * 1.03
        finally:
            await own.set_stock(PRODUCT, before)

    on_stores(stores, database_settings, sell)


def test_orders_from_the_stream_raise_the_price(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def buy(own: Stores) -> None:
        pricer = own.pricer()
        await pricer.look()
        for _ in range(30):
            await own.order(OTHER, 4)
        await until(pricer, OTHER, "demand")

    on_stores(stores, database_settings, buy)


def test_the_reader_counts_orders_once_and_survives_what_is_no_order(
    stores: dict[str, Any], database_settings: DatabaseSettings
) -> None:
    async def read(own: Stores) -> None:
        unreadable: list[int] = []
        demand = RecentDemand(60.0)
        reader = OrderReader(own.redis, demand, 60.0, lambda: unreadable.append(1))
        order_id = str(uuid4())
        await own.order(OTHER, 4, id=order_id)
        await own.order(OTHER, 4, id=order_id)
        await own.order(OTHER, 9, state="rejected")
        await own.redis.xadd(STREAM, {"order": "no order"})
        await own.redis.xadd(STREAM, {"something": "else"})

        await reader.catch_up(time.time())
        await reader.catch_up(time.time())

        assert demand.total(0.0) == 4.0  # at a time before the first, where nothing has faded
        assert len(unreadable) == 2

    on_stores(stores, database_settings, read)


def test_orders_of_long_ago_are_not_read(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def read(own: Stores) -> None:
        await own.redis.xadd(STREAM, {"order": "an unreadable order of the year 1970"}, id="1-1")
        unreadable: list[int] = []
        reader = OrderReader(own.redis, RecentDemand(60.0), 60.0, lambda: unreadable.append(1))

        await reader.catch_up(time.time())

        assert unreadable == []

    on_stores(stores, database_settings, read)


def test_more_orders_than_one_answer_holds_are_all_read(
    stores: dict[str, Any], database_settings: DatabaseSettings
) -> None:
    async def read(own: Stores) -> None:
        async with own.redis.pipeline(transaction=False) as pipe:
            for number in range(2500):
                line = {"product_id": OTHER, "quantity": 1}
                pipe.xadd(STREAM, {"order": json.dumps({"id": str(number), "lines": [line]})})
            await pipe.execute()
        demand = RecentDemand(1e9)

        await OrderReader(own.redis, demand, 1e9).catch_up(time.time())

        assert demand.total(time.time()) == pytest.approx(2500.0, rel=1e-6)

    on_stores(stores, database_settings, read)


def test_the_first_of_two_books_stands(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def publish(own: Stores) -> None:
        shared = SharedBook(own.redis)
        first = Book(tick=7, step=1, as_of_s=14.0, entries={PRODUCT: Entry(100, 103, 1.5, None)})

        assert await shared.publish(first)
        assert not await shared.publish(Book(tick=7))
        assert not await shared.publish(Book(tick=6))
        assert await shared.newer_than(6) == first
        assert await shared.newer_than(7) is None
        assert await shared.publish(Book(tick=8))

    on_stores(stores, database_settings, publish)


def test_two_processes_agree_on_every_price(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def both(own: Stores) -> None:
        now_s = [time.time()]
        first, second = own.pricer(lambda: now_s[0]), own.pricer(lambda: now_s[0])
        for product_id in range(1, 40):
            await own.order(product_id, product_id)
        for _ in range(20):
            now_s[0] += 0.7
            await first.look()
            await second.look()
            assert first.book == second.book
        assert first.book.entries

    on_stores(stores, database_settings, both)
