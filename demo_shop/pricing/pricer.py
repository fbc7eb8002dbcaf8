"""Keeps the price book current: follows the shared one, and advances it when nobody else has."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from redis.exceptions import RedisError

from demo_shop.frame.problems import StoreUnavailable
from demo_shop.pricing.assortment import Assortment
from demo_shop.pricing.book import LEAST_UNITS, Book, Market
from demo_shop.pricing.core import PriceQuote, guard_rails
from demo_shop.pricing.demand import RecentDemand
from demo_shop.pricing.settings import PriceSettings

_REDIS_AWAY = (RedisError, OSError, TimeoutError)


class ReadsCatalogue(Protocol):
    async def assortment(self) -> Assortment: ...
    async def stock(self) -> dict[int, int]: ...


class FollowsOrders(Protocol):
    async def catch_up(self, now_s: float) -> None: ...


class SharesBooks(Protocol):
    async def newer_than(self, tick: int) -> Book | None: ...
    async def publish(self, book: Book) -> bool: ...


@dataclass(frozen=True, slots=True)
class Rhythm:
    """In seconds. A change of stock or demand shows after at most `tick_s` + `look_s` and the time to read it."""

    look_s: float = 0.5  # for a newer shared book
    tick_s: float = 2.0  # from book to book
    assortment_s: float = 60.0
    redis_timeout_s: float = 0.5
    demand_lasts_s: float = 10.0  # without word from Redis, demand is unknown


@dataclass(frozen=True, slots=True)
class Ages:
    """When each input was last read, in seconds of the clock; None: never."""

    stock_s: float | None
    demand_s: float | None
    assortment_s: float | None


class Pricer:
    """The prices of this process. `now_s` is Unix time: steps and ticks are counted alike by all processes."""

    def __init__(
        self,
        catalogue: ReadsCatalogue,
        demand: RecentDemand,
        orders: FollowsOrders,
        shared: SharesBooks,
        now_s: Callable[[], float],
        settings: PriceSettings | None = None,
        rhythm: Rhythm | None = None,
    ) -> None:
        self._catalogue, self._demand, self._orders = catalogue, demand, orders
        self._shared, self._now_s = shared, now_s
        self._settings, self._rhythm = settings or PriceSettings(), rhythm or Rhythm()
        self._assortment: Assortment | None = None
        self._stock: dict[int, int] | None = None
        self._usual_cover: float | None = None
        self.read_at = Ages(None, None, None)
        self.book = Book()

    async def run(self) -> None:
        while True:
            await self.look()
            await asyncio.sleep(self._rhythm.look_s)

    @property
    def products(self) -> int | None:
        """How many there are; None before they were first read."""
        return None if self._assortment is None else len(self._assortment)

    def quote(self, product_id: int) -> tuple[int, PriceQuote] | None:
        """Base price and quote; None: no such product. Raises `StoreUnavailable` before products were ever read."""
        if self._assortment is None:
            raise StoreUnavailable("PostgreSQL: the products were not read yet")
        quote = self.book.quote(product_id, self._assortment, self._settings)
        return None if quote is None else (self._assortment.base_cents[product_id], quote)

    def at_rails(self) -> tuple[int, int]:
        """How many prices are the lowest, and how many the highest, that the rails allow (to the customary ending)."""
        lowest = highest = 0
        for product_id, entry in self.book.entries.items():
            base_cents = None if self._assortment is None else self._assortment.base_cents.get(product_id)
            if base_cents is not None:
                rails = guard_rails(base_cents, self._settings)
                slack = self._settings.least_change * base_cents
                lowest += entry.price_cents <= rails.lowest + slack
                highest += entry.price_cents >= rails.highest - slack
        return lowest, highest

    async def look(self) -> None:
        """Takes over a newer book, or makes the next one when it is due."""
        now_s = self._now_s()
        assortment = await self._current_assortment(now_s)
        if assortment is None:
            return
        redis_there = await self._follow()
        tick = math.floor(now_s / self._rhythm.tick_s)
        if self.book.tick >= tick:
            return
        if redis_there:
            await self._read_orders(now_s)
        await self._read_stock(now_s, assortment)
        book = self.book.advanced(tick, now_s, self._market(now_s, assortment), assortment, self._settings)
        first = not redis_there or await self._published(book)
        if first or not (await self._follow() and self.book.tick >= tick):
            self.book = book

    def _market(self, now_s: float, assortment: Assortment) -> Market:
        read_at_s = self.read_at.demand_s
        if read_at_s is None or now_s - read_at_s > self._rhythm.demand_lasts_s:
            return Market(None, None, self._stock, self._usual_cover)
        units = self._demand.units(now_s, LEAST_UNITS)
        total = assortment.usual_total(units, self._demand.total(now_s), self._settings.demand_prior_units)
        return Market(units, total, self._stock, self._usual_cover)

    async def _current_assortment(self, now_s: float) -> Assortment | None:
        read_at_s = self.read_at.assortment_s
        if read_at_s is None or now_s - read_at_s >= self._rhythm.assortment_s:
            try:
                assortment = await self._catalogue.assortment()
            except StoreUnavailable:
                return self._assortment
            if not len(assortment):  # the shop is not seeded yet
                return self._assortment
            self._assortment = assortment
            self._usual_cover = None  # goes with the popularity
            self.read_at = Ages(self.read_at.stock_s, self.read_at.demand_s, now_s)
        return self._assortment

    async def _read_stock(self, now_s: float, assortment: Assortment) -> None:
        """What was last known stays when the replica does not answer."""
        try:
            self._stock = await self._catalogue.stock()
        except StoreUnavailable:
            return
        if self._usual_cover is None:
            self._usual_cover = assortment.usual_cover(self._stock)
        self.read_at = Ages(now_s, self.read_at.demand_s, self.read_at.assortment_s)

    async def _read_orders(self, now_s: float) -> None:
        try:
            async with asyncio.timeout(self._rhythm.redis_timeout_s):
                await self._orders.catch_up(now_s)
        except _REDIS_AWAY:
            return
        self.read_at = Ages(self.read_at.stock_s, now_s, self.read_at.assortment_s)

    async def _follow(self) -> bool:
        """Takes over the shared book when it is newer. Whether Redis answered."""
        return await self._redis_answers(self._take_over)

    async def _take_over(self) -> bool:
        newer = await self._shared.newer_than(self.book.tick)
        if newer is not None:
            self.book = newer
        return True

    async def _published(self, book: Book) -> bool:
        return await self._redis_answers(lambda: self._shared.publish(book))

    async def _redis_answers(self, question: Callable[[], Awaitable[bool]]) -> bool:
        try:
            return await question()
        except _REDIS_AWAY:
            return False
