import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from demo_shop.pricing.demand import Fading, Ordered, OrderUnreadable, RecentDemand, read_order


def test_an_order_weighs_half_after_a_half_life() -> None:
    demand = RecentDemand(half_life_s=60.0)
    demand.add(Ordered("a", ((7, 8),)), 1000.0)

    assert demand.units(1060.0, least=0.1) == {7: 4.0}
    assert demand.total(1120.0) == 2.0


def test_orders_add_up_per_product_and_for_the_shop() -> None:
    demand = RecentDemand(half_life_s=60.0)
    demand.add(Ordered("a", ((7, 8), (9, 1))), 1000.0)
    demand.add(Ordered("b", ((7, 3),)), 1060.0)

    assert demand.units(1060.0, least=0.1) == {7: 7.0, 9: 0.5}
    assert demand.total(1060.0) == 7.5


def test_an_order_that_is_told_twice_counts_once() -> None:
    demand = RecentDemand(half_life_s=60.0)
    demand.add(Ordered("a", ((7, 8),)), 1000.0)
    demand.add(Ordered("a", ((7, 8),)), 1000.5)

    assert demand.units(1000.0, least=0.1) == {7: 8.0}


def test_what_no_longer_counts_is_forgotten() -> None:
    demand = RecentDemand(half_life_s=60.0)
    demand.add(Ordered("a", ((7, 1),)), 1000.0)

    assert demand.units(1120.0, least=0.5) == {}


@given(st.lists(st.tuples(st.floats(0.1, 100.0), st.floats(0.0, 600.0)), min_size=2, max_size=10))
def test_the_order_of_arrival_does_not_matter(parts: list[tuple[float, float]]) -> None:
    forwards, backwards = Fading(60.0), Fading(60.0)
    for amount, at_s in parts:
        forwards.add(amount, at_s)
    for amount, at_s in reversed(parts):
        backwards.add(amount, at_s)

    assert forwards.at(600.0) == pytest.approx(backwards.at(600.0), rel=1e-9)


def test_reads_what_an_order_took() -> None:
    order = {"id": "a", "state": "confirmed", "lines": [{"product_id": 7, "quantity": 2, "unit_price_cents": 100}]}

    assert read_order(json.dumps(order)) == Ordered("a", ((7, 2),))


def test_a_rejected_order_took_nothing() -> None:
    assert read_order(json.dumps({"id": "a", "state": "rejected", "lines": [{"product_id": 7, "quantity": 2}]})) is None


def test_the_synthetic_probe_moves_no_price() -> None:
    order = {"id": "a", "state": "confirmed", "synthetic": True, "lines": [{"product_id": 7, "quantity": 2}]}
    assert read_order(json.dumps(order)) is None


@pytest.mark.parametrize(
    "text", [None, b"", b"{", b"[]", b"7", b'{"id": "a"}', b'{"id": "a", "lines": [{}]}', b'{"id": "a", "lines": [7]}']
)
def test_what_is_no_order_is_refused(text: bytes | None) -> None:
    with pytest.raises(OrderUnreadable):
        read_order(text)
