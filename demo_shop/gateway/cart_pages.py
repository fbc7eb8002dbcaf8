"""The cart: its page, and the forms that change it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import LARGEST_ID
from demo_shop.gateway.carts import MOST_QUANTITY, Carts, PricedCart
from demo_shop.gateway.dimmer import Dimmer, OptionalParts
from demo_shop.gateway.markup import Renderer
from demo_shop.gateway.requests import form_of, number_in, query_of
from demo_shop.gateway.storefront import WITH_PRICES, Storefront
from demo_shop.gateway.visitors import Visitor, Visitors, cart_count_cookie

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
        return [
            Route("/cart", as_asgi(self._show), methods=["GET"]),
            Route("/cart/add", as_asgi(self._add), methods=["POST"]),
            Route("/cart/update", as_asgi(self._update), methods=["POST"]),
        ]

    async def _show(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor = self._visitors.of(scope)
        cart = await self._carts.get(visitor.session.cart_id)
        ids = [line.product_id for line in cart.lines]
        offers, suggestions = await asyncio.gather(
            self._storefront.offers(ids, WITH_PRICES, with_stock=True),
            self._storefront.suggestions(ids[:_MOST_ASKED_ABOUT], SUGGESTIONS, self._parts()),
        )
        added = offers.get(_number(query_of(scope).get("added", "")))
        page = self._renderer.page(
            "cart.html",
            cart=PricedCart.of(cart, offers),
            suggestions=[one for one in suggestions if one.offer.product.id not in ids],
            added=None if added is None else added.product.name,
            images=self._parts().images,
        )
        counted = Visitor(visitor.session, cart.count, visitor.https)
        headers = [cart_count_cookie(cart.count, visitor.https)] if cart.count != visitor.cart_count else []
        await self._visitors.send(page, counted, scope, send, headers=headers)

    async def _add(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor, form = await visitors_form(self._visitors, scope, receive)
        product_id = number_in(form, "product_id", 1, LARGEST_ID)
        quantity = number_in(form, "quantity", 1, MOST_QUANTITY, default="1")
        if not await self._storefront.knows(product_id):
            raise Problem(404, "not-found", "There is no such product")
        cart = await self._carts.add(visitor.session.cart_id, product_id, quantity)
        await self._visitors.lead_to(f"/cart?added={product_id}", visitor, send, cart_count=cart.count)

    async def _update(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor, form = await visitors_form(self._visitors, scope, receive)
        product_id = number_in(form, "product_id", 1, LARGEST_ID)
        quantity = number_in(form, "quantity", 0, MOST_QUANTITY)
        cart = await self._carts.change(visitor.session.cart_id, product_id, quantity)
        await self._visitors.lead_to("/cart", visitor, send, cart_count=cart.count)

    def _parts(self) -> OptionalParts:
        """A cart has no dice: it loses its extras when the dimmer is below a half."""
        light = self._dimmer.level >= 0.5
        return OptionalParts(images=light, recommendations=light, dynamic_pricing=True)


async def visitors_form(visitors: Visitors, scope: Scope, receive: Receive) -> tuple[Visitor, Mapping[str, str]]:
    """A form and who sent it. Raises a 403 when it did not come from a page of theirs."""
    form = await form_of(scope, receive)
    visitor = visitors.of(scope)
    if not visitors.wrote_form(visitor, form.get("csrf")):
        raise Problem(
            403, "form-not-yours", "This form is not from your session", "Open the page again and send the form anew."
        )
    return visitor, form


def as_asgi(endpoint: ASGIApp) -> ASGIApp:
    """Starlette takes a bound method for a function of a request; inside another object it stays ASGI."""
    return _Asgi(endpoint)


class _Asgi:
    def __init__(self, endpoint: ASGIApp) -> None:
        self._endpoint = endpoint

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._endpoint(scope, receive, send)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
