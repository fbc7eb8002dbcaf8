"""Faults as callers see them: late answers and errors. Belongs inside the layer that measures requests."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from demo_shop.faults.board import FaultBoard
from demo_shop.frame.problems import Problem, send_problem


class FaultLayer:
    """Wraps the traffic of a process; the management listener has no such layer.

    An injected error comes instead of the work: nothing was done. A late answer comes after the work: it was done,
    though its caller may have given up.
    """

    def __init__(
        self,
        app: ASGIApp,
        board: FaultBoard,
        *,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._app, self._board, self._clock, self._sleep = app, board, clock, sleep

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not self._board.any_active or scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        now_s = self._clock()
        delay_s = self._board.delay_s(now_s)
        if self._board.error_now(now_s):
            if delay_s > 0:
                await self._sleep(delay_s)
            _note_route(self._app, scope)
            await send_problem(_injected_error(), scope, receive, send)
            return

        async def send_late(message: Message) -> None:
            if message["type"] == "http.response.start":
                await self._sleep(delay_s)
            await send(message)

        await self._app(scope, receive, send_late if delay_s > 0 else send)


def _injected_error() -> Problem:
    return Problem(500, "injected-error", "An injected error", "The fault error_burst is running; nothing was done.")


def _note_route(app: ASGIApp, scope: Scope) -> None:
    """Names the route that would have answered, so that the error is counted under it."""
    for route in getattr(app, "routes", ()):
        if route.matches(scope)[0] is Match.FULL:
            scope["route"] = route
            return
