"""What catalogue, carts and prices refuse before they ask any store."""

import asyncio
import json
import logging
from functools import cache
from typing import Any

import pytest
from starlette.types import ASGIApp

from demo_shop.cart import app as cart
from demo_shop.catalog import app as catalog
from demo_shop.frame.frame import Frame
from demo_shop.frame.logs import Log
from demo_shop.pricing import app as pricing
from demo_shop.settings import Settings

ROLES: dict[str, Any] = {"catalog": catalog, "cart": cart, "pricing": pricing}


@cache
def service(role: str) -> ASGIApp:
    settings = Settings.from_environment({"SHOP_ROLE": role, "SHOP_LOG_REQUESTS": "off"})
    frame = Frame(settings, Log(logging.getLogger("demo_shop.test"), {}))
    return frame.traffic(ROLES[role].create(frame))


def ask(
    role: str, method: str, target: str, body: object = None, headers: dict[str, str] | None = None
) -> tuple[int, dict[str, Any]]:
    """Status and JSON of the answer."""
    path, _, query = target.partition("?")
    content = b"" if body is None else json.dumps(body).encode()
    given = {"host": "shop", "content-type": "application/json", "content-length": str(len(content)), **(headers or {})}
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 80),
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": content, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def answer() -> None:
        await service(role)(scope, receive, send)

    asyncio.run(answer())
    assert (b"content-type", b"application/problem+json") in sent[0]["headers"]
    return sent[0]["status"], json.loads(b"".join(message.get("body", b"") for message in sent[1:]))


@pytest.mark.parametrize(
    ("role", "target", "field"),
    [
        ("catalog", "/products?page=0", "query.page"),
        ("catalog", "/products?page=x", "query.page"),
        ("catalog", "/products?page_size=0", "query.page_size"),
        ("catalog", "/products?page_size=101", "query.page_size"),
        ("catalog", "/products?sort=colour", "query.sort"),
        ("catalog", "/products?category=%00", "query.category"),
        ("catalog", "/products?category=A%20B", "query.category"),
        ("catalog", "/products/0", "path.product_id"),
        ("catalog", "/products/2147483648", "path.product_id"),
        ("catalog", "/products/by-ids", "query.ids"),
        ("catalog", "/products/by-ids?ids=", "query.ids"),
        ("catalog", "/products/by-ids?ids=1,,2", "query.ids"),
        ("catalog", "/products/by-ids?ids=0", "query.ids"),
        ("catalog", "/products/by-ids?ids=9999999999", "query.ids"),
        ("catalog", "/products/by-ids?ids=" + ",".join(["1"] * 101), "query.ids"),
        ("catalog", "/search", "query.q"),
        ("catalog", "/search?q=" + "a" * 201, "query.q"),
        ("catalog", "/search?q=a%00b", "query.q"),
        ("cart", "/carts/" + "a" * 201, "path.cart_id"),
        ("cart", "/carts/a%20b", "path.cart_id"),
        ("pricing", "/prices", "query.ids"),
        ("pricing", "/prices?ids=-1", "query.ids"),
        ("pricing", "/prices?ids=1%00", "query.ids"),
    ],
)
def test_a_question_out_of_bounds_names_the_field(role: str, target: str, field: str) -> None:
    status, problem = ask(role, "GET", target)

    assert (status, problem["code"]) == (422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"product_id": 1, "quantity": 0}, "body.quantity"),
        ({"product_id": 1, "quantity": 100}, "body.quantity"),
        ({"product_id": 1, "quantity": 1.5}, "body.quantity"),
        ({"product_id": 1, "quantity": True}, "body.quantity"),
        ({"product_id": 0, "quantity": 1}, "body.product_id"),
        ({"product_id": "1", "quantity": 1}, "body.product_id"),
        ({"product_id": 2**31, "quantity": 1}, "body.product_id"),
        ({"quantity": 1}, "body.product_id"),
        ({"product_id": 1, "quantity": 1, "price": 0}, "body.price"),
        ([], "body"),
    ],
)
def test_a_line_out_of_bounds_names_the_field(body: object, field: str) -> None:
    status, problem = ask("cart", "POST", "/carts/c/lines", body)

    assert (status, problem["code"]) == (422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == [field]


@pytest.mark.parametrize("key", ["short", "k" * 129, "with space", "naïve-key"])
def test_an_unusable_idempotency_key_is_refused(key: str) -> None:
    status, problem = ask("cart", "POST", "/carts/c/lines", {"product_id": 1, "quantity": 1}, {"Idempotency-Key": key})

    assert (status, problem["errors"][0]["field"].lower()) == (422, "header.idempotency-key")


def test_prices_are_unavailable_rather_than_unknown_before_the_products_were_read() -> None:
    status, problem = ask("pricing", "GET", "/prices/1")

    assert (status, problem["code"]) == (503, "store-unavailable")
