"""The rate limit as an ASGI layer: 429 with Retry-After for a client that asks more often than it may."""

from __future__ import annotations

import math
from collections.abc import Callable
from time import monotonic

from starlette.types import ASGIApp, Receive, Scope, Send

from demo_shop.frame.problems import Problem, send_problem
from demo_shop.gateway.rate_limit import RateLimiter, client_key


class RateLimitLayer:
    """Lets a client by its address ask as often as the limiter lets it. Clients without an address share one bucket.

    A trusted proxy that asks for nobody but itself is not limited.
    """

    def __init__(
        self,
        app: ASGIApp,
        limiter: RateLimiter,
        trusts: Callable[[str], bool] = lambda _: False,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._app, self._limiter, self._trusts, self._clock = app, limiter, trusts, clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = scope.get("client")
        if client and self._trusts(client[0]):
            await self._app(scope, receive, send)
            return
        wait_s = self._limiter.wait_s(client_key(client[0]) if client else "", self._clock())
        if wait_s <= 0.0:
            await self._app(scope, receive, send)
            return
        # A whole number of seconds is all that Retry-After can say.
        retry_s = math.ceil(wait_s)
        problem = Problem(
            429,
            "too-many-requests",
            "You ask too often",
            f"At most {self._limiter.settings.rate_rps:g} requests a second; come back in {retry_s} s.",
            headers={"Retry-After": str(retry_s)},
        )
        await send_problem(problem, scope, receive, send)
