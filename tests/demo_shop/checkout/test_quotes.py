import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest

from demo_shop.checkout.errors import PriceChanged, TotalTooLarge, UnknownProducts
from demo_shop.checkout.model import Line, PricedLine, Quote, Wish
from demo_shop.checkout.quotes import BasePrices, CurrentPrices, check_expectation, quote
from demo_shop.frame.database import Database
from demo_shop.frame.problems import StoreUnavailable, UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream

LINES = (Line(1, 2), Line(2, 1))


class Known:
    """Prices that somebody knows."""

    def __init__(self, prices: Mapping[int, int]) -> None:
        self._prices = prices

    async def prices_of(self, product_ids: Sequence[int]) -> Mapping[int, int]:
        return {product_id: self._prices[product_id] for product_id in product_ids if product_id in self._prices}


class Pricing:
    """The pricing service, answering or not."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers, self.asked = list(answers), 0

    async def get(self, path: str, **options: Any) -> Answer:
        self.asked += 1
        answer = self._answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


class Catalogue:
    """The products' table, readable or not."""

    def __init__(self, prices: Mapping[int, int]) -> None:
        self.prices, self.reads, self.lost = dict(prices), 0, False

    async def rows(self, query: str, parameters: Any = None) -> list[dict[str, int]]:
        self.reads += 1
        if self.lost:
            raise StoreUnavailable("no database")
        return [{"id": i, "base_price_cents": self.prices[i]} for i in parameters[0] if i in self.prices]


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def priced(*prices: tuple[int, object]) -> Answer:
    return Answer(200, {"items": [{"product_id": i, "price_cents": p} for i, p in prices]}, {})


def base_prices(catalogue: Catalogue, clock: Clock) -> BasePrices:
    return BasePrices(cast(Database, catalogue), clock)


def test_current_prices_are_charged() -> None:
    quoted = asyncio.run(quote(LINES, Known({1: 90, 2: 300}), Known({1: 100, 2: 300})))

    assert quoted == Quote((PricedLine(1, 2, 90), PricedLine(2, 1, 300)), degraded=False)
    assert quoted.total_cents == 2 * 90 + 300


def test_base_prices_stand_in_for_what_pricing_does_not_say_and_the_order_is_marked() -> None:
    quoted = asyncio.run(quote(LINES, Known({1: 90}), Known({1: 100, 2: 310})))

    assert quoted == Quote((PricedLine(1, 2, 90), PricedLine(2, 1, 310)), degraded=True)


def test_products_that_nobody_knows_are_named() -> None:
    with pytest.raises(UnknownProducts) as unknown:
        asyncio.run(quote(LINES, Known({}), Known({1: 100})))

    assert unknown.value.product_ids == (2,)


def test_a_total_beyond_the_books_is_refused() -> None:
    with pytest.raises(TotalTooLarge):
        asyncio.run(quote((Line(1, 2),), Known({1: 2**30}), Known({})))


def test_who_expected_less_is_told_the_new_total_and_who_expected_as_much_or_more_is_not() -> None:
    quoted = Quote((PricedLine(1, 1, 500),), degraded=False)

    for expected in (None, 500, 501):
        check_expectation(Wish("ann", (Line(1, 1),), "tok_visa", expected), quoted)
    with pytest.raises(PriceChanged, match="500"):
        check_expectation(Wish("ann", (Line(1, 1),), "tok_visa", 499), quoted)


def test_what_is_no_price_in_pricings_answer_is_unknown() -> None:
    pricing = Pricing(priced((1, 90), (2, 0), (3, "12"), (4, None)), Answer(200, ["odd"], {}), Answer(500, None, {}))
    prices = CurrentPrices(cast(Upstream, pricing), Clock())

    assert [asyncio.run(prices.prices_of([1, 2])) for _ in range(3)] == [{1: 90}, {}, {}]


def test_nobody_waits_for_pricing_for_two_seconds_after_it_did_not_answer() -> None:
    pricing, clock = Pricing(UpstreamUnavailable("pricing", "gone"), priced((1, 90))), Clock()
    prices = CurrentPrices(cast(Upstream, pricing), clock)

    assert asyncio.run(prices.prices_of([1])) == {}
    clock.now_s = 1.9
    assert asyncio.run(prices.prices_of([1])) == {}
    assert pricing.asked == 1
    clock.now_s = 2.1
    assert asyncio.run(prices.prices_of([1])) == {1: 90}


def test_base_prices_are_read_once_a_minute() -> None:
    catalogue, clock = Catalogue({1: 100, 2: 200}), Clock()
    prices = base_prices(catalogue, clock)

    assert asyncio.run(prices.prices_of([1, 2, 3])) == {1: 100, 2: 200}
    catalogue.prices[1] = 150
    assert asyncio.run(prices.prices_of([1, 2])) == {1: 100, 2: 200}
    assert catalogue.reads == 1
    clock.now_s = 61.0
    assert asyncio.run(prices.prices_of([1])) == {1: 150}


def test_remembered_base_prices_serve_while_no_database_answers() -> None:
    catalogue, clock = Catalogue({1: 100}), Clock()
    prices = base_prices(catalogue, clock)
    asyncio.run(prices.prices_of([1]))

    catalogue.lost, clock.now_s = True, 61.0

    assert asyncio.run(prices.prices_of([1])) == {1: 100}
    with pytest.raises(StoreUnavailable):
        asyncio.run(prices.prices_of([1, 2]))


def test_a_product_taken_out_of_the_catalogue_is_forgotten() -> None:
    catalogue, clock = Catalogue({1: 100}), Clock()
    prices = base_prices(catalogue, clock)
    asyncio.run(prices.prices_of([1]))

    del catalogue.prices[1]
    clock.now_s = 61.0

    assert asyncio.run(prices.prices_of([1])) == {}
