import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from demo_shop.frame import context
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Upstream

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Service:
    """A service on loopback that counts what it is asked."""

    def __init__(self, handler: Handler) -> None:
        self._handler = handler
        self.requests: list[web.Request] = []

    async def _count(self, request: web.Request) -> web.StreamResponse:
        self.requests.append(request)
        return await self._handler(request)

    async def start(self, port: int = 0) -> str:
        self._runner = web.ServerRunner(web.Server(self._count))
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", port).start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def stop(self) -> None:
        await self._runner.cleanup()


async def fine(request: web.Request) -> web.StreamResponse:
    return web.json_response({"asked": request.path})


async def broken(request: web.Request) -> web.StreamResponse:
    return web.json_response({"code": "sorry"}, status=503)


def of(addresses: list[str]) -> Upstream:
    return Upstream("catalog", addresses, Metrics(), rng=random.Random(1))


def with_service(handler: Handler, test: Callable[[Service, Upstream], Awaitable[None]]) -> None:
    async def run() -> None:
        service = Service(handler)
        upstream = of([await service.start()])
        try:
            await test(service, upstream)
        finally:
            await upstream.close()
            await service.stop()

    asyncio.run(run())


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_what_belongs_to_the_request_travels_with_the_call() -> None:
    async def test(service: Service, upstream: Upstream) -> None:
        context.request_id.set("abcdefgh")
        context.priority.set("checkout")
        answer = await upstream.put("/things", json={"a": 1}, timeout_s=1.5)
        assert (answer.status, answer.json) == (200, {"asked": "/things"})
        headers = service.requests[0].headers
        assert (headers["X-Request-Id"], headers["X-Priority"]) == ("abcdefgh", "checkout")
        assert 1_000 < int(headers["X-Timeout-Ms"]) <= 1_500 and headers["Content-Type"] == "application/json"

    with_service(fine, test)


def test_a_failing_read_is_tried_three_times_and_its_answer_told() -> None:
    async def test(service: Service, upstream: Upstream) -> None:
        answer = await upstream.get("/things")
        assert (answer.status, answer.problem_code) == (503, "sorry")
        assert len(service.requests) == 3

    with_service(broken, test)


def test_a_post_is_sent_once_unless_it_is_said_to_be_idempotent() -> None:
    async def test(service: Service, upstream: Upstream) -> None:
        assert (await upstream.post("/things", json={})).status == 503
        assert len(service.requests) == 1
        await upstream.post("/things", json={}, idempotent=True)
        assert len(service.requests) == 4

    with_service(broken, test)


def test_a_slow_answer_is_an_absent_one() -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5.0)
        return web.Response()

    async def test(service: Service, upstream: Upstream) -> None:
        with pytest.raises(UpstreamUnavailable, match="catalog"):
            await upstream.post("/things", timeout_s=0.05)

    with_service(slow, test)


def test_the_requests_own_deadline_bounds_all_tries() -> None:
    async def test(service: Service, upstream: Upstream) -> None:
        context.deadline_s.set(asyncio.get_running_loop().time() - 0.001)
        with pytest.raises(UpstreamUnavailable, match="no time left"):
            await upstream.get("/things")
        assert service.requests == []

    with_service(fine, test)


def test_patience_waits_for_a_service_that_restarts() -> None:
    async def run() -> None:
        port = free_port()
        service = Service(fine)
        upstream = of([f"http://127.0.0.1:{port}"])
        try:
            asked = asyncio.create_task(upstream.post("/things", json={}, patience_s=10.0))
            await asyncio.sleep(0.2)
            assert not asked.done()
            await service.start(port)
            assert (await asked).status == 200
        finally:
            await upstream.close()
            await service.stop()

    asyncio.run(run())


def test_another_address_is_asked_when_one_is_gone() -> None:
    async def run() -> None:
        service = Service(fine)
        upstream = of([f"http://127.0.0.1:{free_port()}", await service.start()])
        try:
            for _ in range(6):
                assert (await upstream.get("/things")).status == 200
        finally:
            await upstream.close()
            await service.stop()

    asyncio.run(run())


def test_a_hedged_read_is_answered_by_the_quicker_call() -> None:
    calls = 0

    async def slow_once(request: web.Request) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        if calls == 31:
            await asyncio.sleep(5.0)
        return web.json_response({"call": calls})

    async def test(service: Service, upstream: Upstream) -> None:
        for _ in range(30):
            await upstream.get("/things", hedge=True)
        answer = await upstream.get("/things", hedge=True, timeout_s=4.0)
        assert answer.json == {"call": 32}

    with_service(slow_once, test)


def test_an_answer_that_is_no_json_is_still_an_answer() -> None:
    async def text(request: web.Request) -> web.StreamResponse:
        return web.Response(text="<html>")

    async def test(service: Service, upstream: Upstream) -> None:
        answer: Any = await upstream.get("/things")
        assert (answer.status, answer.json) == (200, None)

    with_service(text, test)
