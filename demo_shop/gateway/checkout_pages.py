"""Checkout and what comes of it: the form, placing the order once, the order's page."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from starlette.routing import Route
from starlette.types import Receive, Scope

from demo_shop.frame.logs import Log
from demo_shop.frame.problems import Problem, StoreUnavailable, UpstreamUnavailable
from demo_shop.gateway.carts import Cart, CartLine, Carts, PricedCart
from demo_shop.gateway.checkout_form import Buyer, Intent, Intents, customer_of, empty_buyer, read_buyer
from demo_shop.gateway.dimmer import OptionalParts
from demo_shop.gateway.markup import Renderer
from demo_shop.gateway.orders import Order, OrderRequest, Orders, Placed, Refused, Unknown
from demo_shop.gateway.storefront import WITH_PRICES, Storefront
from demo_shop.gateway.visitors import LedTo, Shown, Visitor, Visitors

_PAYMENTS: Final = (
    ("card", "Test card", "Always accepted."),
    ("moody", "Test card of a moody bank", "Declined three times in a hundred."),
    ("declined", "Empty test card", "Always declined, to see what that looks like."),
)
_SOLD_OUT: Final = (
    "There is not enough left of what is listed here. Nothing was ordered or charged; take less of it, or remove it, "
    "and try again."
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
        endpoint = self._visitors.endpoint
        return [
            Route("/checkout", endpoint(self._checkout), methods=["GET", "POST"]),
            Route("/order/{order_id:uuid}", endpoint(self._show_order), methods=["GET"]),
        ]

    async def _checkout(self, visitor: Visitor, scope: Scope, receive: Receive) -> Shown | LedTo:
        if scope["method"] != "POST":
            return await self._begin(visitor)
        form = await self._visitors.form(visitor, scope, receive)
        intent = self._intents.opened(form.get("intent", ""), visitor.session.session_id, self._clock())
        if intent is None:
            raise Problem(409, "form-too-old", "This form is too old", "Nothing was ordered. Open the checkout again.")
        return await self._order(intent, form, visitor)

    async def _begin(self, visitor: Visitor) -> Shown | LedTo:
        cart = await self._carts.get(visitor.session.cart_id)
        priced = await self._priced(cart.lines)
        if not priced.for_sale:
            return LedTo("/cart", cart_count=cart.count)
        return self._form(priced, empty_buyer(), visitor.session.session_id, priced.total_cents)

    async def _order(self, intent: Intent, form: Mapping[str, str], visitor: Visitor) -> Shown | LedTo:
        buyer = read_buyer(form)
        if buyer.errors:
            return await self._form_again(intent, buyer, 422)
        outcome = await self._orders.place(
            OrderRequest(intent.key, customer_of(buyer.email), intent.lines, buyer.payment_token, intent.total_cents)
        )
        match outcome:
            case Placed(order=order):
                return LedTo(f"/order/{order.id}", cart_count=await self._count_after(order, intent, visitor))
            case Refused():
                return await self._after_refusal(outcome, intent, buyer)
            case Unknown(why=why):
                self._log.warning("the outcome of an order is not known yet", why=why)
                return self._look_again(form)

    async def _after_refusal(self, refused: Refused, intent: Intent, buyer: Buyer) -> Shown:
        if refused.code == "price-changed" and refused.total_cents is not None:
            return await self._form_again(intent, buyer, 409, refused.total_cents)
        if refused.code == "payment-declined":
            told = "The payment was declined. Nothing was ordered or charged; choose another way to pay."
            return await self._form_again(intent, Buyer(buyer.values, {"payment": told}), 402)
        if refused.code == "out-of-stock":
            names = await self._names(refused.product_ids)
            return self._words("Somebody was quicker", _SOLD_OUT, 409, [names[one] for one in refused.product_ids])
        told = f"{refused.detail or refused.title} Nothing was ordered by this form."
        return self._words("This could not be ordered", told, refused.status)

    async def _form_again(self, intent: Intent, buyer: Buyer, status: int, total_cents: int | None = None) -> Shown:
        """Nothing was sold under this key: a new form, a new key, prices of now or the total that checkout names."""
        priced = await self._priced(intent.lines)
        total_cents = priced.total_cents if total_cents is None else total_cents
        return self._form(priced, buyer, intent.session_id, total_cents, status, shown_before_cents=intent.total_cents)

    def _form(
        self,
        priced: PricedCart,
        buyer: Buyer,
        session_id: str,
        total_cents: int,
        status: int = 200,
        shown_before_cents: int | None = None,
    ) -> Shown:
        changed = shown_before_cents is not None and shown_before_cents != total_cents
        intent = self._intents.new(session_id, priced.for_sale, total_cents, self._clock())
        page = self._renderer.page(
            "checkout.html",
            intent=self._intents.sealed(intent),
            cart=priced,
            total_cents=total_cents,
            changed_from=shown_before_cents if changed else None,
            buyer=buyer,
            payments=_PAYMENTS,
        )
        return Shown(page, status)

    def _words(self, title: str, text: str, status: int, names: Sequence[str] = ()) -> Shown:
        links = [("Back to the cart", "/cart")]
        return Shown(self._renderer.page("refused.html", title=title, text=text, names=names, links=links), status)

    def _look_again(self, form: Mapping[str, str]) -> Shown:
        """The same form with the same key, to be sent as often as needed."""
        fields = {name: form.get(name, "") for name in ("email", "name", "street", "town", "payment")}
        page = self._renderer.page("unknown.html", intent=form["intent"], fields=fields)
        return Shown(page, 503, ((b"retry-after", b"2"),))

    async def _show_order(self, visitor: Visitor, scope: Scope, receive: Receive) -> Shown:
        order = await self._orders.find(str(scope["path_params"]["order_id"]))
        if order is None:
            raise Problem(404, "not-found", "There is no such order")
        names = await self._names([line.product_id for line in order.lines])
        return Shown(
            self._renderer.page(
                "order.html",
                order=order,
                lines=[(line, names[line.product_id]) for line in order.lines],
                reason=_REASONS.get((order.reason or "").split(" ")[0], "It was rejected."),
            )
        )

    async def _count_after(self, order: Order, intent: Intent, visitor: Visitor) -> int | None:
        """How many things are in the cart now; None: not known, so the badge stays as it is."""
        if order.state == "rejected":
            return None
        try:
            return (await self._carts.clear_ordered(visitor.session.cart_id, intent.lines)).count
        except (UpstreamUnavailable, StoreUnavailable, Problem) as error:
            self._log.warning("an ordered cart was not emptied", error=str(error))
            return None

    async def _priced(self, lines: Sequence[CartLine]) -> PricedCart:
        ids = [line.product_id for line in lines]
        return PricedCart.of(Cart(tuple(lines)), await self._storefront.offers(ids, WITH_PRICES, with_stock=False))

    async def _names(self, ids: Sequence[int]) -> Mapping[int, str]:
        """What the products are called; when the catalogue is away, by their numbers."""
        try:
            offers = await self._storefront.offers(
                ids, OptionalParts(images=False, recommendations=False, dynamic_pricing=False), with_stock=False
            )
        except (UpstreamUnavailable, StoreUnavailable, Problem):
            offers = {}
        return {one: offers[one].product.name if one in offers else f"Product {one}" for one in ids}
