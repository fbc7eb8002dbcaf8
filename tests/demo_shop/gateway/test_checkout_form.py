from __future__ import annotations

from demo_shop.gateway.carts import CartLine
from demo_shop.gateway.checkout_form import Intents, customer_of, read_buyer

OLD, NEW = "o" * 32, "n" * 32
LINES = (CartLine(1, 2), CartLine(7, 1))


def intents(*keys: str) -> Intents:
    return Intents(keys, new_key=lambda: "web-key")


def test_what_was_sealed_is_opened_again() -> None:
    intent = intents(NEW).new("session", LINES, 3000, now_s=100.0)

    assert intents(NEW).opened(intents(NEW).sealed(intent), "session", now_s=200.0) == intent


def test_a_form_signed_before_the_key_changed_still_orders() -> None:
    sealed = intents(OLD).sealed(intents(OLD).new("session", LINES, 3000, now_s=100.0))

    assert intents(NEW, OLD).opened(sealed, "session", now_s=200.0) is not None
    assert intents(NEW).opened(sealed, "session", now_s=200.0) is None


def test_a_changed_form_orders_nothing() -> None:
    cheap = intents(OLD).sealed(intents(OLD).new("session", LINES, 1, now_s=100.0))
    dear = intents(NEW).sealed(intents(NEW).new("session", LINES, 3000, now_s=100.0))
    forged = cheap.rpartition(".")[0] + "." + dear.rpartition(".")[2]

    for sealed in (forged, dear[:-1], dear + "x", "", "é", "." * 10):
        assert intents(NEW).opened(sealed, "session", now_s=200.0) is None


def test_a_form_serves_its_own_session_for_an_hour() -> None:
    sealed = intents(NEW).sealed(intents(NEW).new("session", LINES, 3000, now_s=100.0))

    assert intents(NEW).opened(sealed, "another", now_s=200.0) is None
    assert intents(NEW).opened(sealed, "session", now_s=3700.0) is not None
    assert intents(NEW).opened(sealed, "session", now_s=3701.0) is None


def test_every_form_has_a_key_of_its_own() -> None:
    first, second = (Intents([NEW]).new("session", LINES, 3000, now_s=100.0) for _ in range(2))

    assert first.key != second.key
    assert 8 <= len(first.key) <= 128


def test_a_full_cart_fits_into_the_form() -> None:
    fifty = tuple(CartLine(2**31 - 1 - n, 99) for n in range(50))

    sealed = intents(NEW).sealed(intents(NEW).new("session", fifty, 2**31 - 1, now_s=100.0))

    opened = intents(NEW).opened(sealed, "session", now_s=100.0)
    assert opened is not None and opened.lines == fifty
    assert len(sealed) < 4096


def test_blanks_around_what_was_written_do_not_count() -> None:
    form = {"email": " you@example.org ", "name": "You", "street": "Quay 1", "town": "12345 Port", "payment": "card"}

    buyer = read_buyer(form)

    assert not buyer.errors
    assert (buyer.email, buyer.payment_token) == ("you@example.org", "tok_visa")


def test_an_empty_form_is_told_every_field() -> None:
    assert set(read_buyer({}).errors) == {"email", "name", "street", "town", "payment"}


def test_one_address_is_one_customer_however_it_is_written() -> None:
    assert customer_of("You@Example.org ") == customer_of("you@example.org") != customer_of("me@example.org")
