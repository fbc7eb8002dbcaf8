"""A whole purchase by forms, as a browser without JavaScript does it, and everything that may come between."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from starlette.testclient import TestClient

BUYER = {"email": "you@example.org", "name": "You", "street": "Quay 1", "town": "12345 Port", "payment": "card"}


def hidden_in(page: str) -> dict[str, str]:
    """The hidden fields of the page's form for ordering, or of its first form."""
    form = re.search(r'<form[^>]*action="/checkout".*?</form>', page, re.DOTALL)
    source = form[0] if form else page
    return {
        name: unescape(value)
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', source)
    }


def put_into_cart(browser: TestClient, product_id: int = 1, quantity: int = 2) -> Any:
    csrf = hidden_in(browser.get(f"/product/{product_id}").text)["csrf"]
    return browser.post("/cart/add", data={"csrf": csrf, "product_id": product_id, "quantity": quantity})


def checkout_form(browser: TestClient) -> dict[str, str]:
    """What the browser would send from the checkout page, filled in."""
    return hidden_in(browser.get("/checkout").text) | BUYER


def test_a_whole_purchase_from_the_front_page_to_the_confirmation(browser: TestClient, fake_shop: Any) -> None:
    csrf = hidden_in(browser.get("/").text)["csrf"]
    cart = browser.post("/cart/add", data={"csrf": csrf, "product_id": "1"})
    put_into_cart(browser, 2, 3)

    form = checkout_form(browser)
    confirmation = browser.post("/checkout", data=form)

    assert "Added to your cart: Thing number 1." in cart.text
    assert confirmation.url.path.startswith("/order/")
    assert confirmation.history[0].status_code == 303
    assert "Thank you, it is ordered." in confirmation.text
    assert "€40.00" in confirmation.text  # 1 + 3 things for 10.00 each
    assert "Thing number 2" in confirmation.text
    assert "badge" not in confirmation.text
    [order] = fake_shop.orders.values()
    assert [(one["product_id"], one["quantity"]) for one in order["lines"]] == [(1, 1), (2, 3)]
    assert "There is nothing in it yet." in browser.get("/cart").text


def test_quantities_change_and_lines_go(browser: TestClient) -> None:
    put_into_cart(browser, 1, 2)
    csrf = hidden_in(put_into_cart(browser, 2, 1).text)["csrf"]

    more = browser.post("/cart/update", data={"csrf": csrf, "product_id": "1", "quantity": "5"})
    less = browser.post("/cart/update", data={"csrf": csrf, "product_id": "1", "quantity": "0"})

    assert "€60.00" in more.text  # 5 + 1 things
    assert "€10.00" in less.text
    assert "Thing number 1" not in less.text.split("Goes well with it")[0]
    assert '<span class="badge">1<' in less.text


@pytest.mark.parametrize("path", ["/cart/add", "/cart/update", "/checkout"])
@pytest.mark.parametrize("token", [None, "", "0" * 64], ids=["none", "empty", "made-up"])
def test_a_form_without_the_visitors_token_changes_nothing(
    browser: TestClient, fake_shop: Any, path: str, token: str | None
) -> None:
    browser.get("/")
    form = {"product_id": "1", "quantity": "1"} | ({} if token is None else {"csrf": token})

    answer = browser.post(path, data=form)

    assert answer.status_code == 403
    assert "That form was not from this visit" in answer.text
    assert not fake_shop.carts
    assert not fake_shop.by_key


def test_the_token_of_another_visitor_is_worth_nothing(browser: TestClient, another_browser: TestClient) -> None:
    theirs = hidden_in(another_browser.get("/product/1").text)["csrf"]
    browser.get("/")

    answer = browser.post("/cart/add", data={"csrf": theirs, "product_id": "1", "quantity": "1"})

    assert answer.status_code == 403


def test_the_checkout_form_of_another_visitor_orders_nothing(
    browser: TestClient, another_browser: TestClient, fake_shop: Any
) -> None:
    put_into_cart(browser)
    put_into_cart(another_browser)
    stolen = checkout_form(another_browser)["intent"]

    answer = browser.post("/checkout", data=checkout_form(browser) | {"intent": stolen})

    assert answer.status_code == 409
    assert not fake_shop.orders


