"""Parameters of the public JSON API with their bounds, as its OpenAPI document shows them."""

from __future__ import annotations

from typing import Annotated, Final
from uuid import UUID

from fastapi import Header, Path, Query

from demo_shop.frame.product_ids import LARGEST_ID
from demo_shop.gateway.api_models import CART_ID_EXAMPLE
from demo_shop.gateway.requests import MOST_PAGE, MOST_QUERY_CHARACTERS

MOST_PAGE_SIZE: Final = 100

PageNumber = Annotated[int, Query(ge=1, le=MOST_PAGE, description="Counted from 1", examples=[1])]
PageSize = Annotated[int, Query(ge=1, le=MOST_PAGE_SIZE, description="Products on a page", examples=[24])]
ProductId = Annotated[int, Path(ge=1, le=LARGEST_ID, description="Number of the product", examples=[17])]
CategorySlug = Annotated[
    str,
    Query(
        min_length=1,
        max_length=100,
        pattern=r"^[a-z0-9][a-z0-9\-]{0,99}$",
        description="Only products of this category",
    ),
]
SearchText = Annotated[
    str,
    Query(
        min_length=1,
        max_length=MOST_QUERY_CHARACTERS,
        pattern=r"^[^\x00-\x1f\x7f]+$",
        description="Words to look for in name, brand and description",
        examples=["coffee"],
    ),
]
# At most nine digits, so that everything the pattern lets in is a number that a product may have.
Numbers = Annotated[
    str,
    Query(
        pattern=r"^[1-9][0-9]{0,8}(,[1-9][0-9]{0,8}){0,19}$",
        description="Up to 20 product numbers with commas between",
        examples=["17,42"],
    ),
]
CartId = Annotated[
    str,
    Path(min_length=1, max_length=256, description="As POST /carts gave it", examples=[CART_ID_EXAMPLE]),
]
OrderId = Annotated[UUID, Path(description="As POST /orders gave it")]
IdempotencyKey = Annotated[
    str,
    Header(
        min_length=8,
        max_length=128,
        pattern=r"^[\x21-\x7e]+$",
        description="Made by you, new for every order and the same for every try of one: it is placed at most once",
        examples=["order-2026-03-01-8f14e45f"],
    ),
]
