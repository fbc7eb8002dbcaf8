"""Headers that tell browsers what the shop's pages may do, and caches what is nobody else's business."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: No inline script or style anywhere: what is injected into a page does not run.
CONTENT_SECURITY_POLICY: Final = "; ".join(
    (
        "default-src 'self'",
        "img-src 'self' data:",
        "object-src 'none'",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
    )
)
_ALWAYS: Final = (
    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"strict-origin-when-cross-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_NAMES: Final = frozenset(name for name, _ in _ALWAYS)
_HTTPS: Final = (*_ALWAYS, (b"strict-transport-security", b"max-age=31536000; includeSubDomains"))
#: What belongs to one visitor stays with that visitor.
_NO_STORE: Final = (b"cache-control", b"no-store")
_REVALIDATE: Final = (b"cache-control", b"private, no-cache")
_PERSONAL: Final = ("/cart", "/checkout", "/order")


class SecurityHeadersLayer:
    """Adds the headers to every answer; one that the answer has already is left alone.

    Without a `Cache-Control` of its own an answer that sets a cookie or belongs to cart, checkout or order is not
    stored by anybody, and a page (it carries its session's CSRF token) only by the browser that asked.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        # Asked when the answer begins, for a layer within may learn the scheme from a proxy.
        await self._app(scope, receive, _Protected(scope, send).send)


class _Protected:
    __slots__ = ("_scope", "_send")

    def __init__(self, scope: Scope, send: Send) -> None:
        self._scope, self._send = scope, send

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            own = list(message.get("headers", ()))
            message["headers"] = own + _added(own, self._scope)
        await self._send(message)


def _added(own: list[tuple[bytes, bytes]], scope: Scope) -> list[tuple[bytes, bytes]]:
    cached = sets_cookie = page = False
    taken: set[bytes] | None = None
    for name, value in own:
        if name == b"cache-control":
            cached = True
        elif name == b"set-cookie":
            sets_cookie = True
        elif name == b"content-type":
            page = value.startswith(b"text/html")
        elif name in _NAMES:
            taken = {name} if taken is None else taken | {name}
    added = list(_HTTPS if scope.get("scheme") == "https" else _ALWAYS)
    if taken is not None:
        added = [header for header in added if header[0] not in taken]
    if not cached:
        if sets_cookie or scope["path"].startswith(_PERSONAL):
            added.append(_NO_STORE)
        elif page:
            added.append(_REVALIDATE)
    return added
