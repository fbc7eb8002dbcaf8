"""Who looks at a page: their session, what their browser says is in their cart, and sending answers to them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from starlette.types import ASGIApp, Receive, Scope, Send

from demo_shop.frame.problems import Problem
from demo_shop.gateway.markup import Page
from demo_shop.gateway.requests import form_of
from demo_shop.gateway.sessions import SESSION_S, Session, Sessions

#: How many things are in the cart, for the badge only: a page must not ask the cart service for it. Whoever writes
#: something else into the cookie sees it on their own screen, as a number.
_CART_COUNT = re.compile(r"(?:^|;\s*)cart_count=(\d{1,4})(?:;|$)")

Headers = tuple[tuple[bytes, bytes], ...]

_HTML: Final = (b"content-type", b"text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Visitor:
    session: Session
    cart_count: int
    https: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A page. `cart_count`: the cart now holds so many things; None: nothing new is known about it."""

    page: Page
    status: int = 200
    headers: Headers = ()
    cart_count: int | None = None


@dataclass(frozen=True, slots=True)
class LedTo:
    """See Other: what a form did must not be done again by a reload."""

    path: str
    cart_count: int | None = None


Handler = Callable[[Visitor, Scope, Receive], Awaitable[Shown | LedTo]]


class Visitors:
    """Opens sessions from requests and fills pages for them. `clock` is Unix time."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float]) -> None:
        self._sessions, self._clock = sessions, clock

    def of(self, scope: Scope) -> Visitor:
        cookies = _cookies(scope)
        https = scope.get("scheme") == "https"
        counted = _CART_COUNT.search(cookies) if cookies else None
        session = self._sessions.open(cookies, https, self._clock())
        return Visitor(session, int(counted[1]) if counted is not None else 0, https)

    def endpoint(self, handler: Handler) -> ASGIApp:
        """A route's ASGI endpoint that sends what the handler answers."""
        return _Endpoint(self, handler)

    async def form(self, visitor: Visitor, scope: Scope, receive: Receive) -> Mapping[str, str]:
        """The fields of the form. Raises a 403 when it did not come from a page of this visitor's."""
        form = await form_of(scope, receive)
        if not self._sessions.csrf_is_right(visitor.session, form.get("csrf")):
            raise Problem(
                403,
                "form-not-yours",
                "This form is not from your session",
                "Open the page again and send the form anew.",
            )
        return form

    async def answer(self, answer: Shown | LedTo, visitor: Visitor, scope: Scope, send: Send) -> None:
        """With the visitor's own bits in the page's holes, and the cookies that this answer changes."""
        cookies = self._cookies_after(answer, visitor)
        if isinstance(answer, LedTo):
            head: Headers = ((b"location", answer.path.encode("ascii")), (b"content-length", b"0"))
            await _send(send, 303, head + cookies, b"")
            return
        if answer.cart_count is not None:
            visitor = replace(visitor, cart_count=answer.cart_count)
        body = answer.page.filled(self._sessions.csrf_token(visitor.session), visitor.cart_count)
        head = (_HTML, (b"content-length", b"%d" % len(body)), *answer.headers)
        await _send(send, answer.status, head + cookies, b"" if scope["method"] == "HEAD" else body)

    def _cookies_after(self, answer: Shown | LedTo, visitor: Visitor) -> Headers:
        cookies: Headers = ()
        if visitor.session.send:
            cookies += ((b"set-cookie", self._sessions.set_cookie(visitor.session, visitor.https).encode()),)
        if answer.cart_count is not None and answer.cart_count != visitor.cart_count:
            cookies += (_cart_count_cookie(answer.cart_count, visitor.https),)
        return cookies


class _Endpoint:
    """Starlette takes a function for one of a request; an object it calls as ASGI."""

    def __init__(self, visitors: Visitors, handler: Handler) -> None:
        self._visitors, self._handler = visitors, handler

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._visitors.of(scope)
        answer = await self._handler(visitor, scope, receive)
        await self._visitors.answer(answer, visitor, scope, send)


async def _send(send: Send, status: int, headers: Headers, body: bytes) -> None:
    await send({"type": "http.response.start", "status": status, "headers": list(headers)})
    await send({"type": "http.response.body", "body": body})


def _cart_count_cookie(count: int, https: bool) -> tuple[bytes, bytes]:
    secure = "; Secure" if https else ""
    return (
        b"set-cookie",
        f"cart_count={count}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Lax{secure}".encode(),
    )


def _cookies(scope: Scope) -> str | None:
    """All cookies of the request; a browser may split them over several headers in HTTP/2."""
    found = [value for name, value in scope["headers"] if name == b"cookie"]
    return b"; ".join(found).decode("latin-1") if found else None
