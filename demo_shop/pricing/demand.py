"""How much of each product was ordered of late: sums in which every order weighs half as much after each half-life."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass


class OrderUnreadable(Exception):
    """An entry of the stream that is no order; the message says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Ordered:
    """What one order took."""

    order_id: str
    units: tuple[tuple[int, int], ...]  # (product, quantity)


def read_order(text: bytes | str | None) -> Ordered | None:
    """What the order took; None for one that was rejected, or that the synthetic probe placed: it wants nothing.

    Raises `OrderUnreadable`.
    """
    try:
        order = json.loads(text or b"")
        if order.get("state") == "rejected" or order.get("synthetic"):
            return None
        units = tuple((int(line["product_id"]), int(line["quantity"])) for line in order["lines"])
        return Ordered(str(order["id"]), units)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise OrderUnreadable(f"{type(error).__name__}: {error}") from error


class Fading:
    """A sum whose parts fade; equal for equal additions, in whatever order they come."""

    __slots__ = ("_at_s", "_half_life_s", "_value")

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s, self._value, self._at_s = half_life_s, 0.0, 0.0

    def add(self, amount: float, at_s: float) -> None:
        later_s = max(at_s, self._at_s)
        self._value = self.at(later_s) + amount * 0.5 ** ((later_s - at_s) / self._half_life_s)
        self._at_s = later_s

    def at(self, now_s: float) -> float:
        return float(self._value * 0.5 ** (max(0.0, now_s - self._at_s) / self._half_life_s))


class RecentDemand:
    """Fading units per product and of the whole shop. An order that is delivered twice counts once."""

    _MOST_REMEMBERED = 20_000  # orders; the relay repeats within seconds

    def __init__(self, half_life_s: float) -> None:
        self._half_life_s = half_life_s
        self._products: dict[int, Fading] = {}
        self._total = Fading(half_life_s)
        self._seen: OrderedDict[str, None] = OrderedDict()

    def add(self, order: Ordered, at_s: float) -> None:
        if order.order_id in self._seen:
            return
        self._seen[order.order_id] = None
        if len(self._seen) > self._MOST_REMEMBERED:
            self._seen.popitem(last=False)
        for product_id, quantity in order.units:
            self._products.setdefault(product_id, Fading(self._half_life_s)).add(quantity, at_s)
            self._total.add(quantity, at_s)

    def total(self, now_s: float) -> float:
        return self._total.at(now_s)

    def units(self, now_s: float, least: float) -> dict[int, float]:
        """Products that still count for `least` units; the others are forgotten."""
        alive = dict(self._alive(now_s, least))
        self._products = {product_id: self._products[product_id] for product_id in alive}
        return alive

    def _alive(self, now_s: float, least: float) -> Iterator[tuple[int, float]]:
        for product_id, fading in self._products.items():
            units = fading.at(now_s)
            if units >= least:
                yield product_id, units
