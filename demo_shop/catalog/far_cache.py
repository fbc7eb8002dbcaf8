"""The part of the cache that all processes share: Redis, whose failure is a miss and never an error."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import RedisError

from demo_shop.catalog.breaker import Breaker

T = TypeVar("T")

#: Raised whenever the meaning of a cached value changes: processes of both versions then share no key.
PREFIX = "catalog:v1:"
_HEAD = struct.Struct(">d?")


@dataclass(frozen=True, slots=True)
class Entry:
    """A cached answer; `value` None says that there is no such thing. Past `fresh_until_s` it serves only in need."""

    value: bytes | None
    fresh_until_s: float

    def encode(self) -> bytes:
        return _HEAD.pack(self.fresh_until_s, self.value is not None) + (self.value or b"")

    @staticmethod
    def decode(data: bytes) -> Entry | None:
        """None when `data` is nothing that `encode` wrote."""
        if len(data) < _HEAD.size:
            return None
        fresh_until_s, exists = _HEAD.unpack_from(data)
        return Entry(data[_HEAD.size :] if exists else None, fresh_until_s)


class FarCache:
    """Entries in Redis. A dead Redis costs one call up to `timeout_s`, then a probe of `probe_s` each second."""

    def __init__(
        self,
        redis: Redis,
        now_s: Callable[[], float],
        *,
        timeout_s: float = 0.1,
        probe_s: float = 0.02,
        breaker: Breaker | None = None,
    ) -> None:
        self._redis, self._now_s, self._timeout_s, self._probe_s = redis, now_s, timeout_s, probe_s
        self._breaker = breaker or Breaker()

    async def get(self, keys: Sequence[str]) -> list[Entry | None] | None:
        """What is stored under each key; None: Redis is away."""

        async def read() -> list[bytes | None]:
            return await self._redis.mget([PREFIX + key for key in keys])  # type: ignore[return-value]

        values = await self._ask(read)
        if values is None:
            return None
        return [None if value is None else Entry.decode(value) for value in values]

    async def put(self, entries: dict[str, Entry], keep_s: float) -> None:
        """Stores the entries for `keep_s`, when Redis is there."""

        async def store() -> None:
            async with self._redis.pipeline(transaction=False) as pipe:
                for key, entry in entries.items():
                    pipe.set(PREFIX + key, entry.encode(), px=max(1, int(keep_s * 1000)))
                await pipe.execute()

        await self._ask(store)

    async def lose(self, share: float, chance: Callable[[], float]) -> int:
        """Deletes each key with probability `share`, and says how many went."""
        lost = 0
        async for key in self._redis.scan_iter(match=PREFIX + "*", count=500):
            if chance() < share:
                lost += int(await self._redis.unlink(key))
        return lost

    async def _ask(self, question: Callable[[], Awaitable[T]]) -> T | None:
        if not self._breaker.lets_through(self._now_s()):
            return None
        try:
            async with asyncio.timeout(self._timeout_s if self._breaker.closed else self._probe_s):
                answer = await question()
        except (RedisError, OSError, TimeoutError):
            self._breaker.failed(self._now_s())
            return None
        except asyncio.CancelledError:
            self._breaker.gave_up()
            raise
        self._breaker.succeeded()
        return answer
