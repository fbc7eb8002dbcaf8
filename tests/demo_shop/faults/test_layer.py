import asyncio
import json
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import catalogue_of
from demo_shop.faults.fault import FaultRequest
from demo_shop.faults.layer import FaultLayer
from demo_shop.settings import Role

NOW_S = 1_000.0


class Service:
    """A service behind the layer; what happens is written down in order."""

    def __init__(self) -> None:
        self.board = FaultBoard(catalogue_of(Role.CART), lambda: NOW_S)
        self.events: list[str] = []
        app = Starlette(routes=[Route("/carts/{id}", self._work)])
        self._layer = FaultLayer(app, self.board, clock=lambda: NOW_S, sleep=self._sleep)

    async def _work(self, request: Request) -> PlainTextResponse:
        self.events.append("work")
        return PlainTextResponse("done")

    async def _sleep(self, seconds: float) -> None:
        self.events.append(f"sleep {seconds:g}")

    def get(self, path: str) -> tuple[int, dict[bytes, bytes], bytes, dict[str, Any]]:
        scope: dict[str, Any] = {"type": "http", "method": "GET", "path": path, "headers": [], "query_string": b""}
        sent: list[Any] = []

        async def receive() -> Any:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                self.events.append("answer")
            sent.append(message)

        asyncio.run(self._layer(scope, receive, send))
        return sent[0]["status"], dict(sent[0]["headers"]), b"".join(m.get("body", b"") for m in sent), scope


def test_without_faults_requests_pass() -> None:
    service = Service()

    status, _, body, _ = service.get("/carts/1")

    assert (status, body) == (200, b"done")
    assert service.events == ["work", "answer"]


def test_a_late_answer_comes_after_the_work_was_done() -> None:
    service = Service()
    service.board.start("slow_dependency", FaultRequest(magnitude=0.5, duration_s=60), NOW_S)

    status, _, _, _ = service.get("/carts/1")

    assert status == 200
    assert service.events == ["work", "sleep 0.5", "answer"]


def test_an_injected_error_comes_instead_of_the_work() -> None:
    service = Service()
    service.board.start("error_burst", FaultRequest(magnitude=1.0, duration_s=60), NOW_S)

    status, headers, body, _ = service.get("/carts/1")

    assert status == 500
    assert headers[b"content-type"] == b"application/problem+json"
    assert json.loads(body)["code"] == "injected-error"
    assert service.events == ["answer"]


def test_errors_are_late_too_while_answers_are() -> None:
    service = Service()
    service.board.start("error_burst", FaultRequest(magnitude=1.0, duration_s=60), NOW_S)
    service.board.start("slow_dependency", FaultRequest(magnitude=0.2, duration_s=60), NOW_S)

    service.get("/carts/1")

    assert service.events == ["sleep 0.2", "answer"]


def test_an_injected_error_is_counted_under_the_route_that_would_have_answered() -> None:
    service = Service()
    service.board.start("error_burst", FaultRequest(magnitude=1.0, duration_s=60), NOW_S)

    _, _, _, scope = service.get("/carts/1")

    assert scope["route"].path == "/carts/{id}"


def test_faults_that_are_not_about_answers_leave_answers_alone() -> None:
    service = Service()
    service.board.start("memory_leak", FaultRequest(magnitude=1.0, duration_s=60), NOW_S)

    assert service.get("/carts/1")[0] == 200
    assert service.events == ["work", "answer"]
