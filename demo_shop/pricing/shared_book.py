"""The price book in Redis, where the pricing processes meet."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from demo_shop.pricing.book import Book, from_text, to_text

#: Raised whenever the form of the book or the pricing rules change: processes of both versions then share no book.
_PREFIX = "pricing:v1:"
_TICK, _BOOK = _PREFIX + "tick", _PREFIX + "book"
#: A book of a process whose clock is far ahead would otherwise rule out all others for ever.
_KEPT_S = 120

#: KEYS: tick, book. ARGV: tick, book, seconds kept. An older book never replaces a newer one.
_PUBLISH = """
if tonumber(redis.call('GET', KEYS[1]) or '-1') >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
return 1
"""


class SharedBook:
    """All methods raise `RedisError`, `OSError` or `TimeoutError` when Redis does not answer in `timeout_s`."""

    def __init__(self, redis: Redis, timeout_s: float = 0.3) -> None:
        self._redis, self._timeout_s = redis, timeout_s
        self._publish = redis.register_script(_PUBLISH)

    async def newer_than(self, tick: int) -> Book | None:
        """The shared book, when it is newer than `tick` and can be read."""
        async with asyncio.timeout(self._timeout_s):
            shared_tick = await self._redis.get(_TICK)
            if shared_tick is None or int(shared_tick) <= tick:
                return None
            text = await self._redis.get(_BOOK)
        try:
            return None if text is None else from_text(text)
        except ValueError:
            return None

    async def publish(self, book: Book) -> bool:
        """Whether this became the shared book; False: another process was first."""
        async with asyncio.timeout(self._timeout_s):
            return bool(await self._publish(keys=[_TICK, _BOOK], args=[book.tick, to_text(book), _KEPT_S]))
