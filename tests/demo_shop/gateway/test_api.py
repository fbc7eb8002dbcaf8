from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from schemathesis import openapi
from starlette.testclient import TestClient

V1 = "/api/v1"
#: The slowness of a shared machine and what a schema makes hard to draw say nothing about the API.
UNSUITABLE = (HealthCheck.too_slow, HealthCheck.filter_too_much)
ORDER = {"payment_token": "tok_visa", "email": "you@example.org"}


def cart_with(client: TestClient, product_id: int = 1, quantity: int = 2) -> str:
    cart_id: str = client.post(f"{V1}/carts").json()["cart_id"]
    client.post(f"{V1}/carts/{cart_id}/lines", json={"product_id": product_id, "quantity": quantity})
    return cart_id


def order(client: TestClient, cart_id: str, key: str = "key-00001", **more: Any) -> Any:
    body = {**ORDER, "cart_id": cart_id, **more}
    return client.post(f"{V1}/orders", json=body, headers={"Idempotency-Key": key})


def assert_problem(answer: Any, status: int, code: str) -> dict[str, Any]:
    body: dict[str, Any] = answer.json()
    assert (answer.status_code, body["code"], body["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    return body


def test_a_purchase_from_search_to_order(browser: TestClient) -> None:
    [found] = browser.get(f"{V1}/search", params={"q": "number 3"}).json()["items"]
    cart_id = browser.post(f"{V1}/carts").json()["cart_id"]
    browser.post(f"{V1}/carts/{cart_id}/lines", json={"product_id": found["id"], "quantity": 2})
    placed = order(browser, cart_id, expected_total_cents=2 * found["price_cents"])
    seen = browser.get(f"{V1}/orders/{placed.json()['id']}")

    assert placed.status_code == 201
    assert placed.json()["total_cents"] == 2000
    assert seen.json() == placed.json()


def test_products_carry_the_price_of_the_day_and_its_explanation(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 1120

    product = browser.get(f"{V1}/products/1").json()

    assert (product["base_price_cents"], product["price_cents"]) == (1000, 1120)
    assert product["price_as_of"] == "2026-03-01T12:00:00+00:00"
    assert product["price_explanation"] == [{"factor": "demand", "effect_cents": 120, "because": "Many people want it"}]
    assert product["available"] == 50


def test_without_pricing_the_price_is_the_base_price_and_its_time_unknown(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 1120
    fake_shop.away = {"pricing", "inventory"}

    product = browser.get(f"{V1}/products/1").json()

    assert product["price_cents"] == 1000
    assert product["price_as_of"] is None
    assert product["available"] is None


def test_listings_have_pages_and_an_order(browser: TestClient) -> None:
    body = browser.get(f"{V1}/products", params={"category": "toys", "page": 2, "page_size": 2, "sort": "name"}).json()

    assert [one["id"] for one in body["items"]] == [5]  # toys are 1, 3 and 5
    assert (body["total"], body["page"], body["page_size"]) == (3, 2, 2)


def test_recommendations_name_products_and_reasons(browser: TestClient) -> None:
    body = browser.get(f"{V1}/recommendations", params={"product_ids": "6,5", "limit": 2}).json()

    assert [one["product"]["id"] for one in body["items"]] == [4, 3]
    assert body["items"][0]["because"] == "Often bought together"


def test_without_recommendations_there_are_none(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.away = {"recommendations"}

    assert browser.get(f"{V1}/recommendations", params={"product_ids": "1"}).json() == {"items": []}


def test_reading_is_answered_from_the_cache(browser: TestClient, fake_shop: Any) -> None:
    for _ in range(10):
        browser.get(f"{V1}/products")

    assert fake_shop.calls_of("catalog")["GET /products"] == 1


def test_a_cart_is_filled_changed_and_emptied(browser: TestClient) -> None:
    cart_id = cart_with(browser, 1, 2)
    path = f"{V1}/carts/{cart_id}"

    added = browser.post(f"{path}/lines", json={"product_id": 1}).json()
    changed = browser.put(f"{path}/lines/1", json={"quantity": 7}).json()
    emptied = browser.delete(path)

    assert added == {"cart_id": cart_id, "lines": [{"product_id": 1, "quantity": 3}]}
    assert changed["lines"] == [{"product_id": 1, "quantity": 7}]
    assert (emptied.status_code, emptied.content) == (204, b"")
    assert browser.get(path).json()["lines"] == []


def test_a_cart_says_what_it_would_cost_now(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 1120
    path = f"{V1}/carts/{cart_with(browser, 1, 2)}"
    browser.post(f"{path}/lines", json={"product_id": 2})

    body = browser.get(path).json()

    assert [line["unit_price_cents"] for line in body["lines"]] == [1120, 1000]
    assert body["total_cents"] == 3240  # 2 * 1120 + 1000


def test_a_cart_without_prices_of_the_day_has_no_total(browser: TestClient, fake_shop: Any) -> None:
    path = f"{V1}/carts/{cart_with(browser, 1, 2)}"
    fake_shop.away = {"pricing"}

    body = browser.get(path).json()

    assert body["lines"] == [{"product_id": 1, "quantity": 2, "unit_price_cents": None}]
    assert body["total_cents"] is None


def test_carts_are_not_guessed(browser: TestClient, fake_shop: Any) -> None:
    cart_id = cart_with(browser)
    name, _, signature = cart_id.rpartition(".")

    for wrong in (name, f"{name}x.{signature}", f"{name}.{signature[::-1]}", "x" * 256):
        assert_problem(browser.get(f"{V1}/carts/{wrong}"), 404, "unknown-cart")
    assert list(fake_shop.carts) == [name]


def test_a_repeated_order_is_the_same_order(browser: TestClient, fake_shop: Any) -> None:
    cart_id = cart_with(browser)

    first, second = order(browser, cart_id), order(browser, cart_id)

    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(fake_shop.orders) == 1


def test_an_unknown_outcome_is_a_503_to_be_tried_again(browser: TestClient, fake_shop: Any) -> None:
    cart_id = cart_with(browser)
    fake_shop.lost_answers = 1

    unclear, again = order(browser, cart_id), order(browser, cart_id)

    assert_problem(unclear, 503, "unknown-outcome")
    assert unclear.headers["retry-after"] == "2"
    assert again.status_code == 200
    assert len(fake_shop.orders) == 1


def test_an_order_of_nothing_is_refused(browser: TestClient) -> None:
    cart_id = browser.post(f"{V1}/carts").json()["cart_id"]

    assert_problem(order(browser, cart_id), 409, "cart-empty")


def test_a_declined_payment_is_a_402(browser: TestClient) -> None:
    assert_problem(order(browser, cart_with(browser), payment_token="tok_declined"), 402, "payment-declined")


def test_a_changed_price_is_told_with_the_new_total(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 1100

    answer = order(browser, cart_with(browser, 1, 2), expected_total_cents=2000)

    assert assert_problem(answer, 409, "price-changed")["total_cents"] == 2200


def test_what_is_sold_out_is_told_by_number(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.stock[1] = 1

    assert assert_problem(order(browser, cart_with(browser, 1, 2)), 409, "out-of-stock")["product_ids"] == [1]


def test_a_cart_with_something_unknown_conflicts(browser: TestClient, fake_shop: Any) -> None:
    cart_id = cart_with(browser, 1)
    del fake_shop.names[1]

    assert assert_problem(order(browser, cart_id), 409, "unknown-product")["product_ids"] == [1]


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_nothing_unknown_goes_into_a_cart(browser: TestClient, fake_shop: Any, method: str) -> None:
    path = f"{V1}/carts/{browser.post(f'{V1}/carts').json()['cart_id']}/lines"
    target, body = (path, {"product_id": 99}) if method == "POST" else (f"{path}/99", {"quantity": 1})

    assert_problem(browser.request(method, target, json=body), 404, "unknown-product")
    assert not fake_shop.carts


def test_something_unknown_can_be_taken_out_of_a_cart(browser: TestClient, fake_shop: Any) -> None:
    path = f"{V1}/carts/{cart_with(browser, 1)}/lines/1"
    del fake_shop.names[1]

    assert browser.put(path, json={"quantity": 0}).json()["lines"] == []


def test_a_key_with_another_request_is_refused(browser: TestClient) -> None:
    order(browser, cart_with(browser, 1))

    assert_problem(order(browser, cart_with(browser, 2)), 409, "idempotency-key-reused")


def test_the_books_hold_no_address(browser: TestClient, fake_shop: Any) -> None:
    order(browser, cart_with(browser), key="key-00001", email="You@Example.org")
    order(browser, cart_with(browser), key="key-00002", email="you@example.org")

    [first, second] = [wish["customer_id"] for wish, _ in fake_shop.by_key.values()]
    assert first == second
    assert "example" not in first


@pytest.mark.parametrize(
    ("path", "field"),
    [
        pytest.param("/products?page=0", "query.page", id="page-0"),
        pytest.param("/products?page=1001", "query.page", id="page-1001"),
        pytest.param("/products?page_size=101", "query.page_size", id="page-size-101"),
        pytest.param("/products?sort=best", "query.sort", id="unknown-sort"),
        pytest.param("/products?category=A%00", "query.category", id="nul-in-category"),
        pytest.param("/products/0", "path.product_id", id="product-0"),
        pytest.param("/products/2147483648", "path.product_id", id="product-beyond-int"),
        pytest.param("/search", "query.q", id="no-words"),
        pytest.param("/search?q=" + "x" * 201, "query.q", id="too-many-words"),
        pytest.param("/search?q=a%00b", "query.q", id="nul-in-words"),
        pytest.param("/recommendations?product_ids=1,x", "query.product_ids", id="no-number"),
        pytest.param("/orders/1", "path.order_id", id="no-uuid"),
    ],
)
def test_what_is_out_of_bounds_is_told_by_field(browser: TestClient, path: str, field: str) -> None:
    body = assert_problem(browser.get(V1 + path), 422, "invalid-request")

    assert [one["field"] for one in body["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"product_id": 1, "quantity": 0}, "body.quantity", id="nothing"),
        pytest.param({"product_id": 1, "quantity": 100}, "body.quantity", id="too-many"),
        pytest.param({"product_id": 1, "quantity": "2"}, "body.quantity", id="text"),
        pytest.param({"product_id": 1, "quantity": True}, "body.quantity", id="yes"),
        pytest.param({"product_id": 1, "quantity": 1.5}, "body.quantity", id="half"),
        pytest.param({"product_id": 1, "price": 1}, "body.price", id="unknown-field"),
        pytest.param({"quantity": 1}, "body.product_id", id="missing"),
    ],
)
def test_a_wrong_line_is_refused_by_field(browser: TestClient, body: Any, field: str) -> None:
    cart_id = browser.post(f"{V1}/carts").json()["cart_id"]

    answer = browser.post(f"{V1}/carts/{cart_id}/lines", json=body)

    assert [one["field"] for one in assert_problem(answer, 422, "invalid-request")["errors"]] == [field]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        pytest.param({"email": "you"}, "body.email", id="no-address"),
        pytest.param({"email": "y\x00u@example.org"}, "body.email", id="nul-in-address"),
        pytest.param({"payment_token": "tok\x00"}, "body.payment_token", id="nul-in-token"),
        pytest.param({"expected_total_cents": -1}, "body.expected_total_cents", id="below-nothing"),
        pytest.param({"coupon": "x"}, "body.coupon", id="unknown-field"),
    ],
)
def test_a_wrong_order_is_refused_by_field(browser: TestClient, fake_shop: Any, body: Any, field: str) -> None:
    answer = order(browser, cart_with(browser), **body)

    assert [one["field"] for one in assert_problem(answer, 422, "invalid-request")["errors"]] == [field]
    assert not fake_shop.by_key


@pytest.mark.parametrize("key", [None, "short", "x" * 129, "with blank"])
def test_an_order_needs_a_proper_key(browser: TestClient, key: str | None) -> None:
    headers = {} if key is None else {"Idempotency-Key": key}

    answer = browser.post(f"{V1}/orders", json={**ORDER, "cart_id": cart_with(browser)}, headers=headers)

    assert_problem(answer, 422, "invalid-request")


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        pytest.param(b'{"product_id": 1}', "text/plain", id="text"),
        pytest.param(b"product_id=1", "application/x-www-form-urlencoded", id="form"),
        pytest.param(b'{"product_id": ', "application/json", id="half"),
        pytest.param(b"\xff\xfe", "application/json", id="no-utf-8"),
        pytest.param(b"", "application/json", id="empty"),
    ],
)
def test_a_body_that_is_no_json_is_refused(browser: TestClient, content: bytes, kind: str) -> None:
    path = f"{V1}/carts/{cart_with(browser)}/lines"

    assert_problem(browser.post(path, content=content, headers={"Content-Type": kind}), 422, "invalid-request")


def test_json_too_deep_to_read_is_refused(browser: TestClient) -> None:
    path = f"{V1}/carts/{cart_with(browser)}/lines"

    answer = browser.post(path, content=b"[" * 5000, headers={"Content-Type": "application/json"})

    assert_problem(answer, 400, "bad-request")


def test_a_body_that_is_too_long_is_refused(browser: TestClient) -> None:
    answer = browser.post(f"{V1}/carts", content=b"x" * 70_000)

    assert_problem(answer, 413, "body-too-long")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/products", "GET"),
        ("PATCH", "/carts/x", "DELETE, GET"),
        ("GET", "/orders", "POST"),
        ("TRACE", "/carts", "POST"),
    ],
)
def test_a_wrong_method_is_told_which_would_do(browser: TestClient, method: str, path: str, allowed: str) -> None:
    answer = browser.request(method, V1 + path)

    assert_problem(answer, 405, "method-not-allowed")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize("path", ["/api", "/api/v1", "/api/v1/nothing", "/api/v2/products"])
def test_a_path_that_is_not_there_is_a_problem_in_the_api(browser: TestClient, path: str) -> None:
    assert_problem(browser.get(path), 404, "not-found")


@pytest.mark.parametrize(
    ("away", "path"),
    [
        ("catalog", "/products"),
        ("catalog", "/search?q=x"),
        ("checkout", "/orders/00000000-0000-4000-8000-000000000001"),
    ],
)
def test_a_service_that_is_away_is_a_503_with_a_hint(browser: TestClient, fake_shop: Any, away: str, path: str) -> None:
    fake_shop.away = {away}

    answer = browser.get(V1 + path)

    assert_problem(answer, 503, "upstream-unavailable")
    assert answer.headers["retry-after"] == "1"


def test_no_cookie_is_read_or_set(browser: TestClient) -> None:
    answer = browser.post(f"{V1}/carts", headers={"Cookie": "shop=whatever"})

    assert answer.status_code == 201
    assert "set-cookie" not in answer.headers


def test_every_operation_documents_its_errors_as_problems(browser: TestClient) -> None:
    document = browser.get("/openapi.json").json()

    operations = [one for methods in document["paths"].values() for one in methods.values()]
    assert len({one["operationId"] for one in operations}) == len(operations) == 12
    for operation in operations:
        assert operation["summary"] and operation["description"]
        assert {"422", "429", "500", "503"} <= set(operation["responses"])
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                assert list(response["content"]) == ["application/problem+json"]
    assert set(document["paths"]["/api/v1/orders"]["post"]["responses"]) >= {"200", "201", "402", "404", "409"}
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_the_document_is_valid_and_the_api_keeps_to_it(gateway: Any) -> None:
    schema = openapi.from_asgi("/openapi.json", gateway)
    schema.validate()

    for found in schema.get_all_operations():

        @settings(max_examples=5, deadline=None, derandomize=True, database=None, suppress_health_check=UNSUITABLE)
        @given(case=found.ok().as_strategy())
        def keeps_to_it(case: Any) -> None:
            case.call_and_validate()

        keeps_to_it()
