"""The pages to browse: front, category, search, product. Rendered once for everybody and kept for seconds."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlencode

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope

from demo_shop.frame.problems import Problem
from demo_shop.gateway.dimmer import Dimmer, OptionalParts, Part
from demo_shop.gateway.goods import Sort
from demo_shop.gateway.markup import Page, Renderer
from demo_shop.gateway.page_cache import PageCache
from demo_shop.gateway.requests import page_of, product_id_of, query_of, search_text_of
from demo_shop.gateway.storefront import Storefront
from demo_shop.gateway.visitors import Shown, Visitor, Visitors

PAGE_SIZE: Final = 24
FRONT_PRODUCTS: Final = 12
SUGGESTIONS: Final = 4
_SORTS: Final = (
    (Sort.POPULARITY, "Popularity"),
    (Sort.CHEAPEST, "Price, low to high"),
    (Sort.DEAREST, "Price, high to low"),
    (Sort.NAME, "Name"),
)


@dataclass(frozen=True, slots=True)
class Look:
    """One page that somebody wants to see: what makes it the same page for others, and how it is made."""

    key: Hashable
    render: Callable[[], Awaitable[Page]]


class BrowsePages:
    """The routes of the pages that everybody sees alike."""

    def __init__(
        self,
        storefront: Storefront,
        renderer: Renderer,
        cache: PageCache[Page],
        visitors: Visitors,
        dimmer: Dimmer,
        rng: random.Random,
    ) -> None:
        self._storefront, self._renderer, self._cache = storefront, renderer, cache
        self._visitors, self._dimmer, self._rng = visitors, dimmer, rng

    def routes(self) -> list[Route]:
        return [
            Route("/", self._endpoint(self._front), methods=["GET"]),
            Route("/product/{product_id}", self._endpoint(self._product), methods=["GET"]),
            Route("/category/{slug}", self._endpoint(self._category), methods=["GET"]),
            Route("/search", self._endpoint(self._search), methods=["GET"]),
        ]

    def _endpoint(self, look: Callable[[Scope, OptionalParts], Look]) -> ASGIApp:
        async def show(visitor: Visitor, scope: Scope, receive: Receive) -> Shown:
            parts = self._dimmer.serves_optional(self._rng)
            if not parts.images:
                self._count_dimmed(parts)
            wanted = look(scope, parts)
            return Shown(await self._cache.page(wanted.key, wanted.render))

        return self._visitors.endpoint(show)

    def _count_dimmed(self, parts: OptionalParts) -> None:
        """Images go first, so a page with images has lost nothing."""
        self._dimmer.count_degraded(Part.IMAGES)
        if not parts.recommendations:
            self._dimmer.count_degraded(Part.RECOMMENDATIONS)
        if not parts.dynamic_pricing:
            self._dimmer.count_degraded(Part.DYNAMIC_PRICING)

    def _front(self, scope: Scope, parts: OptionalParts) -> Look:
        async def render() -> Page:
            categories, popular = await asyncio.gather(
                self._storefront.categories(),
                self._storefront.listing(None, Sort.POPULARITY, 1, FRONT_PRODUCTS, parts),
            )
            shown = {offer.product.id for offer in popular.offers}
            favourites = [offer.product.id for offer in popular.offers[:4]]
            suggestions = (
                await self._storefront.suggestions(favourites, SUGGESTIONS + FRONT_PRODUCTS, parts)
                if favourites
                else ()
            )
            new = [one for one in suggestions if one.offer.product.id not in shown][:SUGGESTIONS]
            return self._renderer.page(
                "front.html", categories=categories, popular=popular, suggestions=new, images=parts.images
            )

        return Look(("front", parts), render)

    def _product(self, scope: Scope, parts: OptionalParts) -> Look:
        product_id = product_id_of(scope["path_params"]["product_id"])

        async def render() -> Page:
            offer, suggestions = await asyncio.gather(
                self._storefront.offer(product_id, parts),
                self._storefront.suggestions([product_id], SUGGESTIONS, parts),
            )
            return self._renderer.page("product.html", offer=offer, suggestions=suggestions, images=parts.images)

        return Look(("product", product_id, parts), render)

    def _category(self, scope: Scope, parts: OptionalParts) -> Look:
        slug: str = scope["path_params"]["slug"]
        query = query_of(scope)
        sort = next((known for known, _ in _SORTS if known.value == query.get("sort")), Sort.POPULARITY)
        number = page_of(query)

        async def render() -> Page:
            category = next((one for one in await self._storefront.categories() if one.slug == slug), None)
            if category is None:
                raise Problem(404, "not-found", "There is no such category")
            listing = await self._storefront.listing(slug, sort, number, PAGE_SIZE, parts)

            def page_url(page: int) -> str:
                return f"/category/{quote(slug, safe='')}?" + urlencode({"sort": sort.value, "page": page})

            return self._renderer.page(
                "category.html",
                category=category,
                listing=listing,
                sort=sort.value,
                sorts=[(known.value, label) for known, label in _SORTS],
                page_url=page_url,
                images=parts.images,
            )

        return Look(("category", slug, sort, number, parts), render)

    def _search(self, scope: Scope, parts: OptionalParts) -> Look:
        query = query_of(scope)
        text, number = search_text_of(query), page_of(query)

        async def render() -> Page:
            if not text:
                return self._renderer.page(
                    "search.html", query="", listing=None, hint="Write a word or two above, such as a thing or a brand."
                )
            listing = await self._storefront.search(text, number, PAGE_SIZE, parts)

            def page_url(page: int) -> str:
                return "/search?" + urlencode({"q": text, "page": page})

            return self._renderer.page(
                "search.html", query=text, listing=listing, page_url=page_url, images=parts.images, hint=""
            )

        return Look(("search", text, number, parts), render)
