"""When prices change, when inputs fail, and when several processes price: over sources in memory, with a set clock."""

import asyncio

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError

from demo_shop.frame.problems import StoreUnavailable
from demo_shop.pricing.assortment import Assortment
from demo_shop.pricing.book import Book
from demo_shop.pricing.demand import Ordered, RecentDemand
from demo_shop.pricing.pricer import Pricer

START_S = 1_000_000.0
UNKNOWN_DEMAND = "Recent demand is not known, so it does not change the price"


class World:
    """The stores that all processes share."""

    def __init__(self) -> None:
        self.now_s = START_S
        self.base_cents = {1: 2000, 2: 5000, 3: 1000} | dict.fromkeys(range(101, 201), 1000)
        self.pieces = dict.fromkeys(self.base_cents, 1000)
        self.database_away = self.redis_away = False
        self.orders: list[tuple[Ordered, float]] = []
        self.book: Book | None = None
        self.stock_reads = 0

    async def assortment(self) -> Assortment:
        self._need_database()
        return Assortment(self.base_cents, dict.fromkeys(self.base_cents, 100))

    async def stock(self) -> dict[int, int]:
        self._need_database()
        self.stock_reads += 1
        return dict(self.pieces)

    async def newer_than(self, tick: int) -> Book | None:
        self.need_redis()
        return self.book if self.book is not None and self.book.tick > tick else None

    async def publish(self, book: Book) -> bool:
        self.need_redis()
        if self.book is not None and self.book.tick >= book.tick:
            return False
        self.book = book
        return True

    def order(self, product_id: int, quantity: int) -> None:
        self.orders.append((Ordered(f"order-{len(self.orders)}", ((product_id, quantity),)), self.now_s))

    def need_redis(self) -> None:
        if self.redis_away:
            raise RedisConnectionError("away")

    def _need_database(self) -> None:
        if self.database_away:
            raise StoreUnavailable("PostgreSQL")


class Orders:
    """Follows the world's orders for one process."""

    def __init__(self, world: World, demand: RecentDemand) -> None:
        self._world, self._demand, self._read = world, demand, 0

    async def catch_up(self, now_s: float) -> None:
        self._world.need_redis()
        for order, at_s in self._world.orders[self._read :]:
            self._demand.add(order, at_s)
        self._read = len(self._world.orders)


def process(world: World) -> Pricer:
    demand = RecentDemand(60.0)
    return Pricer(world, demand, Orders(world, demand), world, lambda: world.now_s)


def pass_time(world: World, seconds: float, *pricers: Pricer) -> None:
    """All processes look every half second, as they do."""
    for _ in range(round(seconds / 0.5)):
        world.now_s += 0.5
        for pricer in pricers:
            asyncio.run(pricer.look())


def price_of(pricer: Pricer, product_id: int) -> int:
    quoted = pricer.quote(product_id)
    assert quoted is not None
    return quoted[1].price_cents


def reasons(pricer: Pricer, product_id: int) -> list[str]:
    quoted = pricer.quote(product_id)
    assert quoted is not None
    return [effect.because for effect in quoted[1].explanation]


def test_fallen_stock_shows_within_three_seconds() -> None:
    world = World()
    pricer = process(world)
    pass_time(world, 5.0, pricer)

    world.pieces[1] = 3
    pass_time(world, 2.5, pricer)

    assert price_of(pricer, 1) > 2000
    assert "Only 3 left: +4 %" in reasons(pricer, 1)


def test_a_surge_of_orders_shows_within_three_seconds() -> None:
    world = World()
    pricer = process(world)
    pass_time(world, 5.0, pricer)

    for _ in range(20):
        world.order(3, 3)
    pass_time(world, 2.5, pricer)

    assert price_of(pricer, 3) > 1000
    assert reasons(pricer, 3)[0].startswith("Selling faster than usual")


def test_a_surge_is_forgotten_in_the_end() -> None:
    world = World()
    pricer = process(world)
    world.order(3, 60)
    pass_time(world, 3.0, pricer)
    assert price_of(pricer, 3) > 1000

    pass_time(world, 900.0, pricer)

    assert price_of(pricer, 3) == 1000
    assert pricer.book.entries == {}


