"""Admission around an ASGI app, with clients that wait, leave and are sent away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest
from starlette.types import Message, Receive, Scope, Send

from demo_shop.frame import context
from demo_shop.gateway.admission import Admission, AdmissionSettings, Shed
from demo_shop.gateway.admission_layer import AdmissionLayer
from demo_shop.gateway.priorities import Priority

BROWSER = (b"user-agent", b"Mozilla/5.0 Chrome/140.0")
ONE_SLOT = AdmissionSettings(first_limit=1, least_limit=1, most_limit=1, most_queued=2)
LIMIT_S = 5.0


class Gate:
    """An app that answers when it is told to, and notes what it saw."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.priorities: list[str | None] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.paths.append(scope["path"])
        self.priorities.append(context.priority.get())
        await self.open.wait()
        if scope["method"] == "POST":
            self.bodies.append(await _whole_body(receive))
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"done"})


async def _whole_body(receive: Receive) -> bytes:
    body = b""
    while True:
        message = await receive()
        assert message["type"] == "http.request"
        body += bytes(message["body"])
        if not message.get("more_body"):
            return body


class Visit:
    """One request against the layer, as the server runs it."""

    def __init__(
        self, app: AdmissionLayer, path: str, method: str = "GET", body: tuple[bytes, ...] = (b"",),
    ) -> None:  # fmt: skip
        self.sent: list[Message] = []
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        for place, piece in enumerate(body, start=1):
            self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": place < len(body)})
        scope = {"type": "http", "path": path, "method": method, "headers": [BROWSER]}
        self.task = asyncio.create_task(_run(app, scope, self._incoming.get, self.sent))

    def leave(self) -> None:
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def answer(self) -> int | None:
        async with asyncio.timeout(LIMIT_S):
            await self.task
        return self.sent[0]["status"] if self.sent else None

    @property
    def headers(self) -> dict[bytes, bytes]:
        return dict(self.sent[0]["headers"])


async def _run(app: AdmissionLayer, scope: Scope, receive: Receive, sent: list[Message]) -> None:
    async def send(message: Message) -> None:
        sent.append(message)

    await app(scope, receive, send)


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(LIMIT_S):
        while not happened():
            await asyncio.sleep(0.001)


