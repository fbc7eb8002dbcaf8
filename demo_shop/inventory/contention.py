"""The fault `lock_contention`: somebody sits on the rows that buyers want most."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import FaultName
from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database

_MOST_RESERVED: Final = 10
_BREATH_S: Final = 0.05  # between two holds, so that those who wait get their turn
_IDLE_S: Final = 0.25

# Chosen first, then locked in the order in which everybody locks, so that the fault makes waits and no deadlocks.
_LOCK: Final = """
    SELECT product_id FROM stock
    WHERE product_id IN (
        SELECT s.product_id FROM stock s JOIN products p ON p.id = s.product_id
        ORDER BY s.reserved DESC, p.popularity DESC, s.product_id LIMIT %s
    )
    ORDER BY product_id FOR UPDATE
"""


class LockContention:
    """Holds row locks while the fault runs: `level × magnitude` seconds at a time."""

    def __init__(
        self,
        database: Database,
        faults: FaultBoard,
        clock: Callable[[], float],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._database, self._faults, self._clock, self._pause = database, faults, clock, pause

    async def run(self) -> None:
        while True:
            await self._pause(_BREATH_S if await self.hold_once() else _IDLE_S)

    async def hold_once(self) -> bool:
        """Whether the fault runs; if so it has held its locks once."""
        hold_s = self._faults.magnitude(FaultName.LOCK_CONTENTION, self._clock())
        if hold_s <= 0.0:
            return False

        async def work(connection: Connection) -> None:
            await connection.execute(_LOCK, (_MOST_RESERVED,))
            await self._pause(hold_s)

        await self._database.transaction(work, deadline_s=hold_s + 10.0)
        return True
