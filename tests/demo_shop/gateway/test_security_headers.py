"""What browsers and caches are told about the shop's answers."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.testclient import TestClient

from demo_shop.gateway.security_headers import SecurityHeadersLayer


def headers_of(response: Response, path: str = "/", scheme: str = "http") -> Mapping[str, str]:
    client = TestClient(SecurityHeadersLayer(response), base_url=f"{scheme}://shop.example")
    return dict(client.get(path).headers)


def test_pages_run_no_script_or_style_that_is_not_a_file_of_the_shop() -> None:
    policy = headers_of(HTMLResponse("page"))["content-security-policy"].split("; ")

    assert "default-src 'self'" in policy
    assert "img-src 'self' data:" in policy
    assert "object-src 'none'" in policy
    assert "base-uri 'none'" in policy
    assert "form-action 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert not any("unsafe" in directive for directive in policy)


def test_every_answer_carries_them() -> None:
    headers = headers_of(JSONResponse({"code": "not-found"}, 404))

    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "strict-origin-when-cross-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert "camera=()" in headers["permissions-policy"]
    assert headers["content-type"] == "application/json"


def test_only_over_https_browsers_are_told_to_stay_there() -> None:
    assert "strict-transport-security" not in headers_of(HTMLResponse("page"))
    assert headers_of(HTMLResponse("page"), scheme="https")["strict-transport-security"].startswith("max-age=31536000")


def test_an_answer_keeps_a_header_that_it_brings_itself() -> None:
    client = TestClient(SecurityHeadersLayer(HTMLResponse("page", headers={"Referrer-Policy": "no-referrer"})))

    assert client.get("/").headers.get_list("referrer-policy") == ["no-referrer"]


@pytest.mark.parametrize(
    ("response", "path", "kept"),
    [
        pytest.param(HTMLResponse("page"), "/", "private, no-cache", id="a page carries a token"),
        pytest.param(HTMLResponse("page"), "/cart", "no-store", id="the cart"),
        pytest.param(HTMLResponse("page"), "/checkout", "no-store", id="the checkout"),
        pytest.param(HTMLResponse("page"), "/order/1", "no-store", id="an order"),
        pytest.param(HTMLResponse("page", headers={"Set-Cookie": "a=b"}), "/", "no-store", id="a cookie"),
        pytest.param(JSONResponse({}), "/api/v1/products", None, id="no page"),
        pytest.param(
            Response("", headers={"Cache-Control": "public, max-age=60"}), "/cart", "public, max-age=60", id="its own"
        ),
    ],
)
def test_what_belongs_to_one_visitor_is_not_kept_by_others(response: Response, path: str, kept: str | None) -> None:
    assert headers_of(response, path).get("cache-control") == kept
