"""The public JSON API, `/api/v1`. No cookie is read here: who holds a cart's id holds the cart."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable, Hashable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Final

from fastapi import Body, FastAPI, Query, Response
from pydantic import BaseModel

from demo_shop.frame.problems import Problem
from demo_shop.gateway import api_models as models
from demo_shop.gateway.api_document import PLAIN_TAGS, answers
from demo_shop.gateway.api_parameters import (
    CartId,
    CategorySlug,
    IdempotencyKey,
    Numbers,
    OrderId,
    PageNumber,
    PageSize,
    ProductId,
    SearchText,
)
from demo_shop.gateway.carts import Carts
from demo_shop.gateway.checkout_form import customer_of
from demo_shop.gateway.dimmer import Dimmer, OptionalParts
from demo_shop.gateway.goods import Sort
from demo_shop.gateway.orders import OrderRequest, Orders, Placed, Refused
from demo_shop.gateway.page_cache import PageCache
from demo_shop.gateway.sessions import Sessions
from demo_shop.gateway.storefront import Storefront

V1: Final = "/api/v1"


@dataclass(frozen=True, slots=True)
class JsonText:
    """A rendered answer, kept like a page."""

    content: bytes

    @property
    def size_bytes(self) -> int:
        return len(self.content) + 200


class Api:
    """Endpoints of the API. Reading is answered from a cache of seconds, like the pages."""

    def __init__(
        self,
        storefront: Storefront,
        carts: Carts,
        orders: Orders,
        sessions: Sessions,
        cache: PageCache[JsonText],
        dimmer: Dimmer,
        rng: random.Random,
    ) -> None:
        self._storefront, self._carts, self._orders, self._sessions = storefront, carts, orders, sessions
        self._cache, self._dimmer, self._rng = cache, dimmer, rng

    def install(self, app: FastAPI) -> None:
        goods, carts, orders = PLAIN_TAGS
        gone = {404: "There is no such cart, or its id is not signed by us"}
        full = {409: "The cart is full"}
        refused = {
            402: "payment-declined: nothing was sold",
            409: "cart-empty, out-of-stock and unknown-product with product_ids, price-changed with total_cents, "
            "total-too-large, order-abandoned, or idempotency-key-reused: nothing was sold by this request",
        }
        made: dict[str, Any] = {"status_code": 201}
        nothing: dict[str, Any] = {"status_code": 204, "response_class": Response}

        listing, detail, any_category = models.ListingBody, models.ProductDetailBody, {404: "There is no such category"}
        _add(app, "GET /products", self.list_products, goods, "Products page by page", listing, any_category)
        _add(
            app, "GET /products/{product_id}", self.get_product, goods, "One product", detail, {404: "No such product"}
        )
        _add(app, "GET /search", self.search_products, goods, "Products by words", listing)
        _add(app, "GET /categories", self.list_categories, goods, "All categories", models.CategoriesBody)
        suggested = models.RecommendationsBody
        _add(app, "GET /recommendations", self.recommend_products, goods, "What goes with products", suggested)

        one, cart, line = "/carts/{cart_id}", models.CartBody, "/carts/{cart_id}/lines"
        _add(app, "POST /carts", self.create_cart, carts, "A new, empty cart", cart, **made)
        _add(app, f"GET {one}", self.get_cart, carts, "What is in a cart", models.PricedCartBody, gone)
        _add(app, f"DELETE {one}", self.empty_cart, carts, "Empty a cart", None, gone, **nothing)
        _add(app, f"POST {line}", self.add_to_cart, carts, "Put something into a cart", cart, gone | full)
        change = f"PUT {line}/{{product_id}}"
        _add(app, change, self.change_cart, carts, "Change how many of it", cart, gone | full)

        order = models.OrderBody
        _add(app, "POST /orders", self.place_order, orders, "Order what is in a cart", order, gone | refused, **made)
        told = "What became of an order"
        _add(app, "GET /orders/{order_id}", self.get_order, orders, told, order, {404: "There is no such order"})

    async def list_products(
        self,
        category: CategorySlug | None = None,
        sort: Annotated[Sort, Query(description="-price: the dearest first")] = Sort.POPULARITY,
        page: PageNumber = 1,
        page_size: PageSize = 24,
    ) -> Response:
        """Prices are at most some seconds old; `price_as_of` says when pricing last worked them out."""
        parts = self._parts()

        async def render() -> BaseModel:
            return models.ListingBody.of(await self._storefront.listing(category, sort, page, page_size, parts))

        return await self._kept(("products", category, sort, page, page_size, parts.dynamic_pricing), render)

    async def get_product(self, product_id: ProductId) -> Response:
        """With its price of the day, why it is that, and how many there are."""
        parts = self._parts()

        async def render() -> BaseModel:
            return models.ProductDetailBody.of(await self._storefront.offer(product_id, parts))

        return await self._kept(("product", product_id, parts.dynamic_pricing), render)

    async def search_products(self, q: SearchText, page: PageNumber = 1, page_size: PageSize = 24) -> Response:
        """The best fit first."""
        parts, text = self._parts(), " ".join(q.split())

        async def render() -> BaseModel:
            if not text:
                return models.ListingBody(items=[], total=0, page=page, page_size=page_size)
            return models.ListingBody.of(await self._storefront.search(text, page, page_size, parts))

        return await self._kept(("search", text, page, page_size, parts.dynamic_pricing), render)

    async def list_categories(self) -> Response:
        """In the shop's order."""

        async def render() -> BaseModel:
            categories = await self._storefront.categories()
            return models.CategoriesBody(items=[models.CategoryBody.of(category) for category in categories])

        return await self._kept(("categories",), render)

    async def recommend_products(
        self,
        product_ids: Numbers,
        limit: Annotated[int, Query(ge=1, le=24, description="At most so many", examples=[8])] = 8,
    ) -> models.RecommendationsBody:
        """Learned from what was bought together. Optional content: under load, or while its service is away, empty."""
        ids = list(dict.fromkeys(int(number) for number in product_ids.split(",")))
        suggestions = await self._storefront.suggestions(ids, limit, self._parts())
        return models.RecommendationsBody(items=[models.RecommendationBody.of(one) for one in suggestions])

    async def create_cart(self) -> models.CartBody:
        """Costs nothing until something is put into it."""
        return models.CartBody(cart_id=self._sessions.sign_cart_id(self._sessions.new_cart_id()), lines=[])

    async def get_cart(self, cart_id: CartId) -> models.PricedCartBody:
        """With what it would cost now. A cart that nobody touched for long is empty again."""
        cart = await self._carts.get(self._opened(cart_id))
        prices = await self._storefront.prices([line.product_id for line in cart.lines])
        return models.PricedCartBody.of(cart_id, cart, prices)

    async def empty_cart(self, cart_id: CartId) -> Response:
        """An order leaves the cart as it is, so that trying again is the same order; empty it when you are done."""
        await self._carts.clear(self._opened(cart_id))
        return Response(status_code=204)

    async def add_to_cart(self, cart_id: CartId, line: Annotated[models.LineToAdd, Body()]) -> models.CartBody:
        """Adds to what is there of it already; at most 99 of a product, 50 products."""
        opened = self._opened(cart_id)
        await self._must_know(line.product_id)
        return models.CartBody.of(cart_id, await self._carts.add(opened, line.product_id, line.quantity))

    async def change_cart(
        self, cart_id: CartId, product_id: ProductId, wanted: Annotated[models.Quantity, Body()]
    ) -> models.CartBody:
        """Sets the quantity; doing it twice is doing it once."""
        opened = self._opened(cart_id)
        if wanted.quantity:
            await self._must_know(product_id)
        return models.CartBody.of(cart_id, await self._carts.change(opened, product_id, wanted.quantity))

    async def place_order(
        self, response: Response, order: Annotated[models.OrderToPlace, Body()], idempotency_key: IdempotencyKey
    ) -> models.OrderBody:
        """201: placed now. 200: this key had placed it before, here it is again. After a 503 or no answer at all, send
        the same request with the same key again, as often as needed: it is placed and paid at most once.
        """
        cart = await self._carts.get(self._opened(order.cart_id))
        if not cart.lines:
            raise Problem(409, "cart-empty", "There is nothing in the cart", "Put something into it first.")
        outcome = await self._orders.place(
            OrderRequest(
                key=idempotency_key,
                customer_id=customer_of(order.email),
                lines=cart.lines,
                payment_token=order.payment_token,
                expected_total_cents=order.expected_total_cents,
            )
        )
        if isinstance(outcome, Placed):
            response.status_code = 201 if outcome.is_new else 200
            return models.OrderBody.of(outcome.order)
        if isinstance(outcome, Refused):
            raise _problem(outcome)
        raise Problem(
            503,
            "unknown-outcome",
            "It is not known yet whether the order was placed",
            "Send the same request with the same key again.",
            headers={"Retry-After": "2"},
        )

    async def get_order(self, order_id: OrderId) -> models.OrderBody:
        """A pending order is decided within seconds."""
        order = await self._orders.find(str(order_id))
        if order is None:
            raise Problem(404, "not-found", "There is no such order")
        return models.OrderBody.of(order)

    async def _kept(self, key: Hashable, render: Callable[[], Awaitable[BaseModel]]) -> Response:
        async def text() -> JsonText:
            return JsonText((await render()).model_dump_json().encode())

        body = await self._cache.page(key, text)
        return Response(body.content, media_type="application/json", headers={"Cache-Control": "no-cache"})

    def _parts(self) -> OptionalParts:
        return self._dimmer.serves_optional(self._rng)

    async def _must_know(self, product_id: int) -> None:
        if not await self._storefront.knows(product_id):
            raise Problem(404, "unknown-product", "There is no such product", f"product_id: {product_id}")

    def _opened(self, signed: str) -> str:
        cart_id = self._sessions.read_cart_id(signed)
        if cart_id is None:
            raise Problem(404, "unknown-cart", "There is no such cart", "cart_id: use the one that POST /carts gave.")
        return cart_id


def _add(
    app: FastAPI,
    operation: str,
    endpoint: Callable[..., Any],
    tag: str,
    summary: str,
    body: type[BaseModel] | None,
    errors: Mapping[int, str] = MappingProxyType({}),
    **more: Any,
) -> None:
    method, _, path = operation.partition(" ")
    app.add_api_route(
        V1 + path,
        endpoint,
        methods=[method],
        tags=[tag],
        summary=summary,
        operation_id=endpoint.__name__,
        response_model=body,
        responses=answers(errors),
        **more,
    )


def _problem(refused: Refused) -> Problem:
    extra: dict[str, Any] = {}
    if refused.product_ids:
        extra["product_ids"] = list(refused.product_ids)
    if refused.total_cents is not None:
        extra["total_cents"] = refused.total_cents
    # The request is well-formed: it conflicts with what the cart holds, or with what the key was used for.
    status = 409 if refused.status == 422 else refused.status
    return Problem(status, refused.code, refused.title, refused.detail, **extra)
