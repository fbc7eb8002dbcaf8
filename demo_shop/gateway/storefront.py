"""The shop as its front sees it: what is for sale, at which price, and what goes with it.

The catalogue is needed; prices of the day, stock and recommendations are optional: each is asked for only when the page
may have it, with little patience, and a page goes out without the part that did not come.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from demo_shop.frame.problems import Problem, StoreUnavailable, UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream
from demo_shop.gateway.dimmer import OptionalParts, Part
from demo_shop.gateway.goods import Category, Listing, Offer, Price, Product, Sort, Suggestion, understood
from demo_shop.gateway.rest import Rest

CATALOG_TIMEOUT_S: Final = 1.5
PRICING_TIMEOUT_S: Final = 0.25
STOCK_TIMEOUT_S: Final = 0.25
RECOMMENDATIONS_TIMEOUT_S: Final = 0.15
#: The other services answer for so many products at once.
MOST_IDS: Final = 100

#: The optional part that is never dimmed: what is sold out should be seen to be.
STOCK: Final = "stock"

OPTIONAL: Final = (Part.RECOMMENDATIONS.value, Part.DYNAMIC_PRICING.value, STOCK)
#: What a cart or a checkout shows must be what checkout will charge: prices of the day are never dimmed there.
WITH_PRICES: Final = OptionalParts(images=True, recommendations=True, dynamic_pricing=True)

T = TypeVar("T")


class Storefront:
    """Reads the services behind the gateway. `degraded(part)` is told of each part that was wanted but did not come."""

    def __init__(
        self,
        *,
        catalog: Upstream,
        pricing: Upstream,
        inventory: Upstream,
        recommendations: Upstream,
        degraded: Callable[[str], None],
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._catalog, self._pricing, self._inventory = catalog, pricing, inventory
        self._recommendations, self._degraded, self._now_s = recommendations, degraded, now_s
        self._rests = {part: Rest() for part in OPTIONAL}

    async def categories(self) -> tuple[Category, ...]:
        body = await self._catalogue("/categories", {})
        with understood("catalog"):
            return tuple(Category.parse(one) for one in body["items"])

    async def listing(
        self, category: str | None, sort: Sort, page: int, page_size: int, parts: OptionalParts
    ) -> Listing:
        params: dict[str, str | int] = {"sort": sort.value, "page": page, "page_size": page_size}
        if category is not None:
            params["category"] = category
        return await self._listing("/products", params, parts)

    async def search(self, query: str, page: int, page_size: int, parts: OptionalParts) -> Listing:
        return await self._listing("/search", {"q": query, "page": page, "page_size": page_size}, parts)

    async def offer(self, product_id: int, parts: OptionalParts, *, with_stock: bool = True) -> Offer:
        """One product as it is for sale. Raises a 404 `Problem` when there is none of that number."""
        product, prices, stock = await asyncio.gather(
            self._product(product_id),
            self._prices([product_id], parts),
            self._stock([product_id] if with_stock else []),
        )
        return Offer(product, prices.get(product_id), stock.get(product_id))

    async def knows(self, product_id: int) -> bool:
        """Whether the shop sells it; also true when the catalogue cannot say now: checkout looks again."""
        try:
            answer = await self._catalog.get(f"/products/{product_id}", timeout_s=0.5)
        except UpstreamUnavailable:
            return True
        return answer.status != 404

    async def offers(self, ids: Sequence[int], parts: OptionalParts, *, with_stock: bool) -> dict[int, Offer]:
        """The products of these numbers, as far as there are such; at most `MOST_IDS`."""
        if not ids:
            return {}
        products, prices, stock = await asyncio.gather(
            self._products(ids), self._prices(ids, parts), self._stock(ids if with_stock else [])
        )
        return {one.id: Offer(one, prices.get(one.id), stock.get(one.id)) for one in products}

    async def prices(self, ids: Sequence[int]) -> Mapping[int, Price]:
        """Prices of the day, as far as pricing tells them in time; never dimmed."""
        return await self._prices(ids, WITH_PRICES)

    async def suggestions(self, ids: Sequence[int], limit: int, parts: OptionalParts) -> tuple[Suggestion, ...]:
        """What goes with these products; empty when the recommendations are dimmed or away."""
        if not parts.recommendations or not ids:
            return ()
        nothing: Sequence[tuple[int, str]] = ()
        suggested = await self._optional(
            Part.RECOMMENDATIONS, lambda: self._suggested(ids, limit), nothing, RECOMMENDATIONS_TIMEOUT_S
        )
        if not suggested:
            return ()
        try:
            offers = await self.offers([one for one, _ in suggested], parts, with_stock=False)
        except (UpstreamUnavailable, StoreUnavailable, Problem):
            self._degraded(Part.RECOMMENDATIONS)
            return ()
        return tuple(Suggestion(offers[one], because) for one, because in suggested if one in offers)

    async def _listing(self, path: str, params: Mapping[str, str | int], parts: OptionalParts) -> Listing:
        body = await self._catalogue(path, params)
        with understood("catalog"):
            products = [Product.parse(one) for one in body["items"]]
            total, page, page_size = int(body["total"]), int(body["page"]), int(body["page_size"])
        prices = await self._prices([one.id for one in products], parts)
        return Listing(tuple(Offer(one, prices.get(one.id)) for one in products), total, page, page_size)

    async def _product(self, product_id: int) -> Product:
        body = await self._catalogue(f"/products/{product_id}", {})
        with understood("catalog"):
            return Product.parse(body)

    async def _products(self, ids: Sequence[int]) -> list[Product]:
        body = await self._catalogue("/products/by-ids", {"ids": _joined(ids)})
        with understood("catalog"):
            return [Product.parse(one) for one in body["items"]]

    async def _catalogue(self, path: str, params: Mapping[str, str | int]) -> Any:
        answer = await self._catalog.get(path, params=params, timeout_s=CATALOG_TIMEOUT_S, hedge=True)
        if answer.status == 404:
            raise Problem(404, "not-found", "There is no such thing in the shop", _detail_of(answer))
        return _body_of("catalog", answer)

    async def _prices(self, ids: Sequence[int], parts: OptionalParts) -> Mapping[int, Price]:
        if not parts.dynamic_pricing or not ids:
            return {}

        async def fetch() -> Mapping[int, Price]:
            answer = await self._pricing.get("/prices", params={"ids": _joined(ids)}, timeout_s=PRICING_TIMEOUT_S)
            body = _body_of("pricing", answer)
            with understood("pricing"):
                return {int(one["product_id"]): Price.parse(one) for one in body["items"]}

        return await self._optional(Part.DYNAMIC_PRICING, fetch, {}, PRICING_TIMEOUT_S)

    async def _stock(self, ids: Sequence[int]) -> Mapping[int, int]:
        if not ids:
            return {}

        async def fetch() -> Mapping[int, int]:
            answer = await self._inventory.get("/stock", params={"ids": _joined(ids)}, timeout_s=STOCK_TIMEOUT_S)
            body = _body_of("inventory", answer)
            with understood("inventory"):
                return {int(one["product_id"]): int(one["available"]) for one in body["items"]}

        return await self._optional(STOCK, fetch, {}, STOCK_TIMEOUT_S)

    async def _suggested(self, ids: Sequence[int], limit: int) -> Sequence[tuple[int, str]]:
        answer = await self._recommendations.get(
            "/recommendations",
            params={"product_ids": _joined(ids), "limit": limit},
            timeout_s=RECOMMENDATIONS_TIMEOUT_S,
        )
        body = _body_of("recommendations", answer)
        with understood("recommendations"):
            return [(int(one["product_id"]), str(one["because"])) for one in body["items"]]

    async def _optional(self, part: str, ask: Callable[[], Awaitable[T]], without: T, patience_s: float) -> T:
        """What `ask` gives within `patience_s`, retries included; else `without`, and the loss is counted."""
        rest = self._rests[part]
        if not rest.lets_through(self._now_s()):
            self._degraded(part)
            return without
        try:
            async with asyncio.timeout(patience_s):
                found = await ask()
        except (UpstreamUnavailable, StoreUnavailable, Problem, TimeoutError):
            rest.failed(self._now_s())
            self._degraded(part)
            return without
        rest.succeeded()
        return found


def _joined(ids: Iterable[int]) -> str:
    return ",".join(map(str, ids))


def _body_of(role: str, answer: Answer) -> Any:
    if answer.status != 200:
        raise UpstreamUnavailable(role, f"it answered {answer.status}")
    return answer.json


def _detail_of(answer: Answer) -> str | None:
    detail = answer.json.get("detail") if isinstance(answer.json, dict) else None
    return detail if isinstance(detail, str) else None
