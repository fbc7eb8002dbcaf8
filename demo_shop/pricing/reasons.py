"""Why a price is what it is, in sentences for customers and merchants."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from demo_shop.pricing.settings import PriceSettings


class Factor(StrEnum):
    DEMAND = "demand"
    STOCK = "stock"
    RAILS = "guard-rails"
    PACE = "pace"
    ROUNDING = "rounding"


@dataclass(frozen=True, slots=True)
class Effect:
    """What one factor adds to the base price, in cents."""

    factor: Factor
    effect_cents: int
    because: str


def demand_reason(units: float | None, usual_units: float, effect_cents: int, base_cents: int) -> str:
    if units is None:
        return "Recent demand is not known, so it does not change the price"
    pace = "faster" if effect_cents > 0 else "slower"
    sold, usual = _about(units), _about(usual_units)
    return f"Selling {pace} than usual ({sold} of late, {usual} as a rule): {percent(effect_cents, base_cents)}"


def stock_reason(available: int | None, effect_cents: int, base_cents: int, few_units: float) -> str:
    if available is None:
        return "The stock is not known, so it does not change the price"
    effect = percent(effect_cents, base_cents)
    if effect_cents < 0:
        return f"Plenty in stock ({available}): {effect}"
    if available <= 0:
        return f"Sold out for now: {effect}"
    if available < few_units:
        return f"Only {available} left: {effect}"
    return f"{available} left at this pace of sales: {effect}"


def rail_reason(effect_cents: int, base_cents: int, settings: PriceSettings) -> str:
    share, side = (settings.most_above, "above") if effect_cents < 0 else (settings.most_below, "below")
    return f"Never more than {share * 100:g} % {side} the base price: {percent(effect_cents, base_cents)}"


def pace_reason(is_moving: bool, settings: PriceSettings) -> str:
    if not is_moving:
        return "Small changes are left out, so that the price stays put"
    return f"On its way: a price moves by at most {settings.most_change * 100:g} % in {settings.step_s:g} s"


def percent(effect_cents: int, base_cents: int) -> str:
    """Like "+4 %"; with a decimal below 1 %."""
    share = abs(effect_cents) / base_cents * 100.0
    sign = "−" if effect_cents < 0 else "+"
    return f"{sign}{share:.0f} %" if share >= 1.0 else f"{sign}{share:.1f} %"


def _about(units: float) -> str:
    return "less than 1" if units < 1.0 else f"about {units:.0f}"
