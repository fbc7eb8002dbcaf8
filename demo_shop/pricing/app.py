"""The pricing service."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Gauge
from pydantic import BaseModel
from starlette.responses import Response

from demo_shop.frame.frame import Frame
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import ProductId, ProductIds, parse_product_ids
from demo_shop.pricing.book import Book
from demo_shop.pricing.demand import RecentDemand
from demo_shop.pricing.market_sources import Catalogue, OrderReader
from demo_shop.pricing.pricer import Pricer
from demo_shop.pricing.reasons import Factor
from demo_shop.pricing.settings import PriceSettings
from demo_shop.pricing.shared_book import SharedBook


class Explanation(BaseModel):
    factor: Factor
    effect_cents: int
    because: str


class Price(BaseModel):
    """The effects add up to `price_cents` − `base_price_cents`."""

    product_id: int
    price_cents: int
    base_price_cents: int
    as_of: datetime
    explanation: list[Explanation]


class Prices(BaseModel):
    items: list[Price]


class PriceList:
    """Prices as JSON, each written once for every book."""

    def __init__(self, pricer: Pricer, priced: Counter) -> None:
        self._pricer, self._priced = pricer, priced
        self._book: Book | None = None
        self._written: dict[int, bytes | None] = {}

    def of(self, product_id: int) -> bytes | None:
        """A `Price`; None: no such product. Raises `StoreUnavailable`."""
        if self._book is not self._pricer.book:
            self._book, self._written = self._pricer.book, {}
        if product_id not in self._written:
            self._written[product_id] = self._write(product_id)
        found = self._written[product_id]
        if found is not None:
            self._priced.inc()
        return found

    def _write(self, product_id: int) -> bytes | None:
        quoted = self._pricer.quote(product_id)
        if quoted is None:
            return None
        base_cents, quote = quoted
        price = {
            "product_id": product_id,
            "price_cents": quote.price_cents,
            "base_price_cents": base_cents,
            "as_of": datetime.fromtimestamp(self._pricer.book.as_of_s, UTC).isoformat(timespec="milliseconds"),
            "explanation": [
                {"factor": effect.factor, "effect_cents": effect.effect_cents, "because": effect.because}
                for effect in quote.explanation
            ],
        }
        return json.dumps(price, ensure_ascii=False, separators=(",", ":")).encode()


def create(frame: Frame) -> FastAPI:
    """The app and the work that keeps its prices current. Ready once the products were read."""
    settings = PriceSettings()
    registry = frame.metrics.registry
    unreadable = Counter(
        "shop_pricing_orders_unreadable_total", "Entries of the stream of orders that are no orders", registry=registry
    )
    demand = RecentDemand(settings.half_life_s)
    redis = frame.redis()
    pricer = Pricer(
        Catalogue(frame.replica()),
        demand,
        OrderReader(redis, demand, settings.half_life_s, unreadable.inc),
        SharedBook(redis),
        frame.clock,
        settings,
    )
    frame.background("prices", pricer.run)

    async def products_were_read() -> str | None:
        return "the products were not read from PostgreSQL yet" if pricer.products is None else None

    frame.ready_when("products", products_were_read)
    _measure(pricer, frame, registry)
    priced = Counter("shop_pricing_priced_total", "Prices given", registry=registry)
    app = FastAPI(title="Prices", version="1", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    _add_routes(app, PriceList(pricer, priced))
    return app


def _add_routes(app: FastAPI, prices: PriceList) -> None:
    @app.get("/prices", response_model=Prices)
    async def of_several(ids: ProductIds) -> Response:
        """Products that do not exist are left out."""
        found = [price for product_id in parse_product_ids(ids) if (price := prices.of(product_id)) is not None]
        return Response(b'{"items":[%b]}' % b",".join(found), media_type="application/json")

    @app.get("/prices/{product_id}", response_model=Price)
    async def of_one(product_id: ProductId) -> Response:
        price = prices.of(product_id)
        if price is None:
            raise Problem(404, "unknown-product", "No such product", f"There is no product {product_id}")
        return Response(price, media_type="application/json")


def _measure(pricer: Pricer, frame: Frame, registry: CollectorRegistry) -> None:
    """Gauges that look when they are scraped; NaN: not known yet."""
    products = Gauge("shop_pricing_products", "Products that have a price", registry=registry)
    products.set_function(lambda: math.nan if pricer.products is None else pricer.products)
    moved = Gauge("shop_pricing_moved_products", "Products whose price demand or stock may move", registry=registry)
    moved.set_function(lambda: len(pricer.book.entries))
    at_rail = Gauge("shop_pricing_at_rail_ratio", "Share of all prices at a guard rail", ["rail"], registry=registry)
    for position, rail in enumerate(("lowest", "highest")):
        at_rail.labels(rail).set_function(lambda position=position: _ratio(pricer, position))  # type: ignore[misc]
    age = Gauge("shop_pricing_input_age_seconds", "Since an input was last read here", ["input"], registry=registry)

    def since(read_at_s: float | None) -> float:
        return math.nan if read_at_s is None else frame.clock() - read_at_s

    age.labels("stock").set_function(lambda: since(pricer.read_at.stock_s))
    age.labels("demand").set_function(lambda: since(pricer.read_at.demand_s))
    age.labels("book").set_function(lambda: since(pricer.book.as_of_s or None))


def _ratio(pricer: Pricer, position: int) -> float:
    return pricer.at_rails()[position] / pricer.products if pricer.products else math.nan
