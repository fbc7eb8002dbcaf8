"""What the service reads is what the seed wrote."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import numpy as np
import psycopg
import pytest

from demo_shop.frame.database import Database
from demo_shop.frame.metrics import Metrics
from demo_shop.recommendations.books import PostgresBooks
from demo_shop.recommendations.model import Neighbours
from demo_shop.recommendations.storage import write_model
from demo_shop.settings import DatabaseSettings

pytestmark = pytest.mark.xdist_group("shop-stores")

T = TypeVar("T")


@pytest.fixture
def products(own_database: DatabaseSettings, put_on_shelf: Callable[[int], int]) -> list[int]:
    """Three products, and no model of an earlier test."""
    with connected(own_database) as connection:
        connection.execute("TRUNCATE item_neighbours, recommendation_model")
    return [put_on_shelf(1) for _ in range(3)]


def connected(settings: DatabaseSettings) -> psycopg.Connection:
    return psycopg.connect(**settings.conninfo("read-write"), autocommit=True)  # type: ignore[arg-type]


def read(settings: DatabaseSettings, work: Callable[[PostgresBooks], Awaitable[T]]) -> T:
    async def run() -> T:
        database = Database(settings, "prefer-standby", Metrics())
        await database.open()
        try:
            return await work(PostgresBooks(database))
        finally:
            await database.close()

    return asyncio.run(run())


def model_of(products: list[int]) -> Neighbours:
    """The second and third product are neighbours of the first."""
    first, second, third = products
    return Neighbours(np.array([first, first]), np.array([second, third]), np.array([0.5, 0.25]), np.array([3, 0]))


def write(settings: DatabaseSettings, neighbours: Neighbours) -> None:
    with connected(settings) as connection, connection.transaction():
        write_model(connection, neighbours, baskets=9)


def test_before_the_first_model_there_is_no_version(own_database: DatabaseSettings, products: list[int]) -> None:
    assert read(own_database, lambda books: books.version()) is None
    assert len(read(own_database, lambda books: books.table())) == 0


def test_the_table_is_read_as_it_was_written(own_database: DatabaseSettings, products: list[int]) -> None:
    neighbours = model_of(products)
    write(own_database, neighbours)

    _eventually(lambda: read(own_database, lambda books: books.version()) == neighbours.version)
    table = read(own_database, lambda books: books.table())

    assert table.version == neighbours.version
    assert table.of(products[0]) == [(products[1], 0.5, 3), (products[2], 0.25, 0)]


def test_a_new_model_replaces_the_old_one(own_database: DatabaseSettings, products: list[int]) -> None:
    write(own_database, model_of(products))
    newer = model_of(products[::-1])
    write(own_database, newer)

    _eventually(lambda: read(own_database, lambda books: books.version()) == newer.version)
    table = read(own_database, lambda books: books.table())

    assert len(table) == 1
    assert table.of(products[2]) == [(products[1], 0.5, 3), (products[0], 0.25, 0)]


def test_names_and_best_sellers_are_read(own_database: DatabaseSettings, products: list[int]) -> None:
    with connected(own_database) as connection:
        connection.execute("UPDATE products SET popularity = 1000000 WHERE id = %s", (products[1],))

    _eventually(lambda: read(own_database, lambda books: books.shelf()).best_sellers[0] == products[1])
    assert read(own_database, lambda books: books.shelf()).names[products[0]] == "Thing"
    with connected(own_database) as connection:
        connection.execute("UPDATE products SET popularity = 0 WHERE id = %s", (products[1],))


def _eventually(holds: Callable[[], Any]) -> None:
    """The replica shows what the primary committed, within ten seconds."""

    async def wait() -> None:
        async with asyncio.timeout(10.0):
            while not await asyncio.to_thread(holds):
                await asyncio.sleep(0.02)

    asyncio.run(wait())
