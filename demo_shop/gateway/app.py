"""The gateway: storefront pages for people and the JSON API for programs, put together."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter

from demo_shop.frame.frame import Frame
from demo_shop.gateway.api import Api, JsonText
from demo_shop.gateway.assets import Assets
from demo_shop.gateway.cart_pages import CartPages
from demo_shop.gateway.carts import Carts
from demo_shop.gateway.checkout_form import Intents
from demo_shop.gateway.checkout_pages import CheckoutPages
from demo_shop.gateway.dimmer import Dimmer, Part
from demo_shop.gateway.error_pages import ErrorPages, Mishaps
from demo_shop.gateway.markup import Page, Renderer
from demo_shop.gateway.orders import Orders
from demo_shop.gateway.page_cache import PageCache, Served
from demo_shop.gateway.pages import BrowsePages
from demo_shop.gateway.pressure import Pressure
from demo_shop.gateway.reachability import Reachable
from demo_shop.gateway.reference import AllowedMethods, Reference
from demo_shop.gateway.sessions import Sessions
from demo_shop.gateway.storefront import OPTIONAL, STOCK, Storefront
from demo_shop.gateway.visitors import Visitors

_PAGES_BYTES: Final = 16 * 1024 * 1024
_API_BYTES: Final = 8 * 1024 * 1024
#: An order that cannot be: looking for it shows that checkout and its books answer.
_NO_ORDER: Final = "00000000-0000-4000-8000-000000000000"


def create(frame: Frame) -> FastAPI:
    """The app with its layers; pages and the API share the services, the sessions' keys and the dimmer."""
    registry = frame.metrics.registry
    pressure = Pressure(frame.settings, registry)
    storefront = _storefront(frame, pressure.dimmer)
    carts, orders = Carts(frame.upstream("cart")), Orders(frame.upstream("checkout"))
    sessions = Sessions(frame.settings.session_keys)
    visitors, renderer = Visitors(sessions, frame.clock), Renderer(Assets.urls())
    count_served = _served_counter(registry)
    pages: PageCache[Page] = PageCache(
        time.monotonic, most_bytes=_PAGES_BYTES, count=lambda served: count_served("page", served)
    )
    texts: PageCache[JsonText] = PageCache(
        time.monotonic, most_bytes=_API_BYTES, count=lambda served: count_served("api", served)
    )

    app = FastAPI(title="Gateway", docs_url=None, redoc_url=None, openapi_url=None)
    app.router.redirect_slashes = False
    # Routes are tried in this order: the pages that everybody looks at come first.
    app.router.routes.extend(
        [
            *BrowsePages(storefront, renderer, pages, visitors, pressure.dimmer, random.Random()).routes(),
            *Assets(storefront).routes(),
            *CartPages(storefront, carts, renderer, visitors, pressure.dimmer).routes(),
            *CheckoutPages(
                storefront,
                carts,
                orders,
                Intents(frame.settings.session_keys),
                renderer,
                visitors,
                frame.clock,
                frame.log,
            ).routes(),
        ]
    )
    Api(storefront, carts, orders, sessions, texts, pressure.dimmer, random.Random()).install(app)
    app.router.routes.extend(Reference(app, renderer, visitors).routes())
    app.add_exception_handler(405, AllowedMethods(app).answer)

    app.add_middleware(Mishaps, log=frame.log)  # what is added last is outermost
    pressure.install(app)
    app.add_middleware(ErrorPages, renderer=renderer, visitors=visitors)
    frame.background("pressure", pressure.run)
    frame.background("page renderers", _closing(pages, texts))
    frame.manage(pressure.management_routes())
    _watch_services(frame)
    return app


def _watch_services(frame: Frame) -> None:
    """Without a catalogue there is nothing to show; without carts or orders there still is."""

    def reachable(role: str, path: str) -> Reachable:
        return Reachable(frame.upstream(role), path, frame.clock)

    frame.ready_when("catalog", reachable("catalog", "/categories"))
    frame.report_when("cart", reachable("cart", "/carts/gateway-looks-whether-carts-answer"))
    frame.report_when("checkout", reachable("checkout", f"/orders/{_NO_ORDER}"))


def _storefront(frame: Frame, dimmer: Dimmer) -> Storefront:
    missing = Counter(
        "shop_page_parts_missing_total",
        "Parts of pages that were wanted and did not come: their service was slow or away",
        ["part"],
        registry=frame.metrics.registry,
    )
    for part in OPTIONAL:
        missing.labels(part)  # zeros from the start, so that rates have a beginning

    def count(part: str) -> None:
        missing.labels(part).inc()
        if part != STOCK:
            dimmer.count_degraded(Part(part))

    return Storefront(
        catalog=frame.upstream("catalog"),
        pricing=frame.upstream("pricing"),
        inventory=frame.upstream("inventory"),
        recommendations=frame.upstream("recommendations"),
        degraded=count,
    )


def _served_counter(registry: CollectorRegistry) -> Callable[[str, Served], None]:
    counter = Counter(
        "shop_rendered_requests_total",
        "Pages and API answers by how they were served: fresh, stale (a new one is being made), rendered, after_error",
        ["kind", "served"],
        registry=registry,
    )
    children = {(kind, served): counter.labels(kind, served.value) for kind in ("page", "api") for served in Served}
    return lambda kind, served: children[kind, served].inc()


def _closing(*caches: PageCache[Page] | PageCache[JsonText]) -> Callable[[], Awaitable[None]]:
    """Waits for the end of the process and then ends the renderers at work."""

    async def wait() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            for cache in caches:
                await cache.close()

    return wait
