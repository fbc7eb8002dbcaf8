"""Work that goes on beside the requests, and is started anew when it fails."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from demo_shop.frame.logs import Log

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 10.0
_FINE_AFTER_S = 30.0  # work that went well so long starts again with the short pause

Work = Callable[[], Awaitable[None]]


class Background:
    """Named tasks of one process."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._works: list[tuple[str, Work]] = []
        self._tasks: list[asyncio.Task[None]] = []

    def add(self, name: str, work: Work) -> None:
        self._works.append((name, work))

    def start(self) -> None:
        self._tasks = [asyncio.create_task(self._keep_going(name, work), name=name) for name, work in self._works]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    async def _keep_going(self, name: str, work: Work) -> None:
        """Ends when the work returns; a failure is logged and followed by a pause that grows."""
        pause_s = _FIRST_PAUSE_S
        while True:
            start_s = asyncio.get_running_loop().time()
            try:
                await work()
                return
            except Exception as error:  # noqa: BLE001 - whatever it was, the work must go on
                if asyncio.get_running_loop().time() - start_s > _FINE_AFTER_S:
                    pause_s = _FIRST_PAUSE_S
                self._log.warning("background work failed", work=name, error=f"{type(error).__name__}: {error}")
            await asyncio.sleep(pause_s)
            pause_s = min(_LONGEST_PAUSE_S, pause_s * 2.0)


async def every(period_s: float, step: Callable[[], Awaitable[None]]) -> None:
    """Calls `step` for ever, `period_s` from the end of one call to the start of the next."""
    while True:
        await step()
        await asyncio.sleep(period_s)