def test_a_double_click_orders_once(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    form = checkout_form(browser)

    first, second = browser.post("/checkout", data=form), browser.post("/checkout", data=form)

    assert len(fake_shop.orders) == 1
    assert first.url == second.url
    assert "Thank you" in second.text


def test_two_checkout_pages_are_two_orders(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    browser.post("/checkout", data=checkout_form(browser))
    put_into_cart(browser)
    browser.post("/checkout", data=checkout_form(browser))

    assert len(fake_shop.orders) == 2


def test_what_was_on_the_screen_is_ordered_and_what_came_later_stays_in_the_cart(
    browser: TestClient, fake_shop: Any
) -> None:
    put_into_cart(browser, 1, 2)
    form = checkout_form(browser)
    put_into_cart(browser, 2, 1)  # in another tab

    browser.post("/checkout", data=form)

    [order] = fake_shop.orders.values()
    assert [one["product_id"] for one in order["lines"]] == [1]
    assert "Thing number 2" in browser.get("/cart").text


def test_an_unknown_outcome_offers_to_look_again_and_orders_once(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    fake_shop.lost_answers = 1

    unclear = browser.post("/checkout", data=checkout_form(browser))
    again = browser.post("/checkout", data=hidden_in(unclear.text))

    assert unclear.status_code == 503
    assert "We are still working on it." in unclear.text
    assert "Thank you, it is ordered." in again.text
    assert len(fake_shop.orders) == 1


def test_a_changed_price_is_shown_before_anything_is_ordered(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 1, 2)
    form = checkout_form(browser)
    fake_shop.prices[1] = 1100

    asked = browser.post("/checkout", data=form)
    orders_before = len(fake_shop.orders)
    confirmed = browser.post("/checkout", data=hidden_in(asked.text) | BUYER)

    assert asked.status_code == 409
    assert "The price has changed while you were here." in asked.text
    assert "It was €20.00; now it comes to <b>€22.00</b>" in asked.text
    assert 'value="you@example.org"' in asked.text
    assert orders_before == 0
    assert "€22.00" in confirmed.text
    assert "Thank you" in confirmed.text


def test_a_declined_payment_lets_another_be_chosen(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)

    declined = browser.post("/checkout", data=checkout_form(browser) | {"payment": "declined"})
    paid = browser.post("/checkout", data=hidden_in(declined.text) | BUYER)

    assert declined.status_code == 402
    assert "The payment was declined. Nothing was ordered or charged" in declined.text
    assert "Thank you" in paid.text
    assert len(fake_shop.orders) == 1


def test_a_form_shown_again_has_the_prices_of_now(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 1, 2)
    form = checkout_form(browser)
    fake_shop.prices[1] = 900

    declined = browser.post("/checkout", data=form | {"payment": "declined"})
    paid = browser.post("/checkout", data=hidden_in(declined.text) | BUYER)

    assert "It was €20.00; now it comes to <b>€18.00</b>" in declined.text
    assert "Order and pay €18.00" in declined.text
    assert "€18.00" in paid.text


def test_a_total_that_only_checkout_knows_yet_is_shown_as_a_change(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 1, 2)
    form = checkout_form(browser)
    fake_shop.prices[1] = 1100
    fake_shop.away = {"pricing"}  # for the page; the fake checkout knows prices by itself

    asked = browser.post("/checkout", data=form)

    assert "Order and pay €22.00" in asked.text
    assert "Prices changed just now</th><td>+€2.00" in asked.text


def test_what_is_sold_out_is_named(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 3, 2)
    form = checkout_form(browser)
    fake_shop.stock[3] = 1

    answer = browser.post("/checkout", data=form)

    assert answer.status_code == 409
    assert "Somebody was quicker" in answer.text
    assert "<li>Thing number 3</li>" in answer.text
    assert "Only 1 left" in browser.get("/cart").text


def test_a_form_sent_again_with_other_words_is_not_another_order(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    form = checkout_form(browser)
    browser.post("/checkout", data=form)

    answer = browser.post("/checkout", data=form | {"email": "me@example.org"})

    assert answer.status_code == 422
    assert len(fake_shop.orders) == 1


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        pytest.param("email", "", "Write the address", id="no-email"),
        pytest.param("email", "you", "This is no e-mail address", id="no-address"),
        pytest.param("email", "a b@example.org", "This is no e-mail address", id="blank-within"),
        pytest.param("name", " ", "Write the name", id="blank-name"),
        pytest.param("town", "x" * 101, "At most 100 characters.", id="too-long"),
        pytest.param("street", "a\x00b", "Write plain text on one line.", id="nul"),
        pytest.param("payment", "gold", "Choose how to pay.", id="unknown-payment"),
    ],
)
def test_a_slip_in_the_form_is_told_beside_its_field(
    browser: TestClient, fake_shop: Any, field: str, value: str, told: str
) -> None:
    put_into_cart(browser)

    answer = browser.post("/checkout", data=checkout_form(browser) | {field: value})
    corrected = browser.post("/checkout", data=hidden_in(answer.text) | BUYER)

    assert answer.status_code == 422
    assert told in answer.text
    assert f'id="{field}-error"' in answer.text
    assert "Thank you" in corrected.text


def test_a_hostile_address_is_shown_as_text(browser: TestClient) -> None:
    put_into_cart(browser)

    answer = browser.post("/checkout", data=checkout_form(browser) | {"email": '"><script>alert(1)</script>'})

    assert "<script>alert" not in answer.text


def test_an_hour_old_form_orders_nothing(browser: TestClient, frame: Any, fake_shop: Any) -> None:
    put_into_cart(browser)
    form = checkout_form(browser)
    frame.ahead_s += 3601.0

    answer = browser.post("/checkout", data=form)

    assert answer.status_code == 409
    assert "Open the checkout again." in answer.text
    assert not fake_shop.orders


def test_checkout_of_an_empty_cart_leads_to_the_cart(browser: TestClient) -> None:
    answer = browser.get("/checkout")

    assert answer.url.path == "/cart"
    assert "There is nothing in it yet." in answer.text


def test_a_pending_order_looks_again_by_itself(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    fake_shop.new_state = "pending"

    page = browser.post("/checkout", data=checkout_form(browser))
    [order] = fake_shop.orders.values()
    order["state"] = "confirmed"
    later = browser.get(page.url.path)

    assert '<meta http-equiv="refresh" content="2">' in page.text
    assert "refresh" not in later.text
    assert "Thank you" in later.text


def test_a_rejected_order_says_why(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    page = browser.post("/checkout", data=checkout_form(browser))
    [order] = fake_shop.orders.values()
    order.update(state="rejected", reason="out-of-stock 1")

    assert "sold out a moment before" in browser.get(page.url.path).text


def test_an_order_shows_numbers_for_names_while_the_catalogue_is_away(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    form = checkout_form(browser)
    fake_shop.away = {"catalog"}

    confirmation = browser.post("/checkout", data=form)

    assert "Thank you" in confirmation.text
    assert "Product 1" in confirmation.text


def test_an_order_goes_through_although_the_cart_cannot_be_emptied(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser)
    form = checkout_form(browser)
    fake_shop.away = {"cart"}

    assert "Thank you" in browser.post("/checkout", data=form).text


@pytest.mark.parametrize("path", ["/order/00000000-0000-0000-0000-000000000099", "/order/1", "/order/' OR 1=1 --"])
def test_an_order_that_is_not_there_is_404(browser: TestClient, path: str) -> None:
    assert browser.get(path).status_code == 404


def test_what_is_not_sold_does_not_go_into_the_cart(browser: TestClient, fake_shop: Any) -> None:
    csrf = hidden_in(browser.get("/").text)["csrf"]

    answer = browser.post("/cart/add", data={"csrf": csrf, "product_id": "99", "quantity": "1"})

    assert answer.status_code == 404
    assert not fake_shop.carts


def test_a_product_that_is_sold_no_more_stays_out_of_the_order(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 1, 1)
    put_into_cart(browser, 2, 1)
    del fake_shop.names[2]

    cart = browser.get("/cart").text
    confirmation = browser.post("/checkout", data=checkout_form(browser)).text

    assert "It is not sold any more" in cart
    assert "Thank you" in confirmation
    [order] = fake_shop.orders.values()
    assert [one["product_id"] for one in order["lines"]] == [1]


@pytest.mark.parametrize(
    ("field", "value"),
    [("quantity", "0"), ("quantity", "100"), ("quantity", "x"), ("quantity", "١"), ("product_id", str(2**31))],
)
def test_numbers_out_of_their_bounds_are_refused_by_name(browser: TestClient, field: str, value: str) -> None:
    csrf = hidden_in(browser.get("/product/1").text)["csrf"]
    form = {"csrf": csrf, "product_id": "1", "quantity": "1"} | {field: value}

    answer = browser.post("/cart/add", data=form)

    assert answer.status_code == 422
    assert f"{field}: give a whole number from 1 to" in answer.text


def test_a_full_cart_says_so(browser: TestClient, fake_shop: Any) -> None:
    put_into_cart(browser, 1, 1)
    [lines] = fake_shop.carts.values()
    lines.update(dict.fromkeys(range(100, 149), 1))  # 50 products with the first

    answer = put_into_cart(browser, 2, 1)

    assert answer.status_code == 409
    assert "At most 50 products." in answer.text


def test_something_that_is_no_form_is_refused(browser: TestClient) -> None:
    browser.get("/")

    answer = browser.post("/cart/add", json={"product_id": 1})

    assert answer.status_code == 415


def test_the_cart_and_the_checkout_show_prices_of_the_day_however_dim_it_is(
    dimmer: Any, browser: TestClient, fake_shop: Any
) -> None:
    fake_shop.prices[1] = 1200
    dimmer.level = 0.0
    put_into_cart(browser, 1, 1)

    assert "€12.00" in browser.get("/cart").text
    assert "€12.00" in browser.get("/checkout").text


def test_without_carts_the_cart_says_try_again_and_browsing_goes_on(browser: TestClient, fake_shop: Any) -> None:
    fake_shop.away = {"cart", "checkout"}

    assert browser.get("/cart").status_code == 503
    assert browser.get("/").status_code == 200
