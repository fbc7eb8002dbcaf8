"""Placing an order once, however often it is asked for and whoever asks at the same time."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, Protocol
from uuid import UUID

from demo_shop.checkout.errors import KeyReused, OutcomeUnknown, StepUnavailable
from demo_shop.checkout.model import Entry, NewOrder, Order, Quote, Wish
from demo_shop.checkout.quotes import check_expectation
from demo_shop.checkout.saga import Patience, Saga
from demo_shop.frame.problems import StoreUnavailable

FIRST_LOOK_S: Final = 0.05
LONGEST_LOOK_S: Final = 0.25


class Books(Protocol):
    """See `demo_shop.checkout.books.OrderBooks`. All raise `StoreUnavailable`."""

    async def find(self, key: str, within_s: float) -> Entry | None: ...
    async def look(self, order_id: UUID, within_s: float) -> Entry | None: ...
    async def begin(self, new: NewOrder, within_s: float) -> Order | None: ...
    async def answer(self, order_id: UUID, within_s: float) -> Order | None: ...
    async def claim(self, order_id: UUID, within_s: float) -> Order | None: ...
    async def give_up_lease(self, order_id: UUID) -> None: ...


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    replayed: bool  # the order stood in the books before this request


class Deadline:
    """Until when a request may take, on the event loop's clock."""

    def __init__(self, until_s: float, now_s: Callable[[], float]) -> None:
        self._until_s, self._now_s = until_s, now_s

    def left_s(self) -> float:
        return max(0.0, self._until_s - self._now_s())


class Placing:
    """`price` says what a wish costs; `pause` waits for seconds."""

    def __init__(
        self,
        books: Books,
        saga: Saga,
        price: Callable[[Wish], Awaitable[Quote]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._books, self._saga, self._price, self._pause = books, saga, price, pause

    async def place(self, wish: Wish, key: str, patience: Patience, *, synthetic: bool) -> Placed:
        """The decided order, and whether it was in the books before.

        Raises `KeyReused`, `UnknownProducts`, `PriceChanged`, `TotalTooLarge`: nothing was done. Raises
        `OutcomeUnknown`: the order may still come to be, and the same request with the same key finds out.
        """
        try:
            return await self._place(wish, key, patience, synthetic)
        except (StoreUnavailable, StepUnavailable) as error:
            raise OutcomeUnknown(str(error)) from error

    async def _place(self, wish: Wish, key: str, patience: Patience, synthetic: bool) -> Placed:
        entry = await self._find(key, patience)
        if entry is None:
            quote = await self._price(wish)
            check_expectation(wish, quote)
            order = await self._books.begin(NewOrder(uuid.uuid4(), key, wish, quote, synthetic), patience.left_s())
            if order is not None:
                return Placed(await self._finish(order, patience), replayed=False)
            entry = await self._find(key, patience)
        if entry is None:
            raise OutcomeUnknown("the order that holds this key cannot be seen yet")
        if entry.fingerprint != wish.fingerprint():
            raise KeyReused(f"the key belongs to order {entry.order.id}")
        return Placed(await self._outcome(entry, patience), replayed=True)

    async def _find(self, key: str, patience: Patience) -> Entry | None:
        """As the books' `find`, tried again while the database moves house."""
        look_s = FIRST_LOOK_S
        while True:
            try:
                return await self._books.find(key, patience.left_s())
            except StoreUnavailable:
                if patience.left_s() <= look_s:
                    raise
            await self._pause(look_s)
            look_s = min(LONGEST_LOOK_S, look_s * 1.5)

    async def _finish(self, order: Order, patience: Patience) -> Order:
        try:
            return await self._saga.finish(order, patience)
        except StepUnavailable:
            await self._let_go(order)
            raise

    async def _let_go(self, order: Order) -> None:
        try:
            await self._books.give_up_lease(order.id)
        except StoreUnavailable:
            return  # then the lease runs out by itself

    async def _outcome(self, entry: Entry, patience: Patience) -> Order:
        """What becomes of an order that is in the books: waits for whoever works on it, or takes over."""
        look_s = FIRST_LOOK_S
        order_id = entry.order.id
        while True:
            if entry.order.is_decided:
                order = await self._books.answer(order_id, patience.left_s())
                if order is not None and order.is_decided:
                    return order
            elif entry.lease_over:
                order = await self._books.claim(order_id, patience.left_s())
                if order is not None:
                    return await self._finish(order, patience)
            if patience.left_s() <= look_s:
                raise OutcomeUnknown(f"order {order_id} is still being worked on")
            await self._pause(look_s)
            look_s = min(LONGEST_LOOK_S, look_s * 1.5)
            entry = await self._news_of(entry, patience)

    async def _news_of(self, entry: Entry, patience: Patience) -> Entry:
        """The entry as it is now, or as it was while the database moves house."""
        try:
            return await self._books.look(entry.order.id, patience.left_s()) or entry
        except StoreUnavailable:
            return entry
