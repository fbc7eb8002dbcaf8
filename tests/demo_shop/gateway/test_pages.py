from __future__ import annotations

import re
from typing import Any

import pytest
from starlette.testclient import TestClient

from demo_shop.gateway.rest import Rest

BROWSE = ["/", "/category/toys", "/search?q=thing", "/product/1", "/docs"]


def csrf_of(page: str) -> str:
    found = re.search(r'name="csrf" value="([0-9a-f]+)"', page)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("path", [*BROWSE, "/search", "/cart"])
def test_pages_are_html_with_a_title_and_a_main_part(browser: TestClient, path: str) -> None:
    answer = browser.get(path)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert re.search(r"<title>[^<]+ · Foresail Outfitters</title>", answer.text)
    assert answer.text.count("<main") == 1
    assert answer.text.count("<h1") == 1


@pytest.mark.parametrize("path", BROWSE)
def test_head_tells_the_same_headers_without_a_body(browser: TestClient, path: str) -> None:
    browser.get(path)  # with a session from here on
    got, asked = browser.get(path), browser.head(path)

    assert asked.status_code == 200
    assert asked.content == b""
    assert asked.headers["content-length"] == got.headers["content-length"] == str(len(got.content))


@pytest.mark.parametrize("path", [*BROWSE, "/cart"])
def test_pages_need_no_inline_script_or_style_and_nothing_from_elsewhere(browser: TestClient, path: str) -> None:
    page = browser.get(path).text

    assert not re.search(r"<script(?![^>]*\bsrc=)", page)
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=", page)
    assert not re.search(r'(?:src|href|action)="(?:https?:)?//', page)


@pytest.mark.parametrize("path", [*BROWSE, "/cart"])
def test_every_input_has_a_label_and_every_image_an_alt(browser: TestClient, path: str) -> None:
    page = browser.get(path).text

    for field in re.findall(r"<(?:input|select)[^>]*>", page):
        if 'type="hidden"' not in field:
            name = re.search(r'\bid="([^"]+)"', field)
            assert name is not None and f'for="{name[1]}"' in page, field
    assert all("alt=" in image for image in re.findall(r"<img[^>]*>", page))


def test_a_crowd_at_the_front_page_asks_the_catalogue_once(browser: TestClient, fake_shop: Any) -> None:
    for _ in range(20):
        browser.get("/")

    assert fake_shop.calls_of("catalog")["GET /categories"] == 1


def test_a_cached_page_carries_each_visitors_own_token_and_cart(
    browser: TestClient, another_browser: TestClient, fake_shop: Any
) -> None:
    first = browser.get("/product/1")
    browser.post("/cart/add", data={"csrf": csrf_of(first.text), "product_id": "1", "quantity": "3"})

    mine, theirs = browser.get("/product/1").text, another_browser.get("/product/1").text

    assert fake_shop.calls_of("catalog")["GET /products/1"] == 2  # the page, and whether it may go into the cart
    assert csrf_of(mine) == csrf_of(first.text) != csrf_of(theirs)
    assert '<span class="badge">3<' in mine
    assert "badge" not in theirs


def test_a_visitor_gets_one_session_cookie_and_keeps_it(browser: TestClient) -> None:
    first, second = browser.get("/"), browser.get("/")

    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=Lax" in first.headers["set-cookie"]
    assert "set-cookie" not in second.headers
    assert second.headers["cache-control"] == "private, no-cache"


def test_a_page_with_a_new_session_is_stored_nowhere(browser: TestClient) -> None:
    assert browser.get("/").headers["cache-control"] == "no-store"


def test_hostile_names_are_shown_as_text(browser: TestClient, fake_shop: Any) -> None:
    hostile = '<script>alert(1)</script>" onload="x'
    fake_shop.names[1] = hostile

    for path in ("/", "/category/toys", "/product/1", "/search?q=script"):
        page = browser.get(path).text
        assert "<script>alert" not in page
        assert 'onload="x' not in page.replace("&#34;", "_")
        assert "&lt;" in page


@pytest.mark.parametrize(
    "query", ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{{ 7*7 }}", "%00', '--"]
)
def test_a_hostile_query_is_shown_as_text(browser: TestClient, query: str) -> None:
    page = browser.get("/search", params={"q": query}).text

    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "49" not in page


def test_the_words_looked_for_are_marked(browser: TestClient) -> None:
    assert "<mark>Thing</mark> number 1" in browser.get("/search?q=thing").text


def test_a_query_with_control_characters_is_refused(browser: TestClient) -> None:
    answer = browser.get("/search", params={"q": "a\x00b"})

    assert answer.status_code == 422
    assert "q: write up to 200 characters of plain text" in answer.text


