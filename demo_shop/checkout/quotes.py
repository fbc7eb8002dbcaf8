"""What a wish costs now: pricing's prices, or the catalogue's base prices where pricing does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from demo_shop.checkout.errors import PriceChanged, TotalTooLarge, UnknownProducts
from demo_shop.checkout.model import MOST_TOTAL_CENTS, Line, PricedLine, Quote, Wish
from demo_shop.frame.database import Database
from demo_shop.frame.problems import StoreUnavailable, UpstreamUnavailable
from demo_shop.frame.upstream import Upstream

PRICING_TIMEOUT_S: Final = 0.5
PRICING_PAUSE_S: Final = 2.0  # after a failure nobody waits for pricing for so long
BASE_PRICES_FRESH_S: Final = 60.0


class Prices(Protocol):
    async def prices_of(self, product_ids: Sequence[int]) -> Mapping[int, int]:
        """Cents by product, only of those it knows."""


class CurrentPrices:
    """Prices of the pricing service, and nothing at all while it does not answer."""

    def __init__(self, pricing: Upstream, now_s: Callable[[], float]) -> None:
        self._pricing, self._now_s = pricing, now_s
        self._silent_until_s = float("-inf")

    async def prices_of(self, product_ids: Sequence[int]) -> Mapping[int, int]:
        if self._now_s() < self._silent_until_s:
            return {}
        ids = ",".join(map(str, product_ids))
        try:
            async with asyncio.timeout(PRICING_TIMEOUT_S):
                answer = await self._pricing.get("/prices", params={"ids": ids}, timeout_s=PRICING_TIMEOUT_S)
        except (UpstreamUnavailable, TimeoutError):
            self._silent_until_s = self._now_s() + PRICING_PAUSE_S
            return {}
        return _prices_in(answer.json) if answer.status == 200 else {}


def _prices_in(body: object) -> dict[int, int]:
    """Prices of a `GET /prices` answer; what is no price in it counts as unknown."""
    items = body.get("items") if isinstance(body, dict) else None
    prices = {}
    for item in items if isinstance(items, list) else ():
        product_id, price_cents = item.get("product_id"), item.get("price_cents")
        if isinstance(product_id, int) and isinstance(price_cents, int) and price_cents > 0:
            prices[product_id] = price_cents
    return prices


@dataclass(frozen=True, slots=True)
class _Remembered:
    price_cents: int
    read_at_s: float


class BasePrices:
    """The catalogue's prices, remembered for a minute; for longer while no database answers."""

    def __init__(self, replica: Database, now_s: Callable[[], float]) -> None:
        self._replica, self._now_s = replica, now_s
        self._remembered: dict[int, _Remembered] = {}  # bounded by the size of the catalogue

    async def prices_of(self, product_ids: Sequence[int]) -> Mapping[int, int]:
        """Raises `StoreUnavailable` when a price is not remembered and no database answers."""
        now_s = self._now_s()
        stale = [product_id for product_id in product_ids if not self._is_fresh(product_id, now_s)]
        if stale:
            await self._read(stale, now_s)
        known = ((product_id, self._remembered.get(product_id)) for product_id in product_ids)
        return {product_id: remembered.price_cents for product_id, remembered in known if remembered is not None}

    def _is_fresh(self, product_id: int, now_s: float) -> bool:
        remembered = self._remembered.get(product_id)
        return remembered is not None and now_s - remembered.read_at_s < BASE_PRICES_FRESH_S

    async def _read(self, product_ids: Sequence[int], now_s: float) -> None:
        try:
            rows = await self._replica.rows(
                "SELECT id, base_price_cents FROM products WHERE id = ANY(%s)", (list(product_ids),)
            )
        except StoreUnavailable:
            if all(product_id in self._remembered for product_id in product_ids):
                return
            raise
        for product_id in product_ids:
            self._remembered.pop(product_id, None)
        self._remembered.update((row["id"], _Remembered(row["base_price_cents"], now_s)) for row in rows)


async def quote(lines: Sequence[Line], current: Prices, base: Prices) -> Quote:
    """What the lines cost. Raises `UnknownProducts`, `TotalTooLarge`, `StoreUnavailable`."""
    product_ids = [line.product_id for line in lines]
    prices = dict(await current.prices_of(product_ids))
    unpriced = [product_id for product_id in product_ids if product_id not in prices]
    if unpriced:
        prices |= await base.prices_of(unpriced)
    unknown = [product_id for product_id in product_ids if product_id not in prices]
    if unknown:
        raise UnknownProducts(unknown)
    priced = tuple(PricedLine(line.product_id, line.quantity, prices[line.product_id]) for line in lines)
    quoted = Quote(priced, degraded=bool(unpriced))
    if quoted.total_cents > MOST_TOTAL_CENTS:
        raise TotalTooLarge(f"{quoted.total_cents} cents are more than {MOST_TOTAL_CENTS}")
    return quoted


def check_expectation(wish: Wish, quoted: Quote) -> None:
    """Nobody pays more than expected, and nobody pays more than it costs now. Raises `PriceChanged`."""
    if wish.expected_total_cents is not None and wish.expected_total_cents < quoted.total_cents:
        raise PriceChanged(quoted.total_cents)
