"""Back-pressure: what a process cannot begin soon it refuses at once, so that callers go elsewhere or slow down."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter

from demo_shop.frame.problems import Problem


class InFlight:
    """Counts the work under way; `most` says how much of it there may be at the moment."""

    def __init__(self, most: Callable[[], int], registry: CollectorRegistry) -> None:
        self._most = most
        self._now = 0
        self._refused = Counter(
            "shop_too_busy_total", "Requests refused since too many were in flight", registry=registry
        )

    @contextmanager
    def one_more(self) -> Iterator[None]:
        """Raises a 503 that asks to come back in a second; nothing was done then."""
        if self._now >= self._most():
            self._refused.inc()
            raise Problem(
                503,
                "too-busy",
                "Too much at once",
                "Nothing was done. Ask again in a second.",
                headers={"Retry-After": "1"},
            )
        self._now += 1
        try:
            yield
        finally:
            self._now -= 1
