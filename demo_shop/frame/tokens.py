"""Bearer tokens in front of what only an operator may do."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from demo_shop.frame.problems import Problem, send_problem


@dataclass(frozen=True, slots=True)
class Door:
    """What a token opens. Without a token of its own the door stays shut."""

    name: str  # "control", "faults"
    setting: str  # the environment variable that holds the token
    token: str | None = field(repr=False)

    def refusal(self, authorization: str | None) -> Problem | None:
        """Why this `Authorization` header does not open the door; None: it does."""
        if self.token is None:
            return Problem(
                403, f"{self.name}-off", f"{self.name.capitalize()} off here", f"set {self.setting} to switch it on"
            )
        if authorization is None:
            return self._unauthorized("send the header Authorization: Bearer <token>", "")
        scheme, _, given = authorization.strip().partition(" ")
        right = hmac.compare_digest(given.strip().encode(), self.token.encode())
        if scheme.lower() != "bearer" or not right:
            return self._unauthorized(f"the bearer token is not the one of {self.setting}", ', error="invalid_token"')
        return None

    def _unauthorized(self, detail: str, error: str) -> Problem:
        challenge = f'Bearer realm="shop {self.name}"{error}'
        return Problem(401, "unauthorized", "A token is needed", detail, headers={"WWW-Authenticate": challenge})


class TokenLayer:
    """Lets a request through when its token opens the door."""

    def __init__(self, app: ASGIApp, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            refusal = self._door.refusal(Headers(scope=scope).get("authorization"))
            if refusal is not None:
                await send_problem(refusal, scope, receive, send)
                return
        await self._app(scope, receive, send)
