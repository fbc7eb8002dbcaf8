"""The catalogue's questions on a real PostgreSQL and a real Redis."""

import asyncio
import json
import math
import random
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, TypeVar

import psycopg
import pytest
from redis.asyncio import Redis

from demo_shop.catalog.books import Books
from demo_shop.catalog.cache import Cache, Result
from demo_shop.catalog.far_cache import FarCache
from demo_shop.catalog.product import Sort
from demo_shop.catalog.search_text import read_search_text
from demo_shop.catalog.shelves import Shelves, UnknownCategory
from demo_shop.catalog.visibility import Heartbeat, Rhythm, VisibilityMetrics
from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")

T = TypeVar("T")

CATEGORY = 900_000
# id, name, brand, description, price, popularity. The seeded catalogue has none of these words.
PRODUCTS = [
    (900_001, "Running zorbel", "Quimby", "A zorbel for the road", 5000, 10),
    (900_002, "Trail zorbel", "Quimby", "A zorbel for the woods", 3000, 500),
    (900_003, "Walking grundel", "Vexley", "Goes well with a zorbel", 3000, 500),
    (900_004, "Running grundel", "Vexley", "For rain and snow", 9000, 0),
    (900_005, "Thezaurus", "Vexley", "Words, words, words", 1000, 0),
]


@pytest.fixture(autouse=True)
def own_products(database_settings: DatabaseSettings) -> Iterator[None]:
    """A category of five products, for the time of one test."""
    with psycopg.connect(**database_settings.conninfo("read-write"), autocommit=True) as connection:  # type: ignore[arg-type]
        connection.execute("DELETE FROM products WHERE category_id = %s", (CATEGORY,))
        connection.execute("DELETE FROM categories WHERE id = %s", (CATEGORY,))
        connection.execute("INSERT INTO categories VALUES (%s, 'zorbels', 'Zorbels')", (CATEGORY,))
        for number, name, brand, description, price_cents, popularity in PRODUCTS:
            connection.execute(
                "INSERT INTO products (id, sku, name, brand, description, category_id, base_price_cents, popularity) "
                "VALUES (%s, %s, %s, %s, %s, %s, %s, %s)",
                (number, f"Z-{number}", name, brand, description, CATEGORY, price_cents, popularity),
            )
        yield
        connection.execute("DELETE FROM products WHERE category_id = %s", (CATEGORY,))
        connection.execute("DELETE FROM categories WHERE id = %s", (CATEGORY,))


def on_books(settings: DatabaseSettings, work: Callable[[Books], Awaitable[T]]) -> T:
    async def run() -> T:
        # The primary: a write of the fixture need not have reached the standby.
        database = Database(settings, "read-write", Metrics())
        await database.open()
        try:
            return await work(Books(database))
        finally:
            await database.close()

    return asyncio.run(run())


def found(settings: DatabaseSettings, text: str) -> list[int]:
    """Ids of what a search finds, the best first."""
    products, total = on_books(settings, lambda books: books.search(read_search_text(text), 100, 0))
    assert total == len(products)
    return ids(products)


def ids(products: list[bytes]) -> list[int]:
    return [json.loads(product)["id"] for product in products]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("ZORBELS", {900_001, 900_002, 900_003}, id="plural-and-case"),
        pytest.param("the zorbel", {900_001, 900_002, 900_003}, id="stop-word-is-ignored"),
        pytest.param("runnin zorbel", set(), id="only-the-last-word-may-be-unfinished"),
        pytest.param("zorbel runnin", {900_001}, id="beginning-that-is-longer-than-the-stem"),
        pytest.param("vexl", {900_003, 900_004, 900_005}, id="beginning-of-a-brand"),
        pytest.param('"running grundel"', {900_004}, id="phrase"),
        pytest.param('"grundel running"', set(), id="phrase-in-another-order"),
        pytest.param("zorbel -trail", {900_001, 900_003}, id="without"),
        pytest.param("thez", {900_005}, id="begins-with-a-stop-word"),
        pytest.param("zorbel or thezaurus", {900_001, 900_002, 900_003, 900_005}, id="either"),
    ],
)
def test_search_finds(database_settings: DatabaseSettings, text: str, expected: set[int]) -> None:
    assert set(found(database_settings, text)) == expected


def test_names_rank_above_descriptions_and_popular_above_unpopular(database_settings: DatabaseSettings) -> None:
    # 2 and 1 have the word in their names, 2 is the more popular one; 3, as popular, has it in its description only.
    assert found(database_settings, "zorbel") == [900_002, 900_001, 900_003]


@pytest.mark.parametrize(
    "text", ["", "'", '"', "!!! & | :* ()", "\\", "a:* & b", "' OR 1=1 --", "%", "日本語", "x" * 200, "-"]
)
def test_search_takes_any_text(database_settings: DatabaseSettings, text: str) -> None:
    assert [product for product in found(database_settings, text) if product >= CATEGORY] == []


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        (Sort.POPULARITY, [900_002, 900_003, 900_001, 900_004, 900_005]),
        (Sort.CHEAPEST, [900_005, 900_002, 900_003, 900_001, 900_004]),
        (Sort.DEAREST, [900_004, 900_001, 900_002, 900_003, 900_005]),
        (Sort.NAME, [900_004, 900_001, 900_005, 900_002, 900_003]),
    ],
)
def test_pages_follow_each_other_without_overlap(
    database_settings: DatabaseSettings, sort: Sort, expected: list[int]
) -> None:
    async def three_pages(books: Books) -> list[bytes]:
        return [product for offset in (0, 2, 4) for product in await books.browse("zorbels", sort, 2, offset)]

    assert ids(on_books(database_settings, three_pages)) == expected


