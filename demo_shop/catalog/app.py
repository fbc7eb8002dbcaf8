"""The catalogue service."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from typing import Annotated

from fastapi import FastAPI, Query
from prometheus_client import CollectorRegistry, Counter
from pydantic import AfterValidator
from redis.exceptions import RedisError
from starlette.responses import Response

from demo_shop.catalog.books import Books
from demo_shop.catalog.cache import Cache, Result
from demo_shop.catalog.far_cache import FarCache
from demo_shop.catalog.product import Categories, Product, ProductPage, Products, Sort
from demo_shop.catalog.search_text import LONGEST_QUERY, read_search_text
from demo_shop.catalog.shelves import Shelves, UnknownCategory
from demo_shop.catalog.visibility import Heartbeat, VisibilityMetrics
from demo_shop.frame.database import Database
from demo_shop.frame.frame import Frame
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import ProductId, ProductIds, parse_product_ids

_CACHE_LOSS = "cache_loss"
_REDIS_CHECK_S = 0.3


def _without_nul(text: str) -> str:
    if "\x00" in text:
        raise ValueError("must not contain the character NUL")
    return text


_Slug = Annotated[str | None, Query(pattern=r"^[a-z0-9][a-z0-9-]{0,99}$", description="Slug of a category")]
_Text = Annotated[str, Query(max_length=LONGEST_QUERY, description="Words to search for"), AfterValidator(_without_nul)]
_Page = Annotated[int, Query(ge=1, le=10_000)]
_PageSize = Annotated[int, Query(ge=1, le=100)]


def create(frame: Frame) -> FastAPI:
    """The app, its cache and the heartbeat that measures the standby's delay."""
    replica = frame.replica()
    books = Books(replica)
    shelves = Shelves(books, _cache(frame))
    heartbeat = Heartbeat(frame.primary(), frame.standby(), VisibilityMetrics(frame.metrics.registry), time.monotonic)
    frame.background("replication heartbeat", heartbeat.run)
    _check_stores(frame, replica, books)
    app = FastAPI(title="Catalogue", version="1", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    _add_routes(app, shelves)
    return app


def _check_stores(frame: Frame, replica: Database, books: Books) -> None:
    """Ready once PostgreSQL had products, and from then on while it or Redis does: alone, the cache still serves."""
    redis = frame.redis()
    postgres_was_there = False

    async def redis_answers() -> None:
        async with asyncio.timeout(_REDIS_CHECK_S):
            await redis.ping()

    async def stores_answer() -> None:
        nonlocal postgres_was_there
        if postgres_was_there:
            with suppress(RedisError, OSError, TimeoutError):
                return await redis_answers()
        await books.categories()
        postgres_was_there = True

    frame.ready_when("stores", stores_answer)
    frame.report_when("postgres", replica.answers)
    frame.report_when("redis", redis_answers)


def _cache(frame: Frame) -> Cache:
    count = _counter(frame.metrics.registry)
    cache = Cache(
        FarCache(frame.redis(), frame.clock),
        frame.clock,
        rng=random.Random(),
        count=lambda result: count.labels(result.value).inc(),
        lost=lambda: frame.faults.any_active and frame.faults.share_hit(_CACHE_LOSS, frame.clock()),
    )
    frame.faults.on(_CACHE_LOSS, cache.lose)
    return cache


def _counter(registry: CollectorRegistry) -> Counter:
    counter = Counter(
        "shop_cache_requests_total",
        "Look-ups by how they ended: near, hit, miss, joined, stale, unavailable (Redis was away)",
        ["result"],
        registry=registry,
    )
    for result in Result:
        counter.labels(result.value)  # zeros from the start, so that rates have a beginning
    return counter


def _add_routes(app: FastAPI, shelves: Shelves) -> None:
    @app.get("/categories", response_model=Categories)
    async def categories() -> Response:
        return _json(await shelves.categories())

    @app.get("/products", response_model=ProductPage)
    async def products(
        category: _Slug = None, sort: Sort = Sort.POPULARITY, page: _Page = 1, page_size: _PageSize = 24
    ) -> Response:
        try:
            return _json(await shelves.browse(category, sort, page, page_size))
        except UnknownCategory:
            raise Problem(
                404, "unknown-category", "No such category", f"category: there is no {category!r}; see /categories"
            ) from None

    @app.get("/products/by-ids", response_model=Products)
    async def products_by_ids(ids: ProductIds) -> Response:
        return _json(await shelves.products(parse_product_ids(ids)))

    @app.get("/products/{product_id}", response_model=Product)
    async def product(product_id: ProductId) -> Response:
        found = await shelves.product(product_id)
        if found is None:
            raise Problem(404, "unknown-product", "No such product", f"There is no product {product_id}")
        return _json(found)

    @app.get("/search", response_model=ProductPage)
    async def search(q: _Text, page: _Page = 1, page_size: _PageSize = 24) -> Response:
        return _json(await shelves.search(read_search_text(q), page, page_size))


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")
