"""The price of one product: a pure function of its base price, its demand, its stock and the price a step ago.

Every effect is in whole cents, and they add up to the difference from the base price. More demand never lowers a price,
more stock never raises it, and no price leaves the rails.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from demo_shop.pricing.reasons import Effect, Factor, demand_reason, pace_reason, rail_reason, stock_reason
from demo_shop.pricing.settings import PriceSettings

#: Customary last digits by base price: (from cents, so many cents form one round, endings within it).
_ENDINGS = ((10_000, 100, (49, 99)), (1_000, 10, (9,)), (400, 10, (5, 9)))


@dataclass(frozen=True, slots=True)
class PriceInputs:
    """Units are recently ordered ones, each weighing less as it ages; None: unknown."""

    base_cents: int
    anchor_cents: int  # the price at the end of the step before
    units: float | None
    usual_units: float
    available: int | None
    usual_available: float | None  # for a product so popular, judged by the whole shop


@dataclass(frozen=True, slots=True)
class PriceQuote:
    price_cents: int
    explanation: tuple[Effect, ...]


@dataclass(frozen=True, slots=True)
class _Bounds:
    lowest: int
    highest: int

    def clamp(self, cents: int) -> int:
        return min(max(cents, self.lowest), self.highest)


@dataclass(frozen=True, slots=True)
class _Way:
    """From the base price to the price: each factor's effect on the way, in cents."""

    demand: int
    stock: int
    rails: int
    pace: int
    rounding: int
    is_moving: bool  # the pace holds it back, for now
    price_cents: int


def price(inputs: PriceInputs, settings: PriceSettings) -> PriceQuote:
    """The price and why it is not the base price."""
    base = inputs.base_cents
    way = _way(inputs, settings)
    explanation = []
    if way.demand or inputs.units is None:
        because = demand_reason(inputs.units, inputs.usual_units, way.demand, base)
        explanation.append(Effect(Factor.DEMAND, way.demand, because))
    if way.stock or inputs.available is None:
        because = stock_reason(inputs.available, way.stock, base, settings.few_units)
        explanation.append(Effect(Factor.STOCK, way.stock, because))
    if way.rails:
        explanation.append(Effect(Factor.RAILS, way.rails, rail_reason(way.rails, base, settings)))
    if way.pace:
        explanation.append(Effect(Factor.PACE, way.pace, pace_reason(way.is_moving, settings)))
    if way.rounding:
        explanation.append(Effect(Factor.ROUNDING, way.rounding, "Rounded to a customary price"))
    return PriceQuote(way.price_cents, tuple(explanation))


def price_cents(inputs: PriceInputs, settings: PriceSettings) -> int:
    """Only the price, for those who make many."""
    return _way(inputs, settings).price_cents


def _way(inputs: PriceInputs, settings: PriceSettings) -> _Way:
    base = inputs.base_cents
    demand = _share_of(base, demand_effect(inputs, settings))
    stock = _share_of(base, stock_effect(inputs, settings))
    ideal = base + demand + stock
    rails = guard_rails(base, settings)
    allowed = rails.clamp(ideal)
    anchor = rails.clamp(inputs.anchor_cents)  # outside only when the base price itself was changed
    pace = _pace(base, anchor, rails, settings)
    target = _without_small_changes(allowed, base, anchor, settings.least_change * base)
    paced = pace.clamp(target)
    final = _nearest_ending(paced, base, anchor, pace)
    return _Way(demand, stock, allowed - ideal, paced - allowed, final - paced, paced != target, final)


def guard_rails(base_cents: int, settings: PriceSettings) -> _Bounds:
    """The lowest and the highest price there may be, in cents."""
    lowest = math.ceil(base_cents * (1.0 - settings.most_below) - 1e-9)
    highest = math.floor(base_cents * (1.0 + settings.most_above) + 1e-9)
    return _Bounds(max(1, min(lowest, base_cents)), max(highest, base_cents))


def demand_effect(inputs: PriceInputs, settings: PriceSettings) -> float:
    """As a share of the base price; 0 when demand is unknown."""
    if inputs.units is None:
        return 0.0
    chance = settings.demand_chance * math.sqrt(inputs.usual_units + 1.0)  # orders come like drops of rain
    difference = inputs.units - inputs.usual_units
    remarkable = difference - min(max(difference, -chance), chance)
    reference = inputs.usual_units + settings.demand_prior_units
    doublings = math.log2(1.0 + remarkable / reference)
    return min(max(settings.demand_per_doubling * doublings, settings.demand_lowest), settings.demand_highest)


def stock_effect(inputs: PriceInputs, settings: PriceSettings) -> float:
    """As a share of the base price; 0 when the stock is unknown."""
    if inputs.available is None:
        return 0.0
    enough = enough_stock(inputs.units, inputs.usual_units, settings)
    if inputs.available < enough:
        return settings.stock_highest * (1.0 - max(0, inputs.available) / enough)
    if inputs.usual_available is None:
        return 0.0
    plenty = settings.plenty * max(enough, inputs.usual_available)
    if inputs.available <= plenty:
        return 0.0
    return settings.stock_lowest * min(1.0, math.log2(inputs.available / plenty) / settings.plenty_doublings)


def enough_stock(units: float | None, usual_units: float, settings: PriceSettings) -> float:
    """How many pieces are not few: a reserve, and what sells in the next minutes."""
    return settings.few_units + settings.cover * max(units or 0.0, usual_units)


def _pace(base: int, anchor: int, rails: _Bounds, settings: PriceSettings) -> _Bounds:
    """What can be reached in one step; a cent at least, or the cheapest goods would never move."""
    most = max(1, math.floor(base * settings.most_change + 1e-9))
    return _Bounds(rails.clamp(anchor - most), rails.clamp(anchor + most))


def _without_small_changes(cents: int, base: int, anchor: int, least_cents: float) -> int:
    """Changes of less than `least_cents` are left out; within half of that from the base price it returns there."""
    if abs(cents - base) < least_cents / 2.0:
        return base
    same_side = anchor == base or (anchor > base) == (cents > base)
    return anchor if same_side and abs(cents - anchor) < least_cents else cents


def _nearest_ending(cents: int, base: int, anchor: int, bounds: _Bounds) -> int:
    """The nearest customary price within the bounds; the base price and the price so far count as customary."""
    candidates = {known for known in (base, anchor) if bounds.lowest <= known <= bounds.highest}
    candidates.update(_endings_around(cents, base, bounds))
    return min(candidates, key=lambda candidate: (abs(candidate - cents), candidate))


def _endings_around(cents: int, base: int, bounds: _Bounds) -> Iterator[int]:
    for from_cents, round_cents, endings in _ENDINGS:
        if base >= from_cents:
            start = cents // round_cents * round_cents
            for shift in (-round_cents, 0, round_cents):
                for ending in endings:
                    if bounds.lowest <= start + shift + ending <= bounds.highest:
                        yield start + shift + ending
            return
    yield cents


def _share_of(base_cents: int, share: float) -> int:
    return math.floor(base_cents * share + 0.5)
