from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest

from demo_shop.frame import context
from demo_shop.frame.problems import Problem, UpstreamUnavailable
from demo_shop.gateway.page_cache import Ages, PageCache, Served


@dataclass(frozen=True)
class Sheet:
    text: str
    size_bytes: int = 10


class Kitchen:
    """A cache with a clock of its own, and renderers that count and may wait or fail."""

    def __init__(self, most_bytes: int = 1000) -> None:
        self.now_s = 100.0
        self.rendered: list[str] = []
        self.served: list[Served] = []
        self.failure: Exception | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.cache: PageCache[Sheet] = PageCache(
            lambda: self.now_s, ages=Ages(3.0, 3.0, 60.0), most_bytes=most_bytes, count=self.served.append
        )

    def renderer(self, name: str, size_bytes: int = 10) -> Callable[[], Awaitable[Sheet]]:
        async def render() -> Sheet:
            self.rendered.append(name)
            await self.gate.wait()
            if self.failure is not None:
                raise self.failure
            return Sheet(f"{name} {len(self.rendered)}", size_bytes)

        return render

    async def page(self, name: str = "front", size_bytes: int = 10) -> str:
        return (await self.cache.page(name, self.renderer(name, size_bytes))).text

    async def idle(self) -> None:
        """Until no renderer is at work."""
        while self.cache.at_work:
            await asyncio.sleep(0)


def test_a_fresh_page_is_rendered_once() -> None:
    async def visit() -> None:
        kitchen = Kitchen()

        first = await kitchen.page()
        kitchen.now_s += 2.9
        second = await kitchen.page()

        assert (first, second) == ("front 1", "front 1")
        assert kitchen.served == [Served.RENDERED, Served.FRESH]

    asyncio.run(visit())


def test_a_stale_page_is_served_while_one_renderer_makes_the_next() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        await kitchen.page()
        kitchen.now_s += 3.5

        stale = await asyncio.gather(kitchen.page(), kitchen.page())
        await kitchen.idle()
        new = await kitchen.page()

        assert stale == ["front 1", "front 1"]
        assert new == "front 2"

    asyncio.run(visit())


def test_a_page_older_than_fresh_and_stale_together_is_never_shown_while_the_shop_works() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        await kitchen.page()
        kitchen.now_s += 6.0

        assert await kitchen.page() == "front 2"

    asyncio.run(visit())


def test_a_crowd_at_a_new_page_waits_for_one_renderer() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()

        crowd = [asyncio.create_task(kitchen.page()) for _ in range(50)]
        await asyncio.sleep(0)
        kitchen.gate.set()

        assert set(await asyncio.gather(*crowd)) == {"front 1"}

    asyncio.run(visit())


def test_the_first_visitor_leaving_does_not_take_the_page_from_the_others() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()
        first, second = asyncio.create_task(kitchen.page()), asyncio.create_task(kitchen.page())
        await asyncio.sleep(0)

        first.cancel()
        await asyncio.sleep(0)
        kitchen.gate.set()

        assert await second == "front 1"

    asyncio.run(visit())


def test_an_old_page_serves_when_no_new_one_can_be_made() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        await kitchen.page()
        kitchen.failure = UpstreamUnavailable("catalog", "away")
        kitchen.now_s += 30.0

        assert await kitchen.page() == "front 1"
        assert kitchen.served[-1] is Served.AFTER_ERROR

    asyncio.run(visit())


def test_a_page_too_old_for_an_excuse_gives_way_to_the_error() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        await kitchen.page()
        kitchen.failure = UpstreamUnavailable("catalog", "away")
        kitchen.now_s += 60.0

        with pytest.raises(UpstreamUnavailable):
            await kitchen.page()
        assert kitchen.cache.size_bytes == 0

    asyncio.run(visit())


def test_a_page_whose_thing_is_gone_is_gone() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        await kitchen.page()
        kitchen.failure = Problem(404, "not-found", "There is no such product")
        kitchen.now_s += 7.0

        with pytest.raises(Problem):
            await kitchen.page()

    asyncio.run(visit())


def test_failures_are_not_kept() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        kitchen.failure = UpstreamUnavailable("catalog", "away")
        with pytest.raises(UpstreamUnavailable):
            await kitchen.page()
        kitchen.failure = None

        assert await kitchen.page() == "front 2"

    asyncio.run(visit())


def test_the_least_recently_used_page_goes_when_the_bytes_are_full() -> None:
    async def visit() -> None:
        kitchen = Kitchen(most_bytes=30)
        for name in ("a", "b", "c"):
            await kitchen.page(name)
        await kitchen.page("a")

        await kitchen.page("d", size_bytes=10)  # 40 bytes of 30: b goes, looked at longest ago

        assert kitchen.cache.size_bytes == 30
        assert [await kitchen.page(name) for name in ("a", "c", "d")] == ["a 1", "c 3", "d 4"]
        assert await kitchen.page("b") == "b 5"

    asyncio.run(visit())


def test_a_page_larger_than_the_cache_is_served_and_not_kept() -> None:
    async def visit() -> None:
        kitchen = Kitchen(most_bytes=30)

        assert await kitchen.page("huge", size_bytes=31) == "huge 1"
        assert kitchen.cache.size_bytes == 0

    asyncio.run(visit())


def test_the_hurry_of_one_visitor_does_not_reach_the_renderer() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        seen: list[float | None] = []

        async def render() -> Sheet:
            seen.append(context.deadline_s.get())
            return Sheet("front")

        context.deadline_s.set(0.001)
        await kitchen.cache.page("front", render)

        assert seen == [None]

    asyncio.run(visit())


def test_closing_ends_the_renderers_at_work() -> None:
    async def visit() -> None:
        kitchen = Kitchen()
        kitchen.gate.clear()
        visitor = asyncio.create_task(kitchen.page())
        await asyncio.sleep(0)

        await kitchen.cache.close()

        with pytest.raises(asyncio.CancelledError):
            await visitor
        assert kitchen.cache.at_work == 0

    asyncio.run(visit())
