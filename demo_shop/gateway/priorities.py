"""Which visits go first when not all can be served: checkout > cart > browse > bots."""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache


class Priority(IntEnum):
    """The class of a request; the higher one goes first. `label` is what metrics and `X-Priority` call it."""

    BOT = 0
    BROWSE = 1
    CART = 2
    CHECKOUT = 3

    @property
    def label(self) -> str:
        return LABELS[self]


#: By class.
LABELS = tuple(priority.name.lower() for priority in Priority)

#: First segments of paths (below `/api/v1` the one after it) that are worth more than browsing.
_CLASSES = {
    "checkout": Priority.CHECKOUT,
    "orders": Priority.CHECKOUT,
    "order": Priority.CHECKOUT,
    "cart": Priority.CART,
    "carts": Priority.CART,
}
#: What pages pull in after them. Their latency says nothing about the page's, and no crawler is told by them.
ASSETS = ("/images/", "/static/")
_API = "/api/"
_READING = frozenset({"GET", "HEAD"})

#: Words that crawlers call themselves by. "bot" ends a word (Googlebot/2.1, AdsBot-Google, UptimeRobot), except in
#: Cubot, which is a telephone. Tools that programmers and load generators use (curl, aiohttp) are not crawlers.
_CRAWLER = re.compile(
    rb"(?<!cu)bot(?![a-z])|crawl|spider|slurp|scrapy|httrack|wget|archiver|facebookexternalhit|mediapartners|preview",
    re.IGNORECASE,
)


def classify(path: str, method: str, headers: Iterable[tuple[bytes, bytes]]) -> Priority:
    """The class of a request with these ASGI headers (lower-case names).

    A crawler's reading is BOT whatever it reads, and so is a page that nobody looks at yet (prefetch) or that a client
    without a User-Agent asks for. What writes keeps the class of its path: an order mistaken for a crawl is an order
    lost. So does the synthetic probe, which must see what a visitor sees.
    """
    segments = path[5:].split("/", 2) if path.startswith(_API) else path.split("/", 2)
    known = _CLASSES.get(segments[1], Priority.BROWSE) if len(segments) > 1 else Priority.BROWSE
    if method not in _READING:
        return known
    agent = b""
    for name, value in headers:
        if name == b"user-agent":
            agent = value
        elif name == b"x-synthetic":
            if value == b"probe":
                return known
        elif name in (b"sec-purpose", b"purpose") and value.startswith(b"prefetch"):
            return Priority.BOT
    if agent:
        return Priority.BOT if is_crawler(agent[:256]) else known
    return known if path.startswith(_API) or path.startswith(ASSETS) else Priority.BOT


def is_asset(path: str) -> bool:
    """Whether the path is an image or a file that belongs to a page."""
    return path.startswith(ASSETS)


@lru_cache(maxsize=1024)
def is_crawler(user_agent: bytes) -> bool:
    """Whether a client that calls itself so is a crawler by its own word."""
    return _CRAWLER.search(user_agent) is not None
