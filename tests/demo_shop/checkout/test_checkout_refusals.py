"""What checkout says when it has no room, no database, or no understanding."""

import asyncio
import json
import logging
from typing import Any

import pytest

from demo_shop.checkout import app as checkout
from demo_shop.frame.frame import Frame
from demo_shop.frame.logs import Log
from demo_shop.settings import Settings

BODY = {"customer_id": "ann", "lines": [{"product_id": 1, "quantity": 1}], "payment_token": "tok_visa"}
KEY = {"idempotency-key": "key-of-a-test"}
NOWHERE = {
    "SHOP_ROLE": "checkout",
    "SHOP_LOG_REQUESTS": "off",
    "SHOP_DATABASE_HOSTS": "127.0.0.1:1",
    "SHOP_UPSTREAM_PRICING": "http://127.0.0.1:1",
}


def ask(
    headers: dict[str, str], body: object = BODY, environment: dict[str, str] | None = None
) -> tuple[int, dict[str, Any], dict[str, str], Frame]:
    """Status, body and headers of the answer to `POST /orders` while there is no database."""

    async def answer() -> tuple[int, dict[str, Any], dict[str, str], Frame]:
        frame = Frame(
            Settings.from_environment({**NOWHERE, **(environment or {})}),
            Log(logging.getLogger("demo_shop.test"), {}),
        )
        service = frame.traffic(checkout.create(frame))
        content = json.dumps(body).encode()
        given = {"host": "shop", "content-type": "application/json", "content-length": str(len(content)), **headers}
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "path": "/orders",
            "raw_path": b"/orders",
            "query_string": b"",
            "headers": [(name.encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 1),
            "server": ("127.0.0.1", 80),
        }
        sent: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        primary = frame.primary()
        await primary.open()
        try:
            await service(scope, receive, send)
        finally:
            await primary.close()
        told = b"".join(message.get("body", b"") for message in sent[1:])
        return (
            sent[0]["status"],
            json.loads(told),
            {name.decode().lower(): value.decode() for name, value in sent[0]["headers"]},
            frame,
        )

    return asyncio.run(answer())


def counted(frame: Frame, name: str, **labels: str) -> float | None:
    return frame.metrics.registry.get_sample_value(name, labels)


def test_an_order_beyond_those_in_flight_is_told_to_come_back_in_a_second() -> None:
    status, problem, headers, frame = ask(KEY, environment={"SHOP_MOST_IN_FLIGHT": "0"})

    assert (status, problem["code"], headers["retry-after"]) == (503, "too-busy", "1")
    assert counted(frame, "shop_too_busy_total") == 1.0


@pytest.mark.parametrize(
    ("headers", "counter", "other"),
    [
        pytest.param({}, "shop_orders_total", "shop_probe_orders_total", id="customer"),
        pytest.param({"x-synthetic": "probe"}, "shop_probe_orders_total", "shop_orders_total", id="probe"),
    ],
)
def test_without_a_database_the_outcome_is_unknown_before_the_caller_gives_up(
    headers: dict[str, str], counter: str, other: str
) -> None:
    status, problem, told, frame = ask({**KEY, "x-timeout-ms": "400", **headers})

    assert (status, problem["code"], told["retry-after"]) == (503, "unknown-outcome", "1")
    assert counted(frame, counter, outcome="unknown") == 1.0
    assert counted(frame, other, outcome="unknown") == 0.0


@pytest.mark.parametrize(
    ("headers", "body", "field"),
    [
        pytest.param({}, BODY, "header.Idempotency-Key", id="no-key"),
        pytest.param({"idempotency-key": "short"}, BODY, "header.Idempotency-Key", id="short-key"),
        pytest.param({"idempotency-key": "x" * 129}, BODY, "header.Idempotency-Key", id="long-key"),
        pytest.param(KEY, {**BODY, "customer_id": "\ud800"}, "body.customer_id", id="half-a-character"),
        pytest.param(KEY, {**BODY, "lines": "two"}, "body.lines", id="lines"),
        pytest.param(KEY, [], "body", id="no-object"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_by_the_name_of_its_field(
    headers: dict[str, str], body: object, field: str
) -> None:
    status, problem, _, _ = ask(headers, body)

    assert (status, problem["code"]) == (422, "invalid-request")
    assert field in [error["field"] for error in problem["errors"]]
