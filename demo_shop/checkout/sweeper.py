"""Orders that nobody works on any more: resumed where they stand, rejected when that fails for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Protocol

from demo_shop.checkout.errors import StepUnavailable
from demo_shop.checkout.model import Entry
from demo_shop.checkout.saga import Patience, Saga

ABANDONED_AFTER_S: Final = 120.0
MOST_AT_ONCE: Final = 8


class Stranded(Protocol):
    async def claim_stranded(self, most: int) -> list[Entry]:
        """Pending orders whose lease ran out, now ours to finish."""


class Sweeper:
    """`patience` is made anew for each order; it must end before the lease does."""

    def __init__(self, books: Stranded, saga: Saga, patience: Callable[[], Patience]) -> None:
        self._books, self._saga, self._patience = books, saga, patience

    async def sweep(self) -> int:
        """How many stranded orders were decided. What still cannot be finished keeps its lease until the next time."""
        entries = await self._books.claim_stranded(MOST_AT_ONCE)
        decided = await asyncio.gather(*(self._resume(entry) for entry in entries))
        return sum(decided)

    async def _resume(self, entry: Entry) -> bool:
        try:
            await self._saga.finish(entry.order, self._patience())
        except StepUnavailable:
            return entry.age_s > ABANDONED_AFTER_S and await self._abandon(entry)
        return True

    async def _abandon(self, entry: Entry) -> bool:
        try:
            await self._saga.abandon(entry.order, self._patience())
        except StepUnavailable:
            return False
        return True
