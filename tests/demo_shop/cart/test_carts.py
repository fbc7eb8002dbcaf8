"""Carts on a real Redis, and on one that is not there."""

import asyncio
import random
import socket
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from demo_shop.cart.carts import LIVES_S, CartFull, Carts, KeyReused, Line, Patience, TooMany
from demo_shop.frame.problems import StoreUnavailable

pytestmark = pytest.mark.xdist_group("shop-stores")


def on_redis(stores: dict[str, Any], work: Callable[[Carts, Redis, str], Awaitable[None]]) -> None:
    """Runs `work` with a cart id of its own."""

    async def run() -> None:
        redis = Redis.from_url(stores["redis_url"], password=stores["redis_password"], max_connections=32)
        cart_id = f"test-{uuid4()}"
        try:
            await work(Carts(redis, random.Random(1)), redis, cart_id)
            await redis.delete(f"cart:{cart_id}")
        finally:
            await redis.aclose()

    asyncio.run(run())


def test_a_cart_that_nobody_filled_is_empty(stores: dict[str, Any]) -> None:
    async def look(carts: Carts, redis: Redis, cart_id: str) -> None:
        assert await carts.lines(cart_id) == ()

    on_redis(stores, look)


def test_what_is_added_adds_up_and_stays_in_order(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.add(cart_id, Line(9, 1), "first")
        await carts.add(cart_id, Line(4, 2), "second")
        answer = await carts.add(cart_id, Line(9, 3), "third")
        assert answer == await carts.lines(cart_id) == (Line(9, 4), Line(4, 2))

    on_redis(stores, add)


def test_the_same_key_adds_once(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        answers = await asyncio.gather(*(carts.add(cart_id, Line(9, 2), "the-key") for _ in range(50)))
        assert set(answers) == {(Line(9, 2),)}

    on_redis(stores, add)


def test_a_key_means_one_addition_only(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.add(cart_id, Line(9, 2), "the-key")
        with pytest.raises(KeyReused):
            await carts.add(cart_id, Line(9, 3), "the-key")
        assert await carts.lines(cart_id) == (Line(9, 2),)

    on_redis(stores, add)


def test_the_same_key_is_free_in_another_cart(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.add(cart_id, Line(9, 2), "the-key")
        assert await carts.add(f"{cart_id}-other", Line(9, 3), "the-key") == (Line(9, 3),)
        await carts.clear(f"{cart_id}-other")

    on_redis(stores, add)


def test_no_line_grows_beyond_99_however_many_add_at_once(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        answers = await asyncio.gather(
            *(carts.add(cart_id, Line(9, 10), f"key-{number}") for number in range(20)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, TooMany)]
        assert len(refused) == 11  # nine times ten fit into 99
        assert refused[-1].held == 90
        assert await carts.lines(cart_id) == (Line(9, 90),)

    on_redis(stores, add)


def test_no_cart_grows_beyond_50_lines_however_many_add_at_once(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        answers = await asyncio.gather(
            *(carts.add(cart_id, Line(product_id, 1), f"key-{product_id}") for product_id in range(1, 71)),
            return_exceptions=True,
        )
        assert sum(isinstance(answer, CartFull) for answer in answers) == 20
        assert len(await carts.lines(cart_id)) == 50

    on_redis(stores, add)


def test_a_full_cart_takes_more_of_what_it_holds(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        for product_id in range(1, 51):
            await carts.set(cart_id, Line(product_id, 1))
        with pytest.raises(CartFull):
            await carts.set(cart_id, Line(51, 1))
        assert Line(50, 3) in await carts.add(cart_id, Line(50, 2), "the-key")

    on_redis(stores, add)


def test_a_refused_addition_may_be_tried_again_with_its_key(stores: dict[str, Any]) -> None:
    async def add(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.set(cart_id, Line(9, 98))
        with pytest.raises(TooMany):
            await carts.add(cart_id, Line(9, 2), "the-key")
        await carts.set(cart_id, Line(9, 1))
        assert await carts.add(cart_id, Line(9, 2), "the-key") == (Line(9, 3),)

    on_redis(stores, add)


def test_setting_replaces_and_nought_removes(stores: dict[str, Any]) -> None:
    async def change(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.set(cart_id, Line(9, 5))
        await carts.set(cart_id, Line(4, 1))
        assert await carts.set(cart_id, Line(9, 2)) == (Line(9, 2), Line(4, 1))
        assert await carts.set(cart_id, Line(9, 0)) == (Line(4, 1),)
        assert await carts.set(cart_id, Line(9, 0)) == (Line(4, 1),)

    on_redis(stores, change)


def test_clearing_empties(stores: dict[str, Any]) -> None:
    async def clear(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.set(cart_id, Line(9, 5))
        await carts.clear(cart_id)
        assert await carts.lines(cart_id) == ()

    on_redis(stores, clear)


def test_a_cart_lives_a_week_from_the_last_time_somebody_looked(stores: dict[str, Any]) -> None:
    async def look(carts: Carts, redis: Redis, cart_id: str) -> None:
        await carts.set(cart_id, Line(9, 5))
        await redis.expire(f"cart:{cart_id}", 60)
        await carts.lines(cart_id)
        assert LIVES_S - 60 < await redis.ttl(f"cart:{cart_id}") <= LIVES_S

    on_redis(stores, look)


def test_a_cart_is_unknown_rather_than_empty_when_redis_is_away() -> None:
    async def ask() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
            redis = Redis(port=unused.getsockname()[1], retry=Retry(NoBackoff(), 0))
            carts = Carts(redis, random.Random(1), Patience(in_all_s=0.1, one_try_s=0.05, first_pause_s=0.01))
            for question in (
                carts.lines("any"),
                carts.add("any", Line(1, 1), "key"),
                carts.set("any", Line(1, 1)),
                carts.clear("any"),
            ):
                with pytest.raises(StoreUnavailable):
                    await question
            await redis.aclose()

    asyncio.run(ask())


def test_a_redis_that_comes_back_in_time_is_not_noticed(stores: dict[str, Any]) -> None:
    """A front door that hangs up on the first three connections, as a restarting Redis does."""

    async def ask() -> None:
        behind = Redis.from_url(stores["redis_url"], password=stores["redis_password"])
        address = behind.connection_pool.connection_kwargs
        came: list[int] = []
        pipes: set[asyncio.Task[None]] = set()

        async def door(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            came.append(1)
            if len(came) <= 3:
                writer.close()
                return
            redis_reader, redis_writer = await asyncio.open_connection(address["host"], address["port"])
            pipes.update(
                (asyncio.create_task(_pipe(reader, redis_writer)), asyncio.create_task(_pipe(redis_reader, writer)))
            )

        server = await asyncio.start_server(door, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        through = Redis(port=port, password=stores["redis_password"], retry=Retry(NoBackoff(), 0))
        carts = Carts(through, random.Random(1), Patience(in_all_s=30.0, one_try_s=10.0, first_pause_s=0.01))
        cart_id = f"test-{uuid4()}"
        assert await carts.add(cart_id, Line(9, 2), "the-key") == (Line(9, 2),)
        assert len(came) == 4
        await behind.delete(f"cart:{cart_id}")
        await through.aclose()
        await behind.aclose()
        await asyncio.gather(*pipes)
        server.close()
        await server.wait_closed()

    asyncio.run(ask())


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65536):
        writer.write(data)
        await writer.drain()
    writer.close()
