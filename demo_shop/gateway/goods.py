"""What the storefront shows: products, their prices and how many are left, as values parsed at the edge."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from demo_shop.frame.problems import UpstreamUnavailable

#: From here down a shopper is told how many are left.
LOW_STOCK = 5


class Sort(StrEnum):
    POPULARITY = "popularity"
    CHEAPEST = "price"
    DEAREST = "-price"
    NAME = "name"


class Availability(StrEnum):
    IN_STOCK = "in stock"
    LOW = "low"
    OUT = "out"


@dataclass(frozen=True, slots=True)
class Category:
    slug: str
    name: str
    product_count: int | None = None

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Category:
        count = body.get("count")
        return Category(str(body["slug"]), str(body["name"]), None if count is None else int(count))


@dataclass(frozen=True, slots=True)
class Product:
    id: int
    sku: str
    name: str
    brand: str
    description: str
    category: Category
    base_price_cents: int

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Product:
        return Product(
            id=int(body["id"]),
            sku=str(body["sku"]),
            name=str(body["name"]),
            brand=str(body["brand"]),
            description=str(body["description"]),
            category=Category.parse(body["category"]),
            base_price_cents=int(body["base_price_cents"]),
        )


@dataclass(frozen=True, slots=True)
class PriceFactor:
    """One reason why a price differs from its base, and by how much."""

    factor: str
    effect_cents: int
    because: str


@dataclass(frozen=True, slots=True)
class Price:
    price_cents: int
    base_price_cents: int
    as_of: str
    factors: tuple[PriceFactor, ...]

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Price:
        return Price(
            price_cents=int(body["price_cents"]),
            base_price_cents=int(body["base_price_cents"]),
            as_of=str(body["as_of"]),
            factors=tuple(
                PriceFactor(str(one["factor"]), int(one["effect_cents"]), str(one["because"]))
                for one in body["explanation"]
            ),
        )


@dataclass(frozen=True, slots=True)
class Offer:
    """A product as it is for sale now. Without a price of the day it costs its base price; stock None: unknown."""

    product: Product
    price: Price | None = None
    available: int | None = None

    @property
    def price_cents(self) -> int:
        return self.product.base_price_cents if self.price is None else self.price.price_cents

    @property
    def availability(self) -> Availability | None:
        if self.available is None:
            return None
        if self.available <= 0:
            return Availability.OUT
        return Availability.LOW if self.available <= LOW_STOCK else Availability.IN_STOCK


@dataclass(frozen=True, slots=True)
class Suggestion:
    offer: Offer
    because: str


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of products out of `total`."""

    offers: tuple[Offer, ...]
    total: int
    page: int
    page_size: int

    @property
    def pages(self) -> int:
        return max(1, -(-self.total // self.page_size))


@contextmanager
def understood(role: str) -> Iterator[None]:
    """An answer whose shape we do not know is as good as none: raises `UpstreamUnavailable`."""
    try:
        yield
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UpstreamUnavailable(role, f"its answer is not understood ({error!r})") from error
