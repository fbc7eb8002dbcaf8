"""What the catalogue answers."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel


class Sort(StrEnum):
    """Orders of the catalogue; ties go by id, so that pages neither overlap nor leave out."""

    POPULARITY = "popularity"
    CHEAPEST = "price"
    DEAREST = "-price"
    NAME = "name"


class Category(BaseModel):
    slug: str
    name: str


class CountedCategory(Category):
    count: int


class Categories(BaseModel):
    items: list[CountedCategory]


class Product(BaseModel):
    id: int
    sku: str
    name: str
    brand: str
    description: str
    category: Category
    base_price_cents: int


class Products(BaseModel):
    items: list[Product]


class ProductPage(Products):
    """`total` is exact when browsing; a search counts to 1,000 and says 1,000 for more."""

    total: int
    page: int
    page_size: int


def product_json(row: dict[str, Any]) -> bytes:
    """A `Product` from a row of the books."""
    product = {
        "id": row["id"],
        "sku": row["sku"],
        "name": row["name"],
        "brand": row["brand"],
        "description": row["description"],
        "category": {"slug": row["category_slug"], "name": row["category_name"]},
        "base_price_cents": row["base_price_cents"],
    }
    return to_json(product)


def products_json(products: Sequence[bytes]) -> bytes:
    """`Products` from products that are JSON already."""
    return b'{"items":[%b]}' % b",".join(products)


def page_json(products: Sequence[bytes], total: int, page: int, page_size: int) -> bytes:
    """A `ProductPage` from products that are JSON already."""
    items = b",".join(products)
    return b'{"items":[%b],"total":%d,"page":%d,"page_size":%d}' % (items, total, page, page_size)


def to_json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
