"""Faults that take something while they run: memory, CPU, connections, the cache, the process itself."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Final, Protocol

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import FaultName
from demo_shop.faults.cpu_burn import CpuBurn
from demo_shop.faults.crash import PodCrash
from demo_shop.faults.fault import Fault
from demo_shop.faults.memory_leak import MemoryLeak
from demo_shop.faults.pool_creep import LeakyPool, PoolCreep

log = logging.getLogger("demo_shop.faults")

TICK_S: Final = 0.2


class Effect(Protocol):
    """What a fault does to the process. `hold` brings it to where the fault is now, `end` makes it good again."""

    async def hold(self, fault: Fault, now_s: float) -> None: ...
    async def end(self) -> None: ...


class CacheLoss:
    """Lets the caches lose their share: once without a ramp, bit by bit along one."""

    def __init__(self, board: FaultBoard) -> None:
        self._board = board
        self._lost = 0.0

    async def hold(self, fault: Fault, now_s: float) -> None:
        wanted = fault.level(now_s) * fault.magnitude
        at_top = wanted >= fault.magnitude
        if wanted > self._lost and (at_top or wanted - self._lost >= 0.05):
            await self._board.lose_share(min(1.0, (wanted - self._lost) / (1.0 - self._lost)))
            self._lost = wanted

    async def end(self) -> None:
        self._lost = 0.0


class FaultEffects:
    """Drives the effects by one tick while faults run, and undoes them when they end or the process stops."""

    def __init__(self, board: FaultBoard, pool: LeakyPool | None, *, clock: Callable[[], float] = time.time) -> None:
        self._board, self._clock = board, clock
        self._effects: dict[FaultName, Effect] = {
            FaultName.MEMORY_LEAK: MemoryLeak(),
            FaultName.CPU_BURN: CpuBurn(),
            FaultName.POD_CRASH: PodCrash(),
            FaultName.CACHE_LOSS: CacheLoss(board),
        }
        if pool is None:
            board.leave_out(FaultName.POOL_CREEP)
        else:
            self._effects[FaultName.POOL_CREEP] = PoolCreep(pool)
        self._held: dict[FaultName, Fault] = {}

    async def run(self) -> None:
        """For as long as the process runs."""
        try:
            while True:
                self._board.changed.clear()
                await self.tick(self._clock())
                if self._board.any_active or self._held:
                    await asyncio.sleep(TICK_S)
                else:
                    await self._board.changed.wait()
        finally:
            await self._follow({})

    async def tick(self, now_s: float) -> None:
        """Brings every effect to where its fault is now."""
        running = {fault.name: fault for fault in self._board.active(now_s)}
        await self._follow(running)
        for name, fault in running.items():
            effect = self._effects.get(name)
            if effect is None:
                continue
            self._held[name] = fault
            try:
                await effect.hold(fault, now_s)
            except Exception:
                log.exception("a fault has no effect", extra={"fields": {"fault": name}})

    async def _follow(self, running: dict[FaultName, Fault]) -> None:
        """Ends the effects of faults that are over or were replaced."""
        for name, fault in list(self._held.items()):
            if running.get(name) == fault:
                continue
            del self._held[name]
            try:
                await self._effects[name].end()
            except Exception:
                log.exception("a fault's effect was not undone", extra={"fields": {"fault": name}})
