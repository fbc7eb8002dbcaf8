"""What the prices obey. Shares are of the base price."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PriceSettings:
    """Guard rails first; then how strongly demand and stock pull."""

    most_below: float = 0.15
    most_above: float = 0.20
    most_change: float = 0.03  # in one step: who pays a minute after looking finds nearly the price that was shown
    step_s: float = 10.0
    least_change: float = 0.0075  # smaller ones are noise, and each change may cost a checkout its total

    half_life_s: float = 60.0  # of an order's weight as demand: a surge shows within a step and is forgotten in minutes
    demand_per_doubling: float = 0.05
    demand_lowest: float = -0.12
    demand_highest: float = 0.16
    demand_prior_units: float = 20.0  # so that a few orders of a rare product are no surge
    demand_chance: float = 2.0  # standard deviations that are chance; without this the best sellers never rest

    stock_highest: float = 0.06
    stock_lowest: float = -0.05
    few_units: float = 10.0  # fewer than this are few, however slowly they sell
    cover: float = 5.0  # stock should last so many times the window in which demand is felt (about 87 s)
    plenty: float = 16.0  # more than so many times what is usual for a product of its popularity lies too long
    plenty_doublings: float = 3.0  # beyond plenty until the full effect
