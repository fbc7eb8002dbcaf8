"""Checkout and what comes of it: the form, placing the order once, the order's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from demo_shop.frame.logs import Log
from demo_shop.frame.problems import Problem, StoreUnavailable, UpstreamUnavailable
from demo_shop.gateway.cart_pages import as_asgi, visitors_form
from demo_shop.gateway.carts import Cart, Carts, PricedCart
from demo_shop.gateway.checkout_form import Buyer, Intent, Intents, customer_of, empty_buyer, read_buyer
from demo_shop.gateway.dimmer import OptionalParts
from demo_shop.gateway.goods import Offer
from demo_shop.gateway.markup import Renderer
from demo_shop.gateway.orders import Order, OrderRequest, Orders, Placed, Refused, Unknown
from demo_shop.gateway.storefront import WITH_PRICES, Storefront
from demo_shop.gateway.visitors import Visitor, Visitors

_PAYMENTS: Final = (
    ("card", "Test card", "Always accepted."),
    ("moody", "Test card of a moody bank", "Declined three times in a hundred."),
    ("declined", "Empty test card", "Always declined, to see what that looks like."),
)
_REASONS: Final = {
    "out-of-stock": "Something in it was sold out a moment before.",
    "payment-declined": "The payment was declined.",
    "abandoned": "It could not be finished in time.",
}


class CheckoutPages:
    """`/checkout` and `/order/{id}`. `clock` is Unix time."""

    def __init__(
        self,
        storefront: Storefront,
        carts: Carts,
        orders: Orders,
        intents: Intents,
        renderer: Renderer,
        visitors: Visitors,
        clock: Callable[[], float],
        log: Log,
    ) -> None:
        self._storefront, self._carts, self._orders, self._intents = storefront, carts, orders, intents
        self._renderer, self._visitors, self._clock, self._log = renderer, visitors, clock, log

    def routes(self) -> list[Route]:
        return [
            Route("/checkout", as_asgi(self._checkout), methods=["GET", "POST"]),
            Route("/order/{order_id:uuid}", as_asgi(self._show_order), methods=["GET"]),
        ]

    async def _checkout(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            await self._order(scope, receive, send)
        else:
            await self._begin(scope, send)

    async def _begin(self, scope: Scope, send: Send) -> None:
        visitor = self._visitors.of(scope)
        cart = await self._carts.get(visitor.session.cart_id)
        priced = PricedCart.of(cart, await self._offers(cart))
        if not priced.for_sale:
            await self._visitors.lead_to("/cart", visitor, send, cart_count=cart.count)
            return
        intent = self._intents.new(visitor.session.session_id, priced.for_sale, priced.total_cents, self._clock())
        await self._show_form(intent, priced, empty_buyer(), visitor, scope, send)

    async def _order(self, scope: Scope, receive: Receive, send: Send) -> None:
        visitor, form = await visitors_form(self._visitors, scope, receive)
        intent = self._intents.opened(form.get("intent", ""), visitor.session.session_id, self._clock())
        if intent is None:
            raise Problem(409, "form-too-old", "This form is too old", "Nothing was ordered. Open the checkout again.")
        buyer = read_buyer(form)
        if buyer.errors:
            await self._show_form(intent, None, buyer, visitor, scope, send, status=422)
            return
        outcome = await self._orders.place(
            OrderRequest(intent.key, customer_of(buyer.email), intent.lines, buyer.payment_token, intent.total_cents)
        )
        match outcome:
            case Placed(order=order):
                count = await self._count_after(order, intent, visitor)
                await self._visitors.lead_to(f"/order/{order.id}", visitor, send, cart_count=count)
            case Refused():
                await self._show_refusal(outcome, intent, buyer, visitor, scope, send)
            case Unknown(why=why):
                self._log.warning("the outcome of an order is not known yet", why=why)
                await self._ask_again(form, visitor, scope, send)

    async def _show_refusal(
        self, refused: Refused, intent: Intent, buyer: Buyer, visitor: Visitor, scope: Scope, send: Send
    ) -> None:
        """Nothing was sold under this key, so what follows is a new order with a key of its own."""
        if refused.code == "price-changed" and refused.total_cents is not None:
            again = self._again(intent, refused.total_cents)
            await self._show_form(again, None, buyer, visitor, scope, send, status=409, changed_from=intent.total_cents)
        elif refused.code == "payment-declined":
            declined = Buyer(
                buyer.values,
                {"payment": "The payment was declined. Nothing was ordered or charged; choose another way to pay."},
            )
            await self._show_form(
                self._again(intent, intent.total_cents), None, declined, visitor, scope, send, status=402
            )
        elif refused.code == "out-of-stock":
            await self._show_sold_out(refused, visitor, scope, send)
        else:
            await self._send_words(
                "This could not be ordered",
                f"{refused.detail or refused.title} Nothing was ordered by this form.",
                (),
                visitor,
                scope,
                send,
                refused.status,
            )

    async def _show_sold_out(self, refused: Refused, visitor: Visitor, scope: Scope, send: Send) -> None:
        names = await self._names(refused.product_ids)
        await self._send_words(
            "Somebody was quicker",
            "There is not enough left of what is listed here. Nothing was ordered or charged; "
            "take less of it, or remove it, and try again.",
            [names[one] for one in refused.product_ids],
            visitor,
            scope,
            send,
            409,
        )

    async def _send_words(
        self, title: str, text: str, names: object, visitor: Visitor, scope: Scope, send: Send, status: int
    ) -> None:
        page = self._renderer.page(
            "refused.html", title=title, text=text, names=names, links=[("Back to the cart", "/cart")]
        )
        await self._visitors.send(page, visitor, scope, send, status)

    async def _ask_again(self, form: Mapping[str, str], visitor: Visitor, scope: Scope, send: Send) -> None:
        fields = {name: form.get(name, "") for name in ("email", "name", "street", "town", "payment")}
        page = self._renderer.page("unknown.html", intent=form["intent"], fields=fields)
        await self._visitors.send(page, visitor, scope, send, 503, [(b"retry-after", b"2")])

    async def _show_form(
        self,
        intent: Intent,
        cart: PricedCart | None,
        buyer: Buyer,
        visitor: Visitor,
        scope: Scope,
        send: Send,
        *,
        status: int = 200,
        changed_from: int | None = None,
    ) -> None:
        ordered = Cart(intent.lines)
        page = self._renderer.page(
            "checkout.html",
            intent=self._intents.sealed(intent),
            cart=cart or PricedCart.of(ordered, await self._offers(ordered)),
            total_cents=intent.total_cents,
            changed_from=changed_from,
            buyer=buyer,
            payments=_PAYMENTS,
        )
        await self._visitors.send(page, visitor, scope, send, status)

    async def _show_order(self, scope: Scope, receive: Receive, send: Send) -> None:
        order = await self._orders.find(str(scope["path_params"]["order_id"]))
        if order is None:
            raise Problem(404, "not-found", "There is no such order")
        names = await self._names([line.product_id for line in order.lines])
        page = self._renderer.page(
            "order.html",
            order=order,
            lines=[(line, names[line.product_id]) for line in order.lines],
            reason=_REASONS.get((order.reason or "").split(" ")[0], "It was rejected."),
        )
        await self._visitors.send(page, self._visitors.of(scope), scope, send)

    async def _count_after(self, order: Order, intent: Intent, visitor: Visitor) -> int | None:
        """How many things are in the cart now; None: not known, so the badge stays as it is."""
        if order.state == "rejected":
            return None
        try:
            return (await self._carts.clear_ordered(visitor.session.cart_id, intent.lines)).count
        except (UpstreamUnavailable, StoreUnavailable, Problem) as error:
            self._log.warning("an ordered cart was not emptied", error=str(error))
            return None

    async def _offers(self, cart: Cart) -> Mapping[int, Offer]:
        return await self._storefront.offers([line.product_id for line in cart.lines], WITH_PRICES, with_stock=False)

    async def _names(self, ids: list[int] | tuple[int, ...]) -> Mapping[int, str]:
        """What the products are called; when the catalogue is away, by their numbers."""
        try:
            offers = await self._storefront.offers(
                ids, OptionalParts(images=False, recommendations=False, dynamic_pricing=False), with_stock=False
            )
        except (UpstreamUnavailable, StoreUnavailable, Problem):
            offers = {}
        return {one: offers[one].product.name if one in offers else f"Product {one}" for one in ids}

    def _again(self, intent: Intent, total_cents: int) -> Intent:
        return self._intents.new(intent.session_id, intent.lines, total_cents, self._clock())
