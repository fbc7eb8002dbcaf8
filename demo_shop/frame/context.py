"""What belongs to the request being answered and travels with every call made for it."""

from __future__ import annotations

from contextvars import ContextVar

#: Made by the gateway (or taken from `X-Request-Id`), written into every log line and passed on.
request_id: ContextVar[str | None] = ContextVar("request_id", default=None)

#: The class of the visit: checkout, cart, browse or bot; set by the gateway, passed on as `X-Priority`.
priority: ContextVar[str | None] = ContextVar("priority", default=None)

#: Set for the synthetic probe, so that business metrics can leave it out.
synthetic: ContextVar[str | None] = ContextVar("synthetic", default=None)

#: Until when the caller waits, on the event loop's clock; None: unknown.
deadline_s: ContextVar[float | None] = ContextVar("deadline_s", default=None)
