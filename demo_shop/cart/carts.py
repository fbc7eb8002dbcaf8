"""Carts in Redis, one hash each. Every change is one script, so that limits hold and a retry adds once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from redis.asyncio import Redis
from redis.exceptions import BusyLoadingError, ReadOnlyError, TryAgainError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from demo_shop.cart.scripts import ADD, SET, Outcome
from demo_shop.frame.problems import StoreUnavailable

T = TypeVar("T")

MOST_LINES = 50
MOST_OF_ONE = 99
LIVES_S = 7 * 24 * 3600
KEY_REMEMBERED_S = 600

#: What passes when Redis is back: it restarts, loads, or changes its primary.
_PASSING = (
    RedisConnectionError,
    RedisTimeoutError,
    BusyLoadingError,
    ReadOnlyError,
    TryAgainError,
    OSError,
    TimeoutError,
)


@dataclass(frozen=True, slots=True)
class Line:
    product_id: int
    quantity: int


class CartFull(Exception):
    """One more product would be more than `MOST_LINES`."""


class TooMany(Exception):
    """The line would hold more than `MOST_OF_ONE`; `held` is what it holds."""

    def __init__(self, held: int) -> None:
        super().__init__(f"the cart holds {held}")
        self.held = held


class KeyReused(Exception):
    """The idempotency key belongs to another addition."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long Redis is asked again before we say that it is away, in seconds."""

    in_all_s: float = 1.5
    one_try_s: float = 0.6
    first_pause_s: float = 0.03
    longest_pause_s: float = 0.3


class Carts:
    """All methods raise `StoreUnavailable` when Redis does not answer in time: the cart is then unknown, not empty."""

    def __init__(self, redis: Redis, rng: random.Random, patience: Patience | None = None) -> None:
        self._redis, self._rng = redis, rng
        self._patience = patience or Patience()
        self._add = redis.register_script(ADD)
        self._set = redis.register_script(SET)

    async def lines(self, cart_id: str) -> tuple[Line, ...]:
        """What lies in the cart; a cart that nobody filled is empty. Looking keeps it for another week."""

        async def read() -> tuple[Line, ...]:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.hgetall(_cart(cart_id))
                pipe.expire(_cart(cart_id), LIVES_S)
                held, _ = await pipe.execute()
            return tuple(Line(int(product_id), int(quantity)) for product_id, quantity in held.items())

        return await self._patiently(read)

    async def add(self, cart_id: str, line: Line, key: str) -> tuple[Line, ...]:
        """Puts more into the cart, once for each `key` within 10 minutes. Raises `CartFull`, `TooMany`, `KeyReused`."""
        keys = [_cart(cart_id), f"cart-once:{cart_id}:{key}"]
        arguments = [line.product_id, line.quantity, MOST_OF_ONE, MOST_LINES, LIVES_S, KEY_REMEMBERED_S]
        return _read(await self._patiently(lambda: self._add(keys=keys, args=arguments)))

    async def set(self, cart_id: str, line: Line) -> tuple[Line, ...]:
        """The line has this quantity; 0 removes it. Raises `CartFull`."""
        arguments = [line.product_id, line.quantity, MOST_LINES, LIVES_S]
        return _read(await self._patiently(lambda: self._set(keys=[_cart(cart_id)], args=arguments)))

    async def clear(self, cart_id: str) -> None:
        await self._patiently(lambda: self._redis.delete(_cart(cart_id)))

    async def _patiently(self, ask: Callable[[], Awaitable[T]]) -> T:
        """Asks again, with pauses that grow and jitter, until Redis answers or patience ends."""
        loop = asyncio.get_running_loop()
        until_s = loop.time() + self._patience.in_all_s
        pause_s = self._patience.first_pause_s
        while True:
            left_s = until_s - loop.time()
            try:
                async with asyncio.timeout(min(left_s, self._patience.one_try_s)):
                    return await ask()
            except _PASSING as error:
                if loop.time() + pause_s >= until_s:
                    raise StoreUnavailable(f"Redis: {error or type(error).__name__}; the cart is kept") from error
            await asyncio.sleep(pause_s * self._rng.uniform(0.5, 1.0))
            pause_s = min(self._patience.longest_pause_s, pause_s * 2.0)


def _cart(cart_id: str) -> str:
    return f"cart:{cart_id}"


def _read(answer: Sequence[int | Sequence[bytes]]) -> tuple[Line, ...]:
    """The lines that a script answered with. Raises what the script refused."""
    outcome, told = answer
    match outcome:
        case Outcome.DONE:
            assert isinstance(told, list)
            return tuple(Line(int(told[at]), int(told[at + 1])) for at in range(0, len(told), 2))
        case Outcome.TOO_MANY:
            assert isinstance(told, int)
            raise TooMany(told)
        case Outcome.CART_FULL:
            raise CartFull
        case _:
            raise KeyReused
