"""Price books: what they hold, how they follow each other, and that everybody reads the same from them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.pricing.assortment import Assortment
from demo_shop.pricing.book import Book, Market, from_text, to_text
from demo_shop.pricing.settings import PriceSettings

SETTINGS = PriceSettings()
# Product 1 has 90 % of all sales, product 2 the rest, product 3 none.
ASSORTMENT = Assortment({1: 2000, 2: 5000, 3: 1000}, {1: 900, 2: 100, 3: 0})
STOCK = {1: 1000, 2: 1000, 3: 1000}


def market(
    units: dict[int, float] | None = None, stock: dict[int, int] | None = STOCK, usual_cover: float | None = None
) -> Market:
    return Market(units or {}, sum((units or {}).values()), stock, usual_cover)


def price_of(book: Book, product_id: int, assortment: Assortment = ASSORTMENT) -> int:
    quote = book.quote(product_id, assortment, SETTINGS)
    assert quote is not None
    return quote.price_cents


def test_a_quiet_shop_has_an_empty_book() -> None:
    book = Book().advanced(1, 100.0, market(), ASSORTMENT, SETTINGS)

    assert book.entries == {}
    assert [price_of(book, product_id) for product_id in (1, 2, 3)] == [2000, 5000, 1000]


def test_an_unknown_product_has_no_price() -> None:
    assert Book().quote(4, ASSORTMENT, SETTINGS) is None


def test_scarce_stock_shows_in_the_next_book() -> None:
    book = Book().advanced(1, 100.0, market(stock={**STOCK, 1: 3}), ASSORTMENT, SETTINGS)

    assert price_of(book, 1) == 2059  # on its way to 20.84 by 3 % at most


def test_a_surge_of_one_product_leaves_the_others_alone() -> None:
    book = Book().advanced(1, 100.0, market({3: 50.0}), ASSORTMENT, SETTINGS)

    assert price_of(book, 3) > 1000
    # Of 50 units 45 were to be product 1's and 5 product 2's: both sell slower than usual.
    assert price_of(book, 1) < 2000
    assert price_of(book, 2) <= 5000


def test_sales_in_usual_proportion_move_no_price_however_many() -> None:
    book = Book().advanced(1, 100.0, market({1: 900.0, 2: 100.0}, {1: 10**6, 2: 10**6, 3: 10**6}), ASSORTMENT, SETTINGS)

    assert [price_of(book, product_id) for product_id in (1, 2, 3)] == [2000, 5000, 1000]


def test_much_more_stock_than_others_have_lowers_the_price() -> None:
    usual_cover = ASSORTMENT.usual_cover(STOCK)
    before = Book().advanced(1, 100.0, market(usual_cover=usual_cover), ASSORTMENT, SETTINGS)

    book = before.advanced(2, 102.0, market(stock={**STOCK, 2: 100_000}, usual_cover=usual_cover), ASSORTMENT, SETTINGS)

    assert price_of(before, 2) == 5000
    assert price_of(book, 2) < 5000


def test_within_a_step_of_ten_seconds_a_price_moves_once_by_its_pace() -> None:
    sold_out = market(stock={**STOCK, 1: 0})
    book, path = Book(), []
    for tick in range(10):
        book = book.advanced(tick, 100.0 + 2.0 * tick, sold_out, ASSORTMENT, SETTINGS)
        path.append(price_of(book, 1))

    # 100 to 108 s are one step, 110 to 118 s the next; 6 % of 20.00 is reached with the second.
    assert path == [2059] * 5 + [2119] * 5


def test_a_price_goes_back_when_the_reason_is_gone() -> None:
    book = Book().advanced(1, 100.0, market(stock={**STOCK, 1: 3}), ASSORTMENT, SETTINGS)

    book = book.advanced(2, 110.0, market(), ASSORTMENT, SETTINGS)
    assert price_of(book, 1) == 2000
    book = book.advanced(3, 120.0, market(), ASSORTMENT, SETTINGS)
    assert book.entries == {}


def test_a_clock_set_back_does_not_give_a_second_step() -> None:
    sold_out = market(stock={**STOCK, 1: 0})
    book = Book().advanced(1, 119.0, sold_out, ASSORTMENT, SETTINGS)

    book = book.advanced(2, 105.0, sold_out, ASSORTMENT, SETTINGS)

    assert price_of(book, 1) == 2059


def test_unknown_demand_is_said_of_every_price() -> None:
    book = Book().advanced(1, 100.0, Market(None, None, STOCK), ASSORTMENT, SETTINGS)

    quote = book.quote(1, ASSORTMENT, SETTINGS)

    assert quote is not None
    assert quote.price_cents == 2000
    assert [effect.because for effect in quote.explanation] == [
        "Recent demand is not known, so it does not change the price"
    ]


def test_a_product_that_is_sold_no_more_leaves_the_book() -> None:
    book = Book().advanced(1, 100.0, market(stock={**STOCK, 1: 0}), ASSORTMENT, SETTINGS)

    book = book.advanced(2, 102.0, market(stock={**STOCK, 1: 0}), Assortment({2: 5000}, {2: 1}), SETTINGS)

    assert book.entries == {}


@given(
    st.dictionaries(st.integers(1, 3), st.floats(0.0, 1000.0)),
    st.dictionaries(st.integers(1, 3), st.integers(0, 100_000), min_size=1),
    st.none() | st.floats(0.01, 1000.0),
)
def test_who_reads_a_book_quotes_what_its_writer_quotes(
    units: dict[int, float], stock: dict[int, int], usual_cover: float | None
) -> None:
    book = Book().advanced(1, 100.0, market(units, stock, usual_cover), ASSORTMENT, SETTINGS)
    book = book.advanced(2, 112.0, market(units, stock, usual_cover), ASSORTMENT, SETTINGS)

    read = from_text(to_text(book))

    for product_id in (1, 2, 3):
        assert read.quote(product_id, ASSORTMENT, SETTINGS) == book.quote(product_id, ASSORTMENT, SETTINGS)
        entry = read.entries.get(product_id)
        assert entry is None or entry.price_cents == price_of(book, product_id)


@pytest.mark.parametrize(
    "text", ["", "{", "7", "[]", "[1,2]", '[1,1,1.0,null,true,null,{"a":[1,2,3,4]}]', "[1,1,1,1,1,1,7]"]
)
def test_what_is_no_book_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        from_text(text)


def test_products_that_nobody_bought_yet_are_expected_alike() -> None:
    assortment = Assortment({1: 100, 2: 100}, {1: 0, 2: 0})

    assert [assortment.popularity_share(product_id) for product_id in (1, 2)] == [0.5, 0.5]
    assert list(assortment.expecting(0.5, 1.0)) == [1, 2]


def test_a_rush_for_one_product_does_not_make_the_others_look_slow() -> None:
    shop = Assortment(dict.fromkeys(range(100), 1000), dict.fromkeys(range(100), 1))
    units = dict.fromkeys(range(100), 2.0)

    # 200 units are usual. With 10,000 of product 7 it counts for 20, and three times its hundredth of the total:
    # the total t is 198 + 20 + 0.03 t = 225 in the end.
    total = shop.usual_total({**units, 7: 10_000.0}, 10_198.0, reserve=20.0)

    assert shop.usual_total(units, 200.0, reserve=20.0) == 200.0
    assert total == pytest.approx(224.7, abs=1.0)


def test_only_products_that_sell_enough_are_expected() -> None:
    # Of 10 units 9 are usual for product 1, one for product 2, none for product 3.
    assert list(ASSORTMENT.expecting(2.0, 10.0)) == [1]
    assert list(ASSORTMENT.expecting(0.5, 10.0)) == [1, 2]
    assert list(ASSORTMENT.expecting(0.5, 0.0)) == []