def test_all_processes_give_the_same_prices_and_read_the_stock_once() -> None:
    world = World()
    pricers = [process(world) for _ in range(3)]
    pass_time(world, 5.0, *pricers)
    read_before = world.stock_reads

    world.pieces[1] = 3
    world.order(3, 60)
    pass_time(world, 4.0, *pricers)

    assert len({(price_of(pricer, 1), price_of(pricer, 3)) for pricer in pricers}) == 1
    assert world.stock_reads - read_before == 2  # one for each two seconds, whoever was first
    assert reasons(pricers[0], 3) == reasons(pricers[2], 3)


def test_a_process_that_comes_later_takes_over_the_prices_as_they_are() -> None:
    world = World()
    first = process(world)
    world.pieces[1] = 0
    pass_time(world, 30.0, first)
    assert price_of(first, 1) == 2119

    second = process(world)
    asyncio.run(second.look())

    assert price_of(second, 1) == 2119


def test_without_redis_prices_follow_the_stock_and_say_that_demand_is_unknown() -> None:
    world = World()
    world.redis_away = True
    pricer = process(world)

    world.pieces[1] = 3
    pass_time(world, 5.0, pricer)

    assert price_of(pricer, 1) > 2000
    assert UNKNOWN_DEMAND in reasons(pricer, 1)
    assert reasons(pricer, 2) == [UNKNOWN_DEMAND]


def test_demand_outlives_a_short_silence_of_redis_and_not_a_long_one() -> None:
    world = World()
    pricer = process(world)
    world.order(3, 60)
    pass_time(world, 4.0, pricer)

    world.redis_away = True
    pass_time(world, 6.0, pricer)
    assert price_of(pricer, 3) > 1000

    pass_time(world, 60.0, pricer)
    assert price_of(pricer, 3) == 1000
    assert reasons(pricer, 3) == [UNKNOWN_DEMAND]


def test_prices_do_not_jump_when_redis_comes_back() -> None:
    world = World()
    pricer = process(world)
    pass_time(world, 4.0, pricer)
    world.redis_away = True
    world.order(3, 1000)
    pass_time(world, 60.0, pricer)

    world.redis_away = False
    pass_time(world, 2.5, pricer)

    assert 1000 < price_of(pricer, 3) <= 1030


def test_without_the_database_the_last_known_stock_holds() -> None:
    world = World()
    pricer = process(world)
    world.pieces[1] = 0
    pass_time(world, 30.0, pricer)

    world.database_away = True
    world.order(3, 60)
    pass_time(world, 10.0, pricer)

    assert price_of(pricer, 1) == 2119
    assert price_of(pricer, 3) > 1000
    assert pricer.read_at.stock_s is not None
    assert world.now_s - pricer.read_at.stock_s >= 8.0


def test_prices_are_unavailable_until_the_products_were_read() -> None:
    world = World()
    world.database_away = True
    pricer = process(world)
    pass_time(world, 2.0, pricer)
    with pytest.raises(StoreUnavailable):
        pricer.quote(1)

    world.database_away = False
    pass_time(world, 0.5, pricer)

    assert price_of(pricer, 1) == 2000


def test_a_shop_that_is_not_seeded_yet_is_asked_again() -> None:
    world = World()
    world.base_cents = {}
    pricer = process(world)
    pass_time(world, 2.0, pricer)
    assert pricer.products is None

    world.base_cents = {1: 2000}
    pass_time(world, 0.5, pricer)

    assert pricer.products == 1


def test_a_new_product_has_a_price_within_a_minute() -> None:
    world = World()
    pricer = process(world)
    pass_time(world, 1.0, pricer)
    assert pricer.quote(4) is None

    world.base_cents = {**world.base_cents, 4: 700}
    pass_time(world, 60.0, pricer)

    assert price_of(pricer, 4) == 700


def test_counts_the_prices_at_the_rails() -> None:
    world = World()
    pricer = process(world)
    world.pieces[3] = 0
    world.order(3, 5000)
    pass_time(world, 100.0, pricer)

    assert pricer.at_rails() == (0, 1)
