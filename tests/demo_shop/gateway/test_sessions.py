"""Signed cookies, CSRF tokens and cart ids."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.gateway.sessions import RENEW_S, SESSION_S, Session, Sessions

OLD, NEW, STRANGE = "old-key-" * 4, "new-key-" * 4, "strange-" * 4
NOW_S = 1_750_000_000.0


def sessions(*keys: str) -> Sessions:
    numbers = count(1)
    return Sessions(keys or (NEW,), new_id=lambda: f"id-number-{next(numbers):012d}")


def cookie_of(shop: Sessions, session: Session, https: bool = False) -> str:
    """What the browser sends back."""
    return shop.set_cookie(session, https).split(";")[0]


def test_a_visitor_without_a_cookie_gets_a_fresh_session_to_be_sent() -> None:
    session = sessions().open(None, https=False, now_s=NOW_S)

    assert session == Session("id-number-000000000001", "id-number-000000000002", 1_750_000_000, send=True)


def test_a_session_comes_back_as_it_was_sent() -> None:
    shop = sessions()
    session = shop.open(None, False, NOW_S)

    back = shop.open(f"other=1; {cookie_of(shop, session)}; another=2", False, NOW_S + 60.0)

    assert (back.session_id, back.cart_id, back.send) == (session.session_id, session.cart_id, False)


def test_over_http_the_cookie_is_for_loopback_and_hidden_from_scripts() -> None:
    shop = sessions()
    name_and_value, *attributes = shop.set_cookie(shop.open(None, False, NOW_S), https=False).split("; ")

    assert name_and_value.startswith("shop=")
    assert attributes == ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Lax"]


def test_over_https_the_cookie_belongs_to_this_host_alone() -> None:
    shop = sessions()
    name_and_value, *attributes = shop.set_cookie(shop.open(None, True, NOW_S), https=True).split("; ")

    assert name_and_value.startswith("__Host-shop=")
    assert attributes == ["Path=/", "Max-Age=604800", "HttpOnly", "SameSite=Lax", "Secure"]


def test_a_cookie_planted_over_http_is_not_taken_over_https() -> None:
    shop = sessions()
    planted = cookie_of(shop, shop.open(None, False, NOW_S))

    assert shop.open(planted, https=True, now_s=NOW_S).send


@pytest.mark.parametrize("age_s", [SESSION_S, SESSION_S + 1.0, -61.0])
def test_a_session_that_is_too_old_or_from_the_future_is_replaced(age_s: float) -> None:
    shop = sessions()
    session = shop.open(None, False, NOW_S)

    assert shop.open(cookie_of(shop, session), False, NOW_S + age_s).session_id != session.session_id


def test_a_session_in_use_is_dated_anew_once_a_day_and_keeps_its_cart() -> None:
    shop = sessions()
    session = shop.open(None, False, NOW_S)

    assert not shop.open(cookie_of(shop, session), False, NOW_S + RENEW_S - 1.0).send
    renewed = shop.open(cookie_of(shop, session), False, NOW_S + RENEW_S)
    assert renewed == Session(session.session_id, session.cart_id, 1_750_086_400, send=True)
    much_later = shop.open(cookie_of(shop, renewed), False, NOW_S + SESSION_S + 60.0)
    assert much_later.cart_id == session.cart_id


def test_no_character_of_a_cookie_can_be_changed() -> None:
    shop = sessions()
    session = shop.open(None, False, NOW_S)
    name, _, value = cookie_of(shop, session).partition("=")
    # The last character of base64 holds bits that do not count.
    for place in range(len(value) - 1):
        tampered = value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1 :]
        assert shop.open(f"{name}={tampered}", False, NOW_S).session_id != session.session_id


@given(st.text(max_size=300))
def test_whatever_a_cookie_says_a_visitor_gets_a_session(text: str) -> None:
    assert sessions().open(f"shop={text}", False, NOW_S).send
    assert sessions().open(text, False, NOW_S).send


def test_one_cookie_of_the_name_that_is_not_ours_does_not_hide_ours() -> None:
    shop = sessions()
    session = shop.open(None, False, NOW_S)

    assert shop.open(f"shop=planted; {cookie_of(shop, session)}", False, NOW_S).session_id == session.session_id


def test_a_cart_id_is_no_session_though_the_same_key_signed_it() -> None:
    shop = sessions()
    as_cart = shop.sign_cart_id(f"id-number-000000000001.id-number-000000000002.{int(NOW_S)}")

    assert shop.open(f"shop={as_cart}", False, NOW_S).send


def test_after_a_change_of_keys_old_sessions_forms_and_carts_are_still_good() -> None:
    before, after = sessions(OLD), sessions(NEW, OLD)
    session = before.open(None, False, NOW_S)

    assert after.open(cookie_of(before, session), False, NOW_S).session_id == session.session_id
    assert after.csrf_is_right(session, before.csrf_token(session))
    assert after.read_cart_id(before.sign_cart_id("a-cart")) == "a-cart"


def test_the_first_key_signs() -> None:
    both, new_alone, old_alone = sessions(NEW, OLD), sessions(NEW), sessions(OLD)
    session = both.open(None, False, NOW_S)

    assert not new_alone.open(cookie_of(both, session), False, NOW_S).send
    assert old_alone.open(cookie_of(both, session), False, NOW_S).send
    assert new_alone.csrf_is_right(session, both.csrf_token(session))
    assert new_alone.read_cart_id(both.sign_cart_id("a-cart")) == "a-cart"


def test_a_key_that_was_taken_away_signs_nothing_any_more() -> None:
    session = sessions(STRANGE).open(None, False, NOW_S)

    assert not sessions(NEW, OLD).csrf_is_right(session, sessions(STRANGE).csrf_token(session))
    assert sessions(NEW, OLD).read_cart_id(sessions(STRANGE).sign_cart_id("a-cart")) is None


def test_without_a_key_there_are_no_sessions() -> None:
    with pytest.raises(ValueError, match="SHOP_SESSION_KEY"):
        Sessions(())


def test_a_form_needs_the_token_of_its_own_session() -> None:
    shop = sessions()
    mine, yours = shop.open(None, False, NOW_S), shop.open(None, False, NOW_S)

    assert shop.csrf_is_right(mine, shop.csrf_token(mine))
    assert not shop.csrf_is_right(mine, shop.csrf_token(yours))
    assert shop.csrf_token(mine) != shop.csrf_token(yours)


@pytest.mark.parametrize("presented", [None, "", "0" * 64, "ü", "x" * 10_000])
def test_a_wrong_csrf_token_is_wrong_and_no_error(presented: str | None) -> None:
    shop = sessions()

    assert not shop.csrf_is_right(shop.open(None, False, NOW_S), presented)


def test_csrf_tokens_fit_into_an_attribute() -> None:
    shop = sessions()

    assert set(shop.csrf_token(shop.open(None, False, NOW_S))) <= set("0123456789abcdef")


@pytest.mark.parametrize("signed", ["", "a-cart", "a-cart.", "a-cart.AAAA", ".", "ü.ü", "x" * 10_000, "\ud800"])
def test_a_cart_id_that_we_did_not_sign_is_none(signed: str) -> None:
    assert sessions().read_cart_id(signed) is None


def test_cart_ids_are_not_guessed() -> None:
    shop = Sessions((NEW,))
    ids = {shop.new_cart_id() for _ in range(1000)}

    # 18 random bytes are 24 characters: 144 bits.
    assert len(ids) == 1000
    assert {len(cart_id) for cart_id in ids} == {24}
    assert shop.read_cart_id(shop.sign_cart_id(next(iter(ids)))) in ids
