"""Who looks at a page: their session, what their browser says is in their cart, and sending pages to them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from starlette.types import Scope, Send

from demo_shop.gateway.markup import Page
from demo_shop.gateway.sessions import SESSION_S, Session, Sessions

#: How many things are in the cart, for the badge only: a page must not ask the cart service for it. Whoever writes
#: something else into the cookie sees it on their own screen, as a number.
_CART_COUNT = re.compile(r"(?:^|;\s*)cart_count=(\d{1,4})(?:;|$)")

Headers = list[tuple[bytes, bytes]]

_HTML: Final = (b"content-type", b"text/html; charset=utf-8")


@dataclass(frozen=True, slots=True)
class Visitor:
    session: Session
    cart_count: int
    https: bool


class Visitors:
    """Opens sessions from requests and fills pages for them. `clock` is Unix time."""

    def __init__(self, sessions: Sessions, clock: Callable[[], float]) -> None:
        self._sessions, self._clock = sessions, clock

    def of(self, scope: Scope) -> Visitor:
        cookies = _cookies(scope)
        https = scope.get("scheme") == "https"
        counted = _CART_COUNT.search(cookies) if cookies else None
        return Visitor(
            self._sessions.open(cookies, https, self._clock()), int(counted[1]) if counted is not None else 0, https
        )

    def wrote_form(self, visitor: Visitor, token: str | None) -> bool:
        """Whether the form came from a page of this visitor's."""
        return self._sessions.csrf_is_right(visitor.session, token)

    async def send(
        self,
        page: Page,
        visitor: Visitor,
        scope: Scope,
        send: Send,
        status: int = 200,
        headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        """The page with the visitor's own bits in its holes."""
        body = page.filled(self._sessions.csrf_token(visitor.session), visitor.cart_count)
        told: Headers = [_HTML, (b"content-length", b"%d" % len(body)), *headers]
        if visitor.session.send:
            told.append((b"set-cookie", self._sessions.set_cookie(visitor.session, visitor.https).encode()))
        await send({"type": "http.response.start", "status": status, "headers": told})
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body})

    async def lead_to(self, path: str, visitor: Visitor, send: Send, *, cart_count: int | None = None) -> None:
        """See Other: what a form did must not be done again by a reload. `cart_count`: the cart has changed to this."""
        told: Headers = [(b"location", path.encode("ascii")), (b"content-length", b"0")]
        if visitor.session.send:
            told.append((b"set-cookie", self._sessions.set_cookie(visitor.session, visitor.https).encode()))
        if cart_count is not None and cart_count != visitor.cart_count:
            told.append(cart_count_cookie(cart_count, visitor.https))
        await send({"type": "http.response.start", "status": 303, "headers": told})
        await send({"type": "http.response.body", "body": b""})


def cart_count_cookie(count: int, https: bool) -> tuple[bytes, bytes]:
    secure = "; Secure" if https else ""
    return (
        b"set-cookie",
        f"cart_count={count}; Path=/; Max-Age={SESSION_S}; HttpOnly; SameSite=Lax{secure}".encode(),
    )


def _cookies(scope: Scope) -> str | None:
    """All cookies of the request; a browser may split them over several headers in HTTP/2."""
    found = [value for name, value in scope["headers"] if name == b"cookie"]
    return b"; ".join(found).decode("latin-1") if found else None
