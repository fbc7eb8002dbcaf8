from __future__ import annotations

import pytest

from demo_shop.gateway.goods import Category, Offer, Product
from demo_shop.gateway.markup import Hole, Page, Renderer, highlighted, image_url, money, signed_money


@pytest.mark.parametrize(
    ("cents", "text"),
    [
        pytest.param(0, "€0.00", id="nothing"),
        pytest.param(5, "€0.05", id="cents"),
        pytest.param(123_450, "€1,234.50", id="thousands"),
        pytest.param(-250, "−€2.50", id="less"),
    ],
)
def test_money_reads_as_people_write_it(cents: int, text: str) -> None:
    assert money(cents) == text


def test_effects_on_a_price_carry_their_sign() -> None:
    assert (signed_money(100), signed_money(-50)) == ("+€1.00", "−€0.50")


@pytest.mark.parametrize(
    ("text", "query", "marked"),
    [
        pytest.param("Coffee mill", "coffee", "<mark>Coffee</mark> mill", id="any-case"),
        pytest.param("Coffee mill", "mill cof", "<mark>Cof</mark>fee <mark>mill</mark>", id="beginnings-of-words"),
        pytest.param("Windmill", "mill", "Windmill", id="not-inside-words"),
        pytest.param("A <b> & c", "", "A &lt;b&gt; &amp; c", id="no-query"),
        pytest.param("<mark> me", "mark", "&lt;<mark>mark</mark>&gt; me", id="markup-stays-text"),
        pytest.param("a.c abc", "a.c", "a.c abc", id="no-patterns"),
    ],
)
def test_words_of_the_query_are_marked_and_the_rest_is_escaped(text: str, query: str, marked: str) -> None:
    assert str(highlighted(text, query)) == marked


def test_holes_are_filled_with_what_belongs_to_the_visitor() -> None:
    page = Page((b"<i>", b"</i><b>Cart", b"</b>"), (Hole.CSRF, Hole.CART_COUNT))

    assert page.filled("token", 0) == b"<i>token</i><b>Cart</b>"
    assert b'<span class="badge">3<' in page.filled("token", 3)


def test_a_rendered_page_has_the_badge_and_nothing_of_a_visitor() -> None:
    renderer = Renderer(dict.fromkeys(("shop.css", "shop.js", "favicon.svg", "placeholder.svg"), "/x"))

    page = renderer.page("refused.html", title="Oh", text="So.", names=(), links=[("Home", "/")])

    assert page.holes == (Hole.CART_COUNT,)
    assert b"hole-" not in b"".join(page.texts)


def test_the_image_of_a_product_names_its_category_safely() -> None:
    product = Product(7, "s", "n", "b", "d", Category('a"&b', "A"), 100)

    assert image_url(Offer(product)) == "/images/7.svg?in=a%22%26b"
