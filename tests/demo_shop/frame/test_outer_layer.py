import asyncio
import json
import logging
from collections.abc import Sequence
from typing import Any

from prometheus_client import generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from demo_shop.frame import context
from demo_shop.frame.drain import Drain, DrainRequest
from demo_shop.frame.logs import JsonLines, Log
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.outer_layer import MOST_BODY_BYTES, OuterLayer
from demo_shop.frame.problems import answer_problems


class Answered:
    def __init__(self, messages: list[Any]) -> None:
        start = messages[0]
        self.status: int = start["status"]
        self.headers = {name.decode(): value.decode() for name, value in start["headers"]}
        self.body = b"".join(message.get("body", b"") for message in messages[1:])


class Service:
    """A service of three routes inside the outer layer."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.now_s = 1000.0
        self.drain = Drain(lambda: self.now_s)
        self.seen: dict[str, Any] = {}
        app = Starlette(
            routes=[
                Route("/things/{id}", self._thing),
                Route("/echo", self._echo, methods=["POST"]),
                Route("/broken", self._broken),
            ]
        )
        answer_problems(app)
        log = Log(logging.getLogger("demo_shop.test"), {})
        self.layer = OuterLayer(app, self.metrics, log, self.drain, lambda: self.now_s, log_requests=True)

    async def _thing(self, request: Request) -> PlainTextResponse:
        deadline_s = context.deadline_s.get()
        self.seen = {
            "request_id": context.request_id.get(),
            "synthetic": context.synthetic.get(),
            "left_s": None if deadline_s is None else deadline_s - asyncio.get_running_loop().time(),
        }
        return PlainTextResponse("thing")

    async def _echo(self, request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    async def _broken(self, request: Request) -> PlainTextResponse:
        raise RuntimeError("a bug")

    def ask(
        self,
        path: str,
        headers: Sequence[tuple[str, str]] = (),
        *,
        method: str = "GET",
        body: Sequence[bytes] = (b"",),
    ) -> Answered:
        parts = [{"type": "http.request", "body": part, "more_body": i < len(body) - 1} for i, part in enumerate(body)]
        messages: list[Any] = []

        async def receive() -> Any:
            return parts.pop(0)

        async def send(message: Any) -> None:
            messages.append(message)

        scope = {
            "type": "http",
            "method": method,
            "path": path,
            "query_string": b"",
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }
        asyncio.run(self.layer(scope, receive, send))
        return Answered(messages)

    def measured(self) -> str:
        return generate_latest(self.metrics.registry).decode()


def test_a_request_is_measured_under_its_template() -> None:
    service = Service()
    service.ask("/things/7")
    service.ask("/things/8")
    counted = 'http_server_request_duration_seconds_count{method="GET",route="/things/{id}",status="200"} 2.0'
    assert counted in service.measured()
    assert 'http_server_active_requests{method="GET"} 0.0' in service.measured()


def test_paths_that_nobody_serves_share_one_label() -> None:
    service = Service()
    assert service.ask("/admin.php").status == 404
    assert 'route="unmatched",status="404"' in service.measured()
    assert "admin" not in service.measured()


def test_the_callers_request_id_is_kept_and_a_strange_one_replaced() -> None:
    service = Service()
    assert service.ask("/things/1", [("X-Request-Id", "abc-12345678")]).headers["x-request-id"] == "abc-12345678"
    assert service.seen["request_id"] == "abc-12345678"
    assert len(service.ask("/things/1", [("X-Request-Id", 'x"} evil')]).headers["x-request-id"]) == 16


def test_the_callers_patience_becomes_a_deadline() -> None:
    service = Service()
    service.ask("/things/1", [("X-Timeout-Ms", "2500")])
    assert 2.0 < service.seen["left_s"] <= 2.5
    service.ask("/things/1")
    assert service.seen["left_s"] is None


def test_a_body_over_the_limit_is_refused_whether_declared_or_not() -> None:
    service = Service()
    declared = service.ask("/echo", [("Content-Length", str(MOST_BODY_BYTES + 1))], method="POST")
    undeclared = service.ask("/echo", method="POST", body=[b"x" * MOST_BODY_BYTES, b"y"])
    assert declared.status == undeclared.status == 413
    assert json.loads(declared.body)["code"] == "body-too-long"
    assert service.ask("/echo", method="POST", body=[b"x" * MOST_BODY_BYTES]).body == str(MOST_BODY_BYTES).encode()


def test_headers_over_the_limit_are_refused() -> None:
    answer = Service().ask("/things/1", [("X-Long", "x" * 17_000)])
    assert answer.status == 431
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_bug_answers_a_problem_without_its_inside() -> None:
    answer = Service().ask("/broken")
    assert answer.status == 500
    assert json.loads(answer.body)["code"] == "internal-error"
    assert b"a bug" not in answer.body


def test_connections_are_closed_while_draining() -> None:
    service = Service()
    assert "connection" not in service.ask("/things/1").headers
    service.drain.start(DrainRequest(ttl_s=60), service.now_s)
    assert service.ask("/things/1").headers["connection"] == "close"
    service.now_s += 61.0
    assert "connection" not in service.ask("/things/1").headers


def test_log_lines_are_json_with_the_request_they_belong_to() -> None:
    record = logging.LogRecord("demo_shop", logging.INFO, "", 0, "order %s", ("x",), None)
    record.fields = {"total_cents": 5}
    token = context.request_id.set("abcdefgh")
    try:
        line = json.loads(JsonLines("checkout", "pod-1", "zone-a").format(record))
    finally:
        context.request_id.reset(token)
    assert (line["message"], line["request_id"], line["total_cents"]) == ("order x", "abcdefgh", 5)
    assert (line["role"], line["pod"], line["zone"], line["level"]) == ("checkout", "pod-1", "zone-a", "info")
