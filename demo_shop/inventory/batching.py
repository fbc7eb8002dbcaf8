"""Group commit: whoever asks while a transaction is under way goes together with the others into the next.

A row that every order wants is locked until its commit is on the standby. One order per commit would make the shop's
rate on one product the reciprocal of that wait; a batch shares the lock and the commit.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

import psycopg

Ask = TypeVar("Ask")
Answer = TypeVar("Answer")


class Batching(Generic[Ask, Answer]):
    """`work` answers asks in their order. At most `lanes` batches of at most `most` asks are under way at a time."""

    def __init__(self, work: Callable[[Sequence[Ask]], Awaitable[Sequence[Answer]]], *, most: int, lanes: int) -> None:
        self._work, self._most, self._lanes = work, most, lanes
        self._waiting: deque[tuple[Ask, asyncio.Future[Answer]]] = deque()
        self._running: set[asyncio.Task[None]] = set()

    async def submit(self, ask: Ask) -> Answer:
        """The answer to this ask; raises what `work` raised for it."""
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append((ask, answer))
        if len(self._running) < self._lanes:
            lane = asyncio.create_task(self._run())
            self._running.add(lane)
            lane.add_done_callback(self._running.discard)
        return await answer

    async def _run(self) -> None:
        while self._waiting:
            batch = [self._waiting.popleft() for _ in range(min(self._most, len(self._waiting)))]
            present = [(ask, answer) for ask, answer in batch if not answer.cancelled()]
            if present:
                await self._settle(present)

    async def _settle(self, batch: Sequence[tuple[Ask, asyncio.Future[Answer]]]) -> None:
        try:
            answers = await self._work([ask for ask, _ in batch])
        except psycopg.IntegrityError as error:
            if len(batch) == 1:
                _fail(batch, error)
            else:  # one of them breaks a rule of the books; the others must not suffer for it
                for one in batch:
                    await self._settle([one])
        except asyncio.CancelledError:
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - whatever it was, those who asked must be told
            _fail(batch, error)
        else:
            for (_, future), answer in zip(batch, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


def _fail(batch: Sequence[tuple[Ask, asyncio.Future[Answer]]], error: Exception) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(error)
