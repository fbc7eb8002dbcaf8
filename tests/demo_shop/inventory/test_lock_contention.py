import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.fault import FaultRequest
from demo_shop.frame.database import Database
from demo_shop.inventory.contention import LockContention
from demo_shop.settings import Role

pytestmark = pytest.mark.xdist_group("shop-stores")

WithDatabase = Callable[[Callable[[Database], Awaitable[None]]], None]


def board(now_s: float) -> FaultBoard:
    faults = FaultBoard(catalogue_of(Role.INVENTORY), lambda: now_s)
    request = FaultRequest(magnitude=2.0, ramp_s=10.0, duration_s=60.0, seed=1)
    faults.start("lock_contention", request, 0.0)
    return faults


def test_buyers_wait_as_long_as_the_fault_says_and_are_served_then(
    put_on_shelf: Callable[[int], int], with_database: WithDatabase
) -> None:
    async def test(database: Database) -> None:
        product = put_on_shelf(5)
        await database.rows("UPDATE stock SET reserved = 0 RETURNING 1")
        await database.rows("UPDATE stock SET reserved = 3 WHERE product_id = %s RETURNING 1", (product,))
        held, may_go_on = asyncio.Event(), asyncio.Event()
        pauses_s: list[float] = []

        async def pause(seconds: float) -> None:
            pauses_s.append(seconds)
            held.set()
            await may_go_on.wait()

        # Halfway up a ramp of 10 s to 2 s: each hold takes 1 s.
        contention = LockContention(database, board(5.0), lambda: 5.0, pause)
        holding = asyncio.create_task(contention.hold_once())
        await held.wait()
        query = "SELECT 1 FROM stock WHERE product_id = %s FOR UPDATE SKIP LOCKED"
        assert await database.rows(query, (product,)) == []
        may_go_on.set()
        assert await holding
        assert pauses_s == [1.0]
        assert len(await database.rows(query, (product,))) == 1
        await database.rows("UPDATE stock SET reserved = 0 WHERE product_id = %s RETURNING 1", (product,))

    with_database(test)


def test_without_the_fault_nothing_is_held() -> None:
    faults = FaultBoard(catalogue_of(Role.INVENTORY), lambda: 0.0)
    never: Any = None

    assert not asyncio.run(LockContention(never, faults, lambda: 0.0).hold_once())