def story(told: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(told())  # type: ignore[arg-type] # every story is a coroutine


def test_a_request_passes_and_gives_its_slot_back() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        visit = Visit(AdmissionLayer(gate, admission), "/cart")
        await until(lambda: admission.in_flight == 1)
        gate.open.set()

        assert await visit.answer() == 200
        assert admission.in_flight == 0
        assert gate.priorities == ["cart"]

    story(told)


def test_a_failing_app_gives_its_slot_back() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise LookupError("broken")

    async def told() -> None:
        admission = Admission(ONE_SLOT)
        with pytest.raises(LookupError, match="broken"):
            await Visit(AdmissionLayer(broken, admission), "/").answer()
        assert admission.in_flight == 0

    story(told)


def test_who_waits_goes_in_when_a_slot_is_free_the_checkout_first() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        visits = [Visit(app, "/")]
        await until(lambda: gate.paths == ["/"])
        for path, priority in (("/cart", Priority.CART), ("/checkout", Priority.CHECKOUT)):
            visits.append(Visit(app, path))
            await until(lambda: admission.queued()[priority] == 1)  # noqa: B023 - used at once
        gate.open.set()

        assert [await visit.answer() for visit in visits] == [200, 200, 200]
        assert gate.paths == ["/", "/checkout", "/cart"]
        assert admission.in_flight == 0

    story(told)


def test_a_body_that_was_read_while_waiting_reaches_the_app_whole() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        waiting = [Visit(app, "/checkout", "POST", (b"a=1",)), Visit(app, "/checkout", "POST", (b"b=", b"2", b"3"))]
        await until(lambda: admission.queued()[Priority.CHECKOUT] == 2)
        gate.open.set()

        assert [await visit.answer() for visit in (first, *waiting)] == [200, 200, 200]
        assert gate.bodies == [b"a=1", b"b=23"]

    story(told)


def test_who_waits_too_long_gets_a_503_that_says_when_to_come_back() -> None:
    async def told() -> None:
        impatient = replace(ONE_SLOT, most_wait_s={**ONE_SLOT.most_wait_s, Priority.CART: 0.02})
        admission, gate = Admission(impatient), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        waiting = Visit(app, "/cart")

        assert await waiting.answer() == 503
        assert waiting.headers[b"retry-after"] == b"1"
        assert waiting.headers[b"content-type"] == b"application/problem+json"
        body = json.loads(waiting.sent[1]["body"])
        assert (body["code"], body["reason"]) == ("overloaded", "waited_too_long")
        assert admission.shed == {(Priority.CART, Shed.WAITED_TOO_LONG): 1}
        gate.open.set()
        assert await first.answer() == 200

    story(told)


def test_nobody_waits_beyond_the_deadline_that_the_caller_named() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        context.deadline_s.set(asyncio.get_running_loop().time() + 0.02)
        checkout = Visit(app, "/checkout")  # which may wait 10 s otherwise, longer than this test does

        assert await checkout.answer() == 503
        gate.open.set()
        assert await first.answer() == 200

    story(told)


def test_a_checkout_takes_the_place_of_a_visitor_when_the_queue_is_full() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        visitors = [Visit(app, "/product/1"), Visit(app, "/product/2")]
        await until(lambda: admission.queued()[Priority.BROWSE] == 2)
        checkout = Visit(app, "/checkout")

        assert await visitors[1].answer() == 503
        assert await Visit(app, "/product/3").answer() == 503  # the queue is full again
        gate.open.set()
        assert [await visit.answer() for visit in (first, checkout, visitors[0])] == [200, 200, 200]
        assert gate.paths == ["/", "/checkout", "/product/1"]

    story(told)


def test_a_client_that_leaves_the_queue_is_not_worked_for() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        waiting = Visit(app, "/checkout")
        await until(lambda: admission.queued()[Priority.CHECKOUT] == 1)
        waiting.leave()

        assert await waiting.answer() is None
        assert admission.shed == {(Priority.CHECKOUT, Shed.CLIENT_GONE): 1}
        gate.open.set()
        assert await first.answer() == 200
        assert gate.paths == ["/"]

    story(told)


def test_a_waiter_that_the_server_cancels_leaves_nothing_behind() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        first = Visit(app, "/")
        await until(lambda: gate.paths == ["/"])
        waiting = Visit(app, "/checkout")
        await until(lambda: admission.queued()[Priority.CHECKOUT] == 1)
        waiting.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting.answer()
        assert sum(admission.queued().values()) == 0
        gate.open.set()
        assert await first.answer() == 200
        assert admission.in_flight == 0

    story(told)


def test_a_waiter_cancelled_in_the_moment_it_was_let_in_gives_the_slot_back() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        assert admission.try_enter(Priority.BROWSE)
        waiting = Visit(AdmissionLayer(gate, admission), "/checkout")
        await until(lambda: admission.queued()[Priority.CHECKOUT] == 1)
        admission.leave(Priority.BROWSE, 0.0)
        assert admission.in_flight == 1  # it has the slot and does not know yet
        waiting.task.cancel()

        with pytest.raises(asyncio.CancelledError):
            await waiting.answer()
        assert admission.in_flight == 0
        assert gate.paths == []

    story(told)


def test_what_reading_ahead_ran_into_the_app_runs_into_too() -> None:
    async def told() -> None:
        admission, gate = Admission(ONE_SLOT), Gate()
        app = AdmissionLayer(gate, admission)
        assert admission.try_enter(Priority.BROWSE)

        async def too_long() -> Message:
            raise OverflowError("the body is too long")

        scope = {"type": "http", "path": "/checkout", "method": "POST", "headers": [BROWSER]}
        gate.open.set()
        waiting = asyncio.create_task(_run(app, scope, too_long, []))
        await until(lambda: admission.queued()[Priority.CHECKOUT] == 1)
        await asyncio.sleep(0)  # the reading ahead happens
        admission.leave(Priority.BROWSE, 0.0)

        with pytest.raises(OverflowError, match="too long"):
            await waiting
        assert admission.in_flight == 0

    story(told)


def test_a_full_queue_answers_at_once() -> None:
    async def told() -> None:
        admission, gate = Admission(replace(ONE_SLOT, most_queued=0)), Gate()
        assert admission.try_enter(Priority.CHECKOUT)
        visit = Visit(AdmissionLayer(gate, admission), "/")

        assert await visit.answer() == 503
        assert visit.headers[b"retry-after"] == b"2"
        assert json.loads(visit.sent[1]["body"])["reason"] == "queue_full"

    story(told)


def test_tells_how_long_pages_took_with_their_wait_but_nothing_of_assets_carts_and_checkouts() -> None:
    async def told() -> None:
        now_s = 100.0
        observed: list[tuple[float, float]] = []

        async def takes_half_a_second(scope: Scope, receive: Receive, send: Send) -> None:
            nonlocal now_s
            now_s += 0.5

        app = AdmissionLayer(
            takes_half_a_second,
            Admission(),
            observe=lambda latency_s, at_s: observed.append((latency_s, at_s)),
            clock=lambda: now_s,
        )
        for path in ("/", "/images/1.svg", "/static/shop.css", "/cart", "/checkout", "/api/v1/products"):
            await Visit(app, path).answer()

        assert observed == [(0.5, 100.5), (0.5, 103.0)]

    story(told)
