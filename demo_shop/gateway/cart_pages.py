"""The cart: its page, and the forms that change it."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.routing import Route
from starlette.types import Receive, Scope

from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import LARGEST_ID
from demo_shop.gateway.carts import MOST_QUANTITY, Carts, PricedCart
from demo_shop.gateway.dimmer import Dimmer, OptionalParts
from demo_shop.gateway.markup import Renderer
from demo_shop.gateway.requests import number_in, query_of
from demo_shop.gateway.storefront import WITH_PRICES, Storefront
from demo_shop.gateway.visitors import LedTo, Shown, Visitor, Visitors

SUGGESTIONS: Final = 4
_MOST_ASKED_ABOUT: Final = 10


class CartPages:
    """`/cart` and what its forms post to."""

    def __init__(
        self, storefront: Storefront, carts: Carts, renderer: Renderer, visitors: Visitors, dimmer: Dimmer
    ) -> None:
        self._storefront, self._carts, self._renderer = storefront, carts, renderer
        self._visitors, self._dimmer = visitors, dimmer

    def routes(self) -> list[Route]:
        endpoint = self._visitors.endpoint
        return [
            Route("/cart", endpoint(self._show), methods=["GET"]),
            Route("/cart/add", endpoint(self._add), methods=["POST"]),
            Route("/cart/update", endpoint(self._update), methods=["POST"]),
        ]

    async def _show(self, visitor: Visitor, scope: Scope, receive: Receive) -> Shown:
        cart = await self._carts.get(visitor.session.cart_id)
        ids = [line.product_id for line in cart.lines]
        parts = self._parts()
        offers, suggestions = await asyncio.gather(
            self._storefront.offers(ids, WITH_PRICES, with_stock=True),
            self._storefront.suggestions(ids[:_MOST_ASKED_ABOUT], SUGGESTIONS, parts),
        )
        added = offers.get(_number(query_of(scope).get("added", "")))
        page = self._renderer.page(
            "cart.html",
            cart=PricedCart.of(cart, offers),
            suggestions=[one for one in suggestions if one.offer.product.id not in ids],
            added=None if added is None else added.product,
            images=parts.images,
        )
        return Shown(page, cart_count=cart.count)

    async def _add(self, visitor: Visitor, scope: Scope, receive: Receive) -> LedTo:
        form = await self._visitors.form(visitor, scope, receive)
        product_id = number_in(form, "product_id", 1, LARGEST_ID)
        quantity = number_in(form, "quantity", 1, MOST_QUANTITY, default="1")
        if not await self._storefront.knows(product_id):
            raise Problem(404, "not-found", "There is no such product")
        cart = await self._carts.add(visitor.session.cart_id, product_id, quantity)
        return LedTo(f"/cart?added={product_id}", cart_count=cart.count)

    async def _update(self, visitor: Visitor, scope: Scope, receive: Receive) -> LedTo:
        form = await self._visitors.form(visitor, scope, receive)
        product_id = number_in(form, "product_id", 1, LARGEST_ID)
        quantity = number_in(form, "quantity", 0, MOST_QUANTITY)
        cart = await self._carts.change(visitor.session.cart_id, product_id, quantity)
        return LedTo("/cart", cart_count=cart.count)

    def _parts(self) -> OptionalParts:
        """A cart has no dice: it loses its extras when the dimmer is below a half."""
        light = self._dimmer.level >= 0.5
        return OptionalParts(images=light, recommendations=light, dynamic_pricing=True)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
