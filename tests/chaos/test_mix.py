import numpy as np
import pytest

from chaos.load.catalogue import Catalogue
from chaos.load.mix import MIXES, Mix, MixInvalid, Operation, Visits, draw_visits, mix_named

GOODS = Catalogue(products=1000, popular=tuple(range(901, 1001)), categories=("lamps", "rugs"), words=("brass", "wool"))


def drawn(mix="shop", arrivals=4000, seed=3, goods=GOODS):
    return draw_visits(np.arange(arrivals) / 10.0, mix_named(mix), goods, np.random.default_rng(seed))


def test_a_page_is_one_request_and_a_checkout_opens_fills_looks_and_orders():
    # Lines: 1 × 0.6 + 2 × 0.25 + 3 × 0.15 = 1.55 on average; and open, view, order.
    assert MIXES["orders"].requests_per_arrival == pytest.approx(4.55)
    assert MIXES["browse"].requests_per_arrival == pytest.approx(1.0)
    assert Mix({Operation.PRODUCT: 3.0, Operation.CART: 1.0}).requests_per_arrival == pytest.approx(1.5)


def test_the_rate_for_so_many_orders_is_known():
    # Twenty orders a second take 91 requests a second of nothing but orders.
    assert 20.0 * MIXES["orders"].requests_per_order == pytest.approx(91.0)
    # Half of the arrivals order: (1 + 4.55) / 2 requests per arrival, one order per two arrivals.
    assert mix_named("product=1,checkout=1").requests_per_order == pytest.approx(5.55)
    assert MIXES["browse"].requests_per_order is None


def test_visits_make_as_many_requests_as_the_mix_says():
    visits = drawn()

    requests = sum(visits[i].planned_requests for i in range(len(visits)))

    assert requests / len(visits) == pytest.approx(MIXES["shop"].requests_per_arrival, rel=0.03)


def test_operations_come_in_their_shares():
    shares = np.bincount(drawn().operation, minlength=6) / 4000

    assert shares == pytest.approx([0.13, 0.22, 0.31, 0.20, 0.09, 0.05], abs=0.025)


def test_the_same_seed_draws_the_same_visits_and_another_seed_others():
    first, again, other = drawn(), drawn(), drawn(seed=4)

    assert [first[i] for i in range(500)] == [again[i] for i in range(500)]
    assert [first[i] for i in range(500)] != [other[i] for i in range(500)]


def test_few_products_are_asked_for_often():
    visits = drawn("product=1")
    asked = np.sort(np.bincount(visits.product[~visits.bot, 0], minlength=1001))[::-1]

    # With exponent 0.9 the 100 best sellers of 1000 have Σ k^-0.9 (k ≤ 100) / Σ k^-0.9 (k ≤ 1000) = 6.4 / 10.5.
    best_sellers = sum(np.isin(visits.product[~visits.bot, 0], GOODS.popular)) / np.count_nonzero(~visits.bot)
    assert best_sellers == pytest.approx(0.6, abs=0.05)
    assert asked[0] > 20 * np.median(asked[asked > 0])


def test_crawlers_ask_for_all_products_alike_and_never_order():
    visits = drawn()

    crawled = visits.product[visits.bot, 0]
    assert np.mean(np.isin(crawled, GOODS.popular)) == pytest.approx(0.1, abs=0.05)
    assert set(visits.operation[visits.bot]) <= {0, 1, 2, 3}
    assert np.mean(visits.bot[visits.operation <= 3]) == pytest.approx(0.15, abs=0.03)


def test_a_cart_never_holds_a_product_twice():
    for goods in (GOODS, Catalogue(3, (1, 2, 3), ("a",), ("b",))):
        visits = drawn("orders", 500, goods=goods)
        for i in range(len(visits)):
            products = [product for product, _ in visits[i].lines]
            assert len(set(products)) == len(products) >= 1
            assert all(1 <= product <= goods.products for product in products)


def test_visitors_come_back_for_about_six_pages():
    visits = drawn()

    pages = np.bincount(visits.visitor)
    assert pages.min() >= 1
    assert pages[:400].mean() == pytest.approx(6.0, abs=1.0)


def test_visits_survive_a_file(tmp_path):
    visits = drawn(arrivals=50)

    visits.write(tmp_path / "visits.npz")
    read = Visits.read(tmp_path / "visits.npz")

    assert [read[i] for i in range(50)] == [visits[i] for i in range(50)]


def test_a_mix_can_be_written_out():
    assert mix_named("product=3, checkout=1").shares == {Operation.PRODUCT: 3.0, Operation.CHECKOUT: 1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("shopping", "use shop, browse, orders"),
        ("product=much", "share of product is no number"),
        ("product=-1,cart=2", "must not be negative"),
        ("product=0", "one must be above 0"),
        ("product=inf", "must not be negative"),
    ],
)
def test_a_wrong_mix_is_refused(text, message):
    with pytest.raises(MixInvalid, match=message):
        mix_named(text)


def test_a_shop_with_two_products_is_too_small():
    with pytest.raises(MixInvalid, match="at least 3"):
        drawn("orders", 10, goods=Catalogue(2, (1, 2), ("a",), ("b",)))
