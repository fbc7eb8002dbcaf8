"""The cart service."""

from __future__ import annotations

import random
import secrets
from typing import Annotated

from fastapi import FastAPI, Header, Path
from pydantic import BaseModel, ConfigDict, Field

from demo_shop.cart.carts import MOST_LINES, MOST_OF_ONE, CartFull, Carts, KeyReused, Line, TooMany
from demo_shop.frame.frame import Frame
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import LARGEST_ID, ProductId

CartId = Annotated[str, Path(pattern=r"^[A-Za-z0-9._:~-]{1,200}$", description="Whatever names the cart; unguessable")]
_Key = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[\x21-\x7e]{8,128}$",
        description="An addition with the same key is made once within 10 minutes",
    ),
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class NewLine(_Body):
    product_id: int = Field(ge=1, le=LARGEST_ID)
    quantity: int = Field(ge=1, le=MOST_OF_ONE)


class Quantity(_Body):
    quantity: int = Field(ge=0, le=MOST_OF_ONE, description="0 removes the line")


class CartLine(BaseModel):
    product_id: int
    quantity: int


class Cart(BaseModel):
    cart_id: str
    lines: list[CartLine]


def create(frame: Frame) -> FastAPI:
    redis = frame.redis()
    carts = Carts(redis, random.Random())

    async def redis_answers() -> None:
        await redis.ping()

    frame.ready_when("redis", redis_answers)
    app = FastAPI(title="Carts", version="1", openapi_url="/openapi.json", docs_url=None, redoc_url=None)
    _add_routes(app, carts)
    return app


def _add_routes(app: FastAPI, carts: Carts) -> None:
    @app.get("/carts/{cart_id}")
    async def cart(cart_id: CartId) -> Cart:
        return _cart(cart_id, await carts.lines(cart_id))

    @app.post("/carts/{cart_id}/lines")
    async def add(cart_id: CartId, line: NewLine, key: _Key = None) -> Cart:
        # Without a key of the caller's one of our own: our own retries add once, too.
        once = key or secrets.token_urlsafe(12)
        try:
            return _cart(cart_id, await carts.add(cart_id, Line(line.product_id, line.quantity), once))
        except TooMany as refused:
            detail = (
                f"quantity: the cart holds {refused.held} of product {line.product_id}, at most {MOST_OF_ONE} go in"
            )
            raise Problem(409, "quantity-limit", "Too many of one product", detail, held=refused.held) from None
        except CartFull:
            raise _full() from None
        except KeyReused:
            detail = "Idempotency-Key: it belongs to another addition to this cart; use a new key"
            raise Problem(422, "idempotency-key-reused", "The key was used before", detail) from None

    @app.put("/carts/{cart_id}/lines/{product_id}")
    async def put(cart_id: CartId, product_id: ProductId, line: Quantity) -> Cart:
        try:
            return _cart(cart_id, await carts.set(cart_id, Line(product_id, line.quantity)))
        except CartFull:
            raise _full() from None

    @app.delete("/carts/{cart_id}", status_code=204)
    async def clear(cart_id: CartId) -> None:
        await carts.clear(cart_id)


def _full() -> Problem:
    detail = f"The cart holds {MOST_LINES} products, the most there may be; remove one first"
    return Problem(409, "cart-full", "The cart is full", detail)


def _cart(cart_id: str, lines: tuple[Line, ...]) -> Cart:
    return Cart(cart_id=cart_id, lines=[CartLine(product_id=line.product_id, quantity=line.quantity) for line in lines])
