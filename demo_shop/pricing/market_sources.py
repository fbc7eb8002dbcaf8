"""Where the inputs of prices come from: products and stock from PostgreSQL's replica, orders from a Redis stream."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from redis.asyncio import Redis

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.pricing.assortment import Assortment
from demo_shop.pricing.demand import OrderUnreadable, RecentDemand, read_order

STREAM = "shop:orders"
_HISTORY_HALF_LIVES = 10.0  # what is older weighs less than a thousandth
_AT_ONCE = 1000


class Catalogue:
    """Whole columns as two arrays in binary form: 10,000 products take about 2 ms, a tenth of them as rows."""

    def __init__(self, replica: Database) -> None:
        self._replica = replica

    async def assortment(self) -> Assortment:
        """Raises `StoreUnavailable`."""
        query = """
            SELECT array_agg(id ORDER BY id) AS ids, array_agg(base_price_cents ORDER BY id) AS base,
                   array_agg(popularity ORDER BY id) AS popularity
            FROM products
        """
        ids, base, popularity = await self._columns(query)
        return Assortment(dict(zip(ids, base, strict=True)), dict(zip(ids, popularity, strict=True)))

    async def stock(self) -> dict[int, int]:
        """Pieces of each product that can still be promised. Raises `StoreUnavailable`."""
        query = """
            SELECT array_agg(product_id ORDER BY product_id) AS ids,
                   array_agg(on_hand - reserved ORDER BY product_id) AS available
            FROM stock
        """
        ids, available = await self._columns(query)
        return dict(zip(ids, available, strict=True))

    async def _columns(self, query: str) -> list[list[int]]:
        async with self._replica.connection(timeout_s=0.5) as connection:
            return await _fetch(connection, query)


async def _fetch(connection: Connection, query: str) -> list[list[int]]:
    async with connection.cursor(binary=True) as cursor:
        await cursor.execute(query)
        row = await cursor.fetchone()
    return [] if row is None else [column or [] for column in row.values()]


class OrderReader:
    """Follows the stream of orders and adds them to the demand, each at the time at which Redis took it."""

    def __init__(
        self, redis: Redis, demand: RecentDemand, half_life_s: float, unreadable: Callable[[], None] = lambda: None
    ) -> None:
        self._redis, self._demand, self._unreadable = redis, demand, unreadable
        self._history_s = half_life_s * _HISTORY_HALF_LIVES
        self._last_id = "0-0"

    async def catch_up(self, now_s: float) -> None:
        """Reads what came since the last call, at first what still weighs. Raises `RedisError`."""
        earliest = f"{max(0, int((now_s - self._history_s) * 1000))}-0"
        self._last_id = max(self._last_id, earliest, key=_position)
        while True:
            answer = await self._redis.xread({STREAM: self._last_id}, count=_AT_ONCE)
            entries = _entries(answer)
            for entry_id, fields in entries:
                self._add(entry_id, fields)
                self._last_id = entry_id
            if len(entries) < _AT_ONCE:
                return
            await asyncio.sleep(0)

    def _add(self, entry_id: str, fields: dict[bytes, bytes]) -> None:
        try:
            order = read_order(fields.get(b"order"))
        except OrderUnreadable:
            self._unreadable()
            return
        if order is not None:
            self._demand.add(order, _position(entry_id)[0] / 1000.0)


def _entries(answer: object) -> list[tuple[str, dict[bytes, bytes]]]:
    """Entries of the one stream, whichever protocol the client speaks: a mapping in RESP3, a list in RESP2."""
    if not answer:
        return []
    if isinstance(answer, dict):
        (batches,) = answer.values()
        found = [entry for batch in batches for entry in batch]
    else:
        assert isinstance(answer, list)
        found = list(answer[0][1])
    return [(entry_id.decode(), fields) for entry_id, fields in found]


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)
