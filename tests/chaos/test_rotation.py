"""How long silent pods stay in rotation, as it is measured."""

import random
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from chaos.operator_bench.failover import Clocks
from chaos.operator_bench.rotation import (
    Departure,
    Endpoint,
    How,
    RotationFailed,
    departures,
    figure,
    hung_one,
    settled,
)

CART_1, CART_2 = Endpoint("cart", "cart-1", "node-1"), Endpoint("cart", "cart-2", "node-2")
ONLY = Endpoint("pricing", "pricing-1", "node-1")


class FakeShop:
    """Pods that fall silent leave `after_s` later; those in `stuck` never do."""

    def __init__(self, after_s: float = 2.5, stuck: frozenset[Endpoint] = frozenset()) -> None:
        self.now_s = 100.0
        self.after_s, self.stuck = after_s, stuck
        self.silent: frozenset[Endpoint] = frozenset()
        self.since_s = 0.0
        self.restless_until_s = 0.0

    @property
    def clocks(self) -> Clocks:
        return Clocks(lambda: self.now_s, self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now_s += seconds

    def endpoints(self) -> frozenset[Endpoint]:
        gone = self.silent - self.stuck if self.now_s - self.since_s >= self.after_s else frozenset()
        return frozenset({CART_1, CART_2, ONLY}) - gone

    def missing(self) -> str | None:
        return "cart has 1 of 2 ready" if self.now_s < self.restless_until_s else None

    @contextmanager
    def silence(self, failing: frozenset[Endpoint]) -> Iterator[None]:
        self.silent, self.since_s = failing, self.now_s
        yield
        self.silent = frozenset()


def found(shop: FakeShop, failing: frozenset[Endpoint]) -> list[Departure]:
    made = departures(shop, How.DEAD_NODE, failing, lambda: shop.silence(failing), random.Random(1), shop.clocks)
    return list(made)


def test_a_departure_is_timed_from_the_failure() -> None:
    (one,) = found(FakeShop(after_s=2.5), frozenset({CART_1}))

    assert (one.service, one.pod, one.last) == ("cart", "cart-1", False)
    assert one.left_s == pytest.approx(2.5, abs=0.03)


def test_the_last_endpoint_of_a_service_is_told_apart() -> None:
    cart, pricing = found(FakeShop(stuck=frozenset({ONLY})), frozenset({CART_1, ONLY}))

    assert not cart.last and cart.left_s is not None
    assert pricing.last and pricing.left_s is None


def test_only_pods_with_a_peer_are_made_to_hang() -> None:
    assert {hung_one(FakeShop(), random.Random(seed)) for seed in range(20)} == {CART_1, CART_2}


def test_a_pod_that_never_left_counts_as_the_limit() -> None:
    rows = [Departure(How.HUNG, "cart", str(n), "node-1", False, left_s) for n, left_s in enumerate((2.0, None))]

    measured = figure(rows, How.HUNG)

    assert measured.value == 75.0 and measured.verdict == "missed"


def test_last_endpoints_are_no_part_of_the_figure() -> None:
    rows = [
        Departure(How.DEAD_NODE, "cart", "1", "node-1", False, 2.0),
        Departure(How.DEAD_NODE, "pricing", "2", "node-1", True, None),
    ]

    assert figure(rows, How.DEAD_NODE).verdict == "aim"
    assert figure(rows[1:], How.DEAD_NODE).verdict == "unknown"


def test_it_waits_for_the_shop_to_come_to_rest() -> None:
    shop = FakeShop()
    shop.restless_until_s = shop.now_s + 30.0

    settled(shop, shop.clocks)

    assert shop.now_s == pytest.approx(130.0, abs=1.0)


def test_a_shop_that_never_rests_is_told_with_what_it_lacks() -> None:
    shop = FakeShop()
    shop.restless_until_s = shop.now_s + 1e6

    with pytest.raises(RotationFailed, match="cart has 1 of 2 ready"):
        settled(shop, shop.clocks)