def test_every_product_of_the_catalogue_is_on_one_page(database_settings: DatabaseSettings) -> None:
    async def all_pages(books: Books) -> tuple[list[bytes], int]:
        total = sum(category["count"] for category in await books.categories())
        pages = [await books.browse(None, Sort.NAME, 100, offset) for offset in range(0, total, 100)]
        return [product for page in pages for product in page], total

    products, total = on_books(database_settings, all_pages)

    assert len(set(ids(products))) == len(products) == total


def test_a_product_carries_all_that_the_contract_names(database_settings: DatabaseSettings) -> None:
    products = on_books(database_settings, lambda books: books.products([900_001]))

    assert json.loads(products[900_001]) == {
        "id": 900_001,
        "sku": "Z-900001",
        "name": "Running zorbel",
        "brand": "Quimby",
        "description": "A zorbel for the road",
        "category": {"slug": "zorbels", "name": "Zorbels"},
        "base_price_cents": 5000,
    }


class Shop:
    """Shelves over real stores, and how the look-ups ended."""

    def __init__(self, settings: DatabaseSettings, redis: Redis) -> None:
        self.results: list[Result] = []
        self.now_s = time.time()
        self.database = Database(settings, "read-write", Metrics())
        self.far = FarCache(redis, lambda: self.now_s)
        self.cache = Cache(self.far, lambda: self.now_s, rng=random.Random(1), count=self.results.append)
        self.shelves = Shelves(Books(self.database), self.cache)


def in_shop(stores: dict[str, Any], settings: DatabaseSettings, work: Callable[[Shop], Awaitable[None]]) -> None:
    async def run() -> None:
        redis = Redis.from_url(stores["redis_url"], password=stores["redis_password"])
        shop = Shop(settings, redis)
        await shop.database.open()
        try:
            await shop.far.lose(1.0, lambda: 0.0)
            await work(shop)
            await shop.far.lose(1.0, lambda: 0.0)
        finally:
            await shop.database.close()
            await redis.aclose()

    asyncio.run(run())


def test_an_answer_is_kept_in_redis(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def twice(shop: Shop) -> None:
        first = await shop.shelves.product(900_001)
        shop.now_s += 2.0  # this process has forgotten it
        assert await shop.shelves.product(900_001) == first
        assert shop.results == [Result.MISS, Result.HIT]

    in_shop(stores, database_settings, twice)


def test_lost_answers_are_fetched_again(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def lose_between(shop: Shop) -> None:
        await shop.shelves.product(900_001)
        await shop.cache.lose(1.0)
        await shop.shelves.product(900_001)
        assert shop.results == [Result.MISS, Result.MISS]

    in_shop(stores, database_settings, lose_between)


def test_products_by_ids_come_in_the_order_asked_for(
    stores: dict[str, Any], database_settings: DatabaseSettings
) -> None:
    async def ask(shop: Shop) -> None:
        await shop.shelves.product(900_002)
        items = json.loads(await shop.shelves.products([900_003, 2_000_000_000, 900_002, 900_001]))["items"]
        assert [item["id"] for item in items] == [900_003, 900_002, 900_001]

    in_shop(stores, database_settings, ask)


def test_a_page_says_how_many_there_are(stores: dict[str, Any], database_settings: DatabaseSettings) -> None:
    async def ask(shop: Shop) -> None:
        page = json.loads(await shop.shelves.browse("zorbels", Sort.NAME, 2, 4))
        assert (page["total"], page["page"], page["page_size"], len(page["items"])) == (5, 2, 4, 1)
        beyond = json.loads(await shop.shelves.browse("zorbels", Sort.NAME, 3, 4))
        assert (beyond["total"], beyond["items"]) == (5, [])
        search = json.loads(await shop.shelves.search(read_search_text("zorbel"), 2, 2))
        assert (search["total"], len(search["items"])) == (3, 1)
        far_off = json.loads(await shop.shelves.search(read_search_text("zorbel"), 600, 2))
        assert (far_off["total"], far_off["items"]) == (3, [])

    in_shop(stores, database_settings, ask)


def test_an_unknown_category_is_told_from_an_empty_one(
    stores: dict[str, Any], database_settings: DatabaseSettings
) -> None:
    async def ask(shop: Shop) -> None:
        with pytest.raises(UnknownCategory):
            await shop.shelves.browse("no-such-thing", Sort.NAME, 1, 10)

    in_shop(stores, database_settings, ask)


def test_the_delay_of_the_standby_is_measured_by_one_process_at_a_time(
    stores: dict[str, Any], database_settings: DatabaseSettings
) -> None:
    async def beat() -> None:
        metrics = Metrics()
        primary = Database(database_settings, "read-write", metrics)
        standby = Database(database_settings, "standby", metrics)
        visibility = VisibilityMetrics(metrics.registry)
        clock = asyncio.get_running_loop().time
        first = Heartbeat(primary, standby, visibility, clock, Rhythm(due_after_s=0.0))
        second = Heartbeat(primary, standby, visibility, clock, Rhythm(due_after_s=3600.0))
        await primary.open()
        await standby.open()
        try:
            delay_s = await _first_measured(first)
            assert 0.0 <= delay_s < 30.0
            assert visibility.last_s._value.get() == delay_s
            assert await second.beat() is None
            assert math.isnan(visibility.last_s._value.get())
        finally:
            await primary.close()
            await standby.close()

    asyncio.run(beat())


async def _first_measured(heartbeat: Heartbeat) -> float:
    """Beats until there is a standby, which a young cluster gets within seconds."""
    async with asyncio.timeout(60.0):
        while True:
            if (delay_s := await heartbeat.beat()) is not None:
                return delay_s
            await asyncio.sleep(0.2)
