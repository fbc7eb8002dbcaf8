"""Rendered pages, kept for seconds: a crowd that looks at the same page costs one rendering.

A page is fresh for `fresh_s`. Then for `stale_s` it is still served while one renderer makes the next. After that
visitors wait for the new one, all for the same. When it cannot be made, the old one serves until it is `on_error_s`
old: a page of a minute ago sells more than an error. The least recently used pages go when the bytes are full.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from demo_shop.frame import context
from demo_shop.frame.problems import Problem


class Sized(Protocol):
    @property
    def size_bytes(self) -> int: ...


Page = TypeVar("Page", bound=Sized)


class Served(StrEnum):
    FRESH = "fresh"
    STALE = "stale"
    RENDERED = "rendered"
    AFTER_ERROR = "after_error"


@dataclass(frozen=True, slots=True)
class Ages:
    """How old a page may be. A price must show within 10 s: pricing takes up to 3, fresh and stale together 6."""

    fresh_s: float = 3.0
    stale_s: float = 3.0
    on_error_s: float = 60.0


@dataclass(frozen=True, slots=True)
class _Entry(Generic[Page]):
    page: Page
    rendered_at_s: float


class PageCache(Generic[Page]):
    """Pages by key. `render` failing raises what it raised, to everybody who waited for it."""

    def __init__(
        self,
        now_s: Callable[[], float],
        *,
        ages: Ages | None = None,
        most_bytes: int = 16 * 1024 * 1024,
        count: Callable[[Served], None] = lambda served: None,
    ) -> None:
        self._now_s, self._ages, self._most_bytes, self._count = now_s, ages or Ages(), most_bytes, count
        self._entries: OrderedDict[Hashable, _Entry[Page]] = OrderedDict()
        self._rendering: dict[Hashable, asyncio.Task[Page]] = {}
        self.size_bytes = 0

    @property
    def at_work(self) -> int:
        """Renderers at work."""
        return len(self._rendering)

    async def page(self, key: Hashable, render: Callable[[], Awaitable[Page]]) -> Page:
        entry = self._entries.get(key)
        if entry is None:
            return await self._rendered(key, render)
        self._entries.move_to_end(key)
        age_s = self._now_s() - entry.rendered_at_s
        if age_s < self._ages.fresh_s:
            self._count(Served.FRESH)
            return entry.page
        if age_s < self._ages.fresh_s + self._ages.stale_s:
            self._renderer(key, render)
            self._count(Served.STALE)
            return entry.page
        if age_s >= self._ages.on_error_s:
            self._forget(key)
            return await self._rendered(key, render)
        try:
            return await self._rendered(key, render)
        except Exception as error:
            if isinstance(error, Problem) and error.status < 500:
                self._forget(key)  # an answer, not a failure: the product is gone
                raise
            self._count(Served.AFTER_ERROR)
            return entry.page

    async def close(self) -> None:
        """Ends the renderers at work."""
        working = list(self._rendering.values())
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    async def _rendered(self, key: Hashable, render: Callable[[], Awaitable[Page]]) -> Page:
        # Shielded: the first visitor going away must not take the page from those who wait with them.
        page = await asyncio.shield(self._renderer(key, render))
        self._count(Served.RENDERED)
        return page

    def _renderer(self, key: Hashable, render: Callable[[], Awaitable[Page]]) -> asyncio.Task[Page]:
        if (task := self._rendering.get(key)) is None:
            task = asyncio.create_task(self._render(key, render), name="page renderer")
            self._rendering[key] = task
            task.add_done_callback(lambda done: self._finished(key, done))
        return task

    async def _render(self, key: Hashable, render: Callable[[], Awaitable[Page]]) -> Page:
        context.deadline_s.set(None)  # the page is for everybody: the hurry of one visitor must not spoil it
        asked_at_s = self._now_s()  # the page is as old as the oldest fact that it may show
        page = await render()
        self._keep(key, _Entry(page, asked_at_s))
        return page

    def _finished(self, key: Hashable, task: asyncio.Task[Page]) -> None:
        self._rendering.pop(key, None)
        if not task.cancelled():
            task.exception()  # looked at: nobody may be waiting for a renderer in the background

    def _keep(self, key: Hashable, entry: _Entry[Page]) -> None:
        self._forget(key)
        self._entries[key] = entry
        self.size_bytes += entry.page.size_bytes
        while self.size_bytes > self._most_bytes:
            self._forget(next(iter(self._entries)))

    def _forget(self, key: Hashable) -> None:
        if (entry := self._entries.pop(key, None)) is not None:
            self.size_bytes -= entry.page.size_bytes
