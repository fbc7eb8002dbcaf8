"""Connections that are taken from the pool and not given back until the end."""

from __future__ import annotations

from typing import Protocol

from demo_shop.faults.fault import Fault


class LeakyPool(Protocol):
    """A pool that can be made to leak."""

    async def take_away(self) -> bool:
        """Takes one connection out of service; False when none is left."""
        ...

    async def give_all_back(self) -> None: ...


class PoolCreep:
    """Takes whole connections; where the pool is exhausted it goes on trying, as a leak would."""

    def __init__(self, pool: LeakyPool) -> None:
        self._pool = pool
        self._taken = 0

    async def hold(self, fault: Fault, now_s: float) -> None:
        while self._taken + 1 <= fault.grown(now_s) and await self._pool.take_away():
            self._taken += 1

    async def end(self) -> None:
        self._taken = 0
        await self._pool.give_all_back()
