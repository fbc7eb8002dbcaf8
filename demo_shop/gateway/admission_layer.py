"""Admission as an ASGI layer: a slot for every request, 503 for those that get none in time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import monotonic

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_shop.frame import context
from demo_shop.frame.problems import Problem, send_problem
from demo_shop.gateway.admission import Admission, Shed
from demo_shop.gateway.priorities import LABELS, Priority, classify, is_asset

#: What `Retry-After` says, in seconds: a queue of visitors is gone soon, a crawler has all day.
RETRY_AFTER_S = {Priority.BOT: 30, Priority.BROWSE: 2, Priority.CART: 1, Priority.CHECKOUT: 1}


class AdmissionLayer:
    """Classifies, then admits, queues or sheds, and tells `observe(latency_s, now_s)` how long pages took.

    A request that finds a slot costs a few comparisons: no task, no timer.
    """

    def __init__(
        self,
        app: ASGIApp,
        admission: Admission,
        observe: Callable[[float, float], None] | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app, self._admission, self._observe, self._clock = app, admission, observe, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]
        priority = classify(path, scope["method"], scope["headers"])
        context.priority.set(LABELS[priority])
        arrived_s = began_s = self._clock()
        if not self._admission.try_enter(priority):
            client = _Client(receive)
            refusal = await self._queue(priority, arrived_s, client)
            if refusal is not None:
                await self._send_away(priority, refusal, scope, client.receive, send)
                return
            receive, began_s = client.receive, self._clock()
        try:
            await self._app(scope, receive, send)
        finally:
            now_s = self._clock()
            if priority is Priority.BROWSE and not is_asset(path):
                self._admission.leave(priority, now_s, now_s - began_s)
                if self._observe is not None:
                    self._observe(now_s - arrived_s, now_s)
            else:
                self._admission.leave(priority, now_s)

    async def _queue(self, priority: Priority, arrived_s: float, client: _Client) -> Shed | None:
        """Why the request is sent away, or None when it has got its slot."""
        admission, loop = self._admission, asyncio.get_running_loop()
        decided: asyncio.Future[Shed | None] = loop.create_future()
        ticket = admission.wait(priority, arrived_s, decided.set_result)
        if isinstance(ticket, Shed):
            return ticket
        patience_s = admission.settings.most_wait_s[priority]
        if (deadline_s := context.deadline_s.get()) is not None:
            patience_s = max(0.0, min(patience_s, deadline_s - loop.time()))
        timer = loop.call_later(patience_s, admission.give_up, ticket, Shed.WAITED_TOO_LONG)
        client.watch(lambda: admission.give_up(ticket, Shed.CLIENT_GONE))
        try:
            return await asyncio.shield(decided)
        except asyncio.CancelledError:
            if ticket.waiting:
                admission.give_up(ticket, Shed.CLIENT_GONE)
            elif decided.result() is None:
                admission.leave(priority, self._clock())
            raise
        finally:
            timer.cancel()
            await client.stop_watching()

    async def _send_away(self, priority: Priority, why: Shed, scope: Scope, receive: Receive, send: Send) -> None:
        if why is Shed.CLIENT_GONE:
            return
        retry_after_s = RETRY_AFTER_S[priority]
        problem = Problem(
            503,
            "overloaded",
            "There is more to do than can be done",
            f"Come back in {retry_after_s} s.",
            headers={"Retry-After": str(retry_after_s)},
            reason=why,
        )
        await send_problem(problem, scope, receive, send)


class _Client:
    """Reads ahead while its request waits, so that its leaving is seen; the app gets what was read."""

    __slots__ = ("_read", "_receive", "_watch")

    def __init__(self, receive: Receive) -> None:
        self._receive, self._read = receive, deque[Message]()
        self._watch: asyncio.Task[bool] | None = None

    def watch(self, gone: Callable[[], None]) -> None:
        """Calls `gone` when the client leaves."""

        def tell(task: asyncio.Task[bool]) -> None:
            if not task.cancelled() and task.exception() is None and task.result():
                gone()

        self._watch = asyncio.get_running_loop().create_task(self._leaves())
        self._watch.add_done_callback(tell)

    async def stop_watching(self) -> None:
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait({self._watch})

    async def receive(self) -> Message:
        """The next message, as if nobody had read ahead; raises what reading ahead raised."""
        if self._read:
            return self._read.popleft()
        if self._watch is not None and not self._watch.cancelled() and (failure := self._watch.exception()) is not None:
            raise failure
        return await self._receive()

    async def _leaves(self) -> bool:
        """Whether the client left. A body in several pieces is left to the app: nothing is held but the first."""
        while True:
            message = await self._receive()
            self._read.append(message)
            if message["type"] == "http.disconnect":
                return True
            if message.get("more_body"):
                return False
