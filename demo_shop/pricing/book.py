"""The price book: what all pricing processes agree on, advanced every two seconds by whichever of them is first.

A book holds the inputs of every product whose price is not simply its base price. Whoever has the book and the base
prices knows every price: `price` is a pure function of them. One value is carried from book to book, the price at the
end of the step before (the anchor), from which the pace is measured.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from demo_shop.pricing.assortment import Assortment
from demo_shop.pricing.core import PriceInputs, PriceQuote, price, price_cents
from demo_shop.pricing.settings import PriceSettings

#: Fewer fading units than this change no price.
LEAST_UNITS = 0.5


@dataclass(frozen=True, slots=True)
class Market:
    """What is known of demand and stock at one moment; None: unknown."""

    units: Mapping[int, float] | None
    total_units: float | None
    available: Mapping[int, int] | None
    usual_cover: float | None = None  # pieces in stock per past order, of the middle product


@dataclass(frozen=True, slots=True)
class Entry:
    """The inputs of one product's price, and the price they give."""

    anchor_cents: int
    price_cents: int
    units: float
    available: int | None


@dataclass(frozen=True, slots=True)
class Book:
    """`tick` numbers the books; `step` the spans of 10 s within which a price moves by no more than its pace."""

    tick: int = 0
    step: int = 0
    as_of_s: float = 0.0
    total_units: float | None = None  # None: demand is unknown
    stock_known: bool = False
    usual_cover: float | None = None
    entries: Mapping[int, Entry] = field(default_factory=dict)

    def quote(self, product_id: int, assortment: Assortment, settings: PriceSettings) -> PriceQuote | None:
        """The price of a product; None: there is no such product."""
        if product_id not in assortment:
            return None
        entry = self.entries.get(product_id)
        if entry is None:
            return price(self._unremarkable(product_id, assortment), settings)
        return price(self._inputs(product_id, entry, assortment), settings)

    def advanced(
        self, tick: int, now_s: float, market: Market, assortment: Assortment, settings: PriceSettings
    ) -> Book:
        """The next book. A product without an entry has its base price."""
        step = max(self.step, math.floor(now_s / settings.step_s))
        book = Book(tick, step, now_s, market.total_units, market.available is not None, market.usual_cover)
        units = market.units or {}
        entries = {}
        for product_id in self._remarkable(market, assortment, settings):
            base_cents = assortment.base_cents[product_id]
            available = None if market.available is None else market.available.get(product_id)
            anchor_cents = self._anchor(product_id, base_cents, step)
            entry = Entry(anchor_cents, base_cents, units.get(product_id, 0.0), available)
            cents = price_cents(book._inputs(product_id, entry, assortment), settings)
            if cents != base_cents or anchor_cents != base_cents:
                entries[product_id] = replace(entry, price_cents=cents)
        return replace(book, entries=entries)

    def _anchor(self, product_id: int, base_cents: int, step: int) -> int:
        before = self.entries.get(product_id)
        if before is None:
            return base_cents
        return before.price_cents if step > self.step else before.anchor_cents

    def _inputs(self, product_id: int, entry: Entry, assortment: Assortment) -> PriceInputs:
        known = self.total_units is not None
        return PriceInputs(
            base_cents=assortment.base_cents[product_id],
            anchor_cents=entry.anchor_cents,
            units=entry.units if known else None,
            usual_units=self._usual_units(product_id, assortment),
            available=entry.available,
            usual_available=self._usual_available(product_id, assortment),
        )

    def _unremarkable(self, product_id: int, assortment: Assortment) -> PriceInputs:
        """Inputs that leave the base price as it is: usual demand and usual stock, where they are known."""
        base_cents = assortment.base_cents[product_id]
        usual_units = self._usual_units(product_id, assortment)
        units = None if self.total_units is None else usual_units
        available = _ENOUGH if self.stock_known else None
        return PriceInputs(base_cents, base_cents, units, usual_units, available, None)

    def _usual_units(self, product_id: int, assortment: Assortment) -> float:
        return assortment.popularity_share(product_id) * (self.total_units or 0.0)

    def _usual_available(self, product_id: int, assortment: Assortment) -> float | None:
        return None if self.usual_cover is None else assortment.usual_available(product_id, self.usual_cover)

    def _remarkable(self, market: Market, assortment: Assortment, settings: PriceSettings) -> set[int]:
        """Products whose price may differ from the base price."""
        found = set(self.entries)
        found.update(market.units or ())
        found.update(assortment.expecting(LEAST_UNITS, market.total_units or 0.0))
        found.update(_unusually_stocked(market, assortment, settings))
        return {product_id for product_id in found if product_id in assortment}


# So many that no product which nobody orders is short of them.
_ENOUGH = 1_000_000_000


def _unusually_stocked(market: Market, assortment: Assortment, settings: PriceSettings) -> set[int]:
    """Products with little or with too much in stock, though they may sell as usual."""
    if market.available is None:
        return set()
    few = settings.few_units + settings.cover * LEAST_UNITS  # those that sell more are looked at anyway
    scarce = {product_id for product_id, available in market.available.items() if available < few}
    if market.usual_cover is None:
        return scarce
    orders = assortment.padded_popularity
    most = settings.plenty * market.usual_cover
    too_many = {one for one, available in market.available.items() if available > most * orders.get(one, math.inf)}
    return scarce | too_many


def to_text(book: Book) -> str:
    """The book as JSON; numbers come back exactly."""
    entries = {
        product_id: [entry.anchor_cents, entry.price_cents, entry.units, entry.available]
        for product_id, entry in book.entries.items()
    }
    head = [book.tick, book.step, book.as_of_s, book.total_units, book.stock_known, book.usual_cover]
    return json.dumps([*head, entries], separators=(",", ":"))


def from_text(text: bytes | str) -> Book:
    """Raises `ValueError` for what `to_text` did not write."""
    try:
        tick, step, as_of_s, total_units, stock_known, usual_cover, listed = json.loads(text)
        entries = {int(product_id): Entry(*entry) for product_id, entry in listed.items()}
        return Book(tick, step, as_of_s, total_units, stock_known, usual_cover, entries)
    except (TypeError, AttributeError) as error:
        raise ValueError(f"no price book: {error}") from error