def test_why_a_price_is_what_it_is_is_told(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 1120

    page = browser.get("/product/1").text

    assert "€11.20" in page
    assert "Many people want it" in page
    assert "+€1.20" in page


def test_a_lower_price_shows_what_it_was(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.prices[1] = 900

    assert re.search(r'<s class="was">.*€10\.00</s>', browser.get("/product/1").text)


@pytest.mark.parametrize(
    ("available", "told"),
    [
        pytest.param(50, "In stock", id="enough"),
        pytest.param(5, "Only 5 left", id="few"),
        pytest.param(0, "Out of stock", id="none"),
    ],
)
def test_stock_is_told_in_words(browser: TestClient, fake_shop: Any, available: int, told: str) -> None:
    fake_shop.stock[1] = available

    page = browser.get("/product/1").text

    assert told in page
    assert ("Add to cart</button>" in page) == (available > 0)


@pytest.mark.parametrize("path", ["/", "/category/toys", "/product/1", "/search?q=thing"])
def test_pages_go_out_without_the_optional_parts_that_are_away(browser: TestClient, fake_shop: Any, path: str) -> None:
    fake_shop.away = {"pricing", "recommendations", "inventory"}
    fake_shop.prices = dict.fromkeys(fake_shop.names, 1500)

    answer = browser.get(path)

    assert answer.status_code == 200
    assert "€10.00" in answer.text  # the base price
    assert "€15.00" not in answer.text
    assert "Often bought together" not in answer.text


def test_parts_that_did_not_come_are_counted(browser: TestClient, fake_shop: Any, frame: Any) -> None:
    fake_shop.away = {"pricing"}

    browser.get("/product/1")

    part = {"part": "dynamic_pricing"}
    # The product's own price and those of the recommended ones.
    assert frame.metrics.registry.get_sample_value("shop_page_parts_missing_total", part) == 2.0


@pytest.fixture
def long_rests(monkeypatch: pytest.MonkeyPatch) -> None:
    """What rests in the gateway that is made after this rests longer than any test."""
    monkeypatch.setattr("demo_shop.gateway.storefront.Rest", lambda: Rest(failures_in_a_row=3, rest_s=1000.0))


def test_a_service_that_is_away_is_soon_left_alone(long_rests: None, browser: TestClient, fake_shop: Any) -> None:
    fake_shop.away = {"inventory"}

    for product_id in range(1, 7):
        browser.get(f"/product/{product_id}")

    assert fake_shop.calls_of("inventory")["GET /stock"] == 3


def test_a_dimmed_page_asks_for_no_optional_part(dimmer: Any, browser: TestClient, fake_shop: Any) -> None:
    dimmer.level = 0.0

    page = browser.get("/product/1").text

    assert not fake_shop.calls_of("pricing")
    assert not fake_shop.calls_of("recommendations")
    assert "/images/" not in page
    assert "placeholder.svg" in page


@pytest.mark.parametrize(
    "path", ["/product/99", "/product/0", "/product/x", "/product/99999999999", "/category/none", "/nothing/at/all"]
)
def test_what_is_not_there_is_a_friendly_404(browser: TestClient, path: str) -> None:
    answer = browser.get(path)

    assert answer.status_code == 404
    assert "We cannot find that" in answer.text
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "content-security-policy" in answer.headers


@pytest.mark.parametrize("page", ["0", "1001", "-1", "x", "1e3"])
def test_pages_beyond_the_bounds_are_not_there(browser: TestClient, page: str) -> None:
    assert browser.get("/category/toys", params={"page": page}).status_code == 404


def test_without_a_catalogue_a_new_page_says_try_again(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.away = {"catalog"}

    answer = browser.get("/product/1")

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert "Try again in a second." in answer.text


def test_who_asks_too_often_is_told_in_words_when_to_come_back(gateway_with: Any) -> None:
    gateway = gateway_with(SHOP_RATE_LIMIT_RPS="0.01", SHOP_RATE_LIMIT_BURST="1")
    with TestClient(gateway, headers={"User-Agent": "Mozilla/5.0"}) as hasty:
        hasty.get("/")

        answer = hasty.get("/")

    assert answer.status_code == 429
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "You are very quick" in answer.text
    assert f"Try again in {answer.headers['retry-after']} seconds." in answer.text


def test_without_a_catalogue_a_known_page_is_still_shown(browser: TestClient, fake_shop: Any) -> None:
    browser.get("/product/1")
    fake_shop.away = {"catalog"}

    assert browser.get("/product/1").status_code == 200


def test_a_wrong_method_is_told_which_would_do(browser: TestClient) -> None:
    answer = browser.delete("/checkout")

    assert answer.status_code == 405
    assert answer.headers["allow"] == "GET, HEAD, POST"
    assert "text/html" in answer.headers["content-type"]


def test_a_mistake_of_ours_is_a_page_with_its_security_headers(
    browser: TestClient, fake_shop: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def break_down(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("demo_shop.gateway.assets.product_image", break_down)

    answer = browser.get("/images/1.svg?in=toys")

    assert answer.status_code == 500
    assert "Something went wrong here" in answer.text
    assert "content-security-policy" in answer.headers


def test_a_long_list_has_pages_that_keep_the_sorting(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.names = {one: f"Thing {one}" for one in range(1, 101)}  # 50 toys: 24 + 24 + 2

    page = browser.get("/category/toys?sort=-price&page=2").text

    assert "Page 2 of 3" in page
    assert 'href="/category/toys?sort=-price&amp;page=3"' in page
    assert '<option value="-price" selected>' in page


def test_pictures_are_drawn_without_asking_anybody_and_kept_for_a_day(browser: TestClient, fake_shop: Any) -> None:
    answer = browser.get("/images/5.svg?in=toys")

    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "public, max-age=86400"
    assert not fake_shop.calls
    assert "set-cookie" not in answer.headers


def test_a_picture_without_its_category_is_the_same_picture(browser: TestClient) -> None:
    assert browser.get("/images/5.svg").content == browser.get("/images/5.svg?in=toys").content


@pytest.mark.parametrize("path", ["/images/99.svg", "/images/x.svg", "/images/1.svg?in=%3Cx%3E", "/static/..%2Fapp.py"])
def test_pictures_and_files_that_are_not_there_are_404(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_the_style_sheet_of_a_page_is_kept_until_it_changes(browser: TestClient) -> None:
    found = re.search(r'href="(/static/shop\.css\?v=\w+)"', browser.get("/").text)
    assert found is not None

    sheet = browser.get(found[1])
    again = browser.get(found[1], headers={"If-None-Match": sheet.headers["etag"]})

    assert "immutable" in sheet.headers["cache-control"]
    assert again.status_code == 304
