"""Redis that is not there, or there and silent: a miss, never an error."""

import asyncio
import socket
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from demo_shop.catalog.far_cache import Entry, FarCache

ENTRIES = {"key": Entry(b"x", 1.0)}


def client(port: int) -> Redis:
    return Redis(port=port, socket_connect_timeout=0.5, socket_timeout=1.0, retry=Retry(NoBackoff(), 1))


async def with_silent_redis(work: Callable[[FarCache, list[int]], Awaitable[None]]) -> None:
    """Runs `work` against a server that takes connections and never answers; the list grows by one for each."""
    came: list[int] = []

    async def silence(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came.append(1)
        try:
            while await reader.read(1000):
                pass
        finally:
            writer.close()

    server = await asyncio.start_server(silence, "127.0.0.1", 0)
    redis = client(server.sockets[0].getsockname()[1])
    try:
        await work(FarCache(redis, asyncio.get_running_loop().time, timeout_s=0.05), came)
    finally:
        await redis.aclose()
        server.close()
        await server.wait_closed()


def test_a_redis_that_is_not_there_is_a_miss() -> None:
    async def ask() -> None:
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))  # not listening: connections are refused
            redis = client(unused.getsockname()[1])
            far = FarCache(redis, asyncio.get_running_loop().time)
            await far.put(ENTRIES, 10.0)
            assert await far.get(["key"]) is None
            await redis.aclose()

    asyncio.run(ask())


def test_a_silent_redis_is_asked_once_and_then_left_alone() -> None:
    async def ask(far: FarCache, came: list[int]) -> None:
        for _ in range(100):
            assert await far.get(["key"]) is None
        assert len(came) == 1

    asyncio.run(with_silent_redis(ask))


def test_many_who_ask_a_silent_redis_wait_no_longer_than_one() -> None:
    async def ask(far: FarCache, came: list[int]) -> None:
        async with asyncio.timeout(5.0):  # the client's own timeouts, one after the other, would take 20 s and more
            await asyncio.gather(*(far.get(["key"]) for _ in range(20)))
            await asyncio.gather(*(far.get(["key"]) for _ in range(20)))

    asyncio.run(with_silent_redis(ask))
