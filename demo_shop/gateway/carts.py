"""Carts as the cart service keeps them, and what a shopper sees of one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo_shop.frame.problems import Problem, UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream
from demo_shop.gateway.goods import Offer, understood

CART_TIMEOUT_S: Final = 1.5
MOST_QUANTITY: Final = 99


@dataclass(frozen=True, slots=True)
class CartLine:
    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class Cart:
    lines: tuple[CartLine, ...] = ()

    @property
    def count(self) -> int:
        return sum(line.quantity for line in self.lines)

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Cart:
        return Cart(tuple(CartLine(int(one["product_id"]), int(one["quantity"])) for one in body["lines"]))


@dataclass(frozen=True, slots=True)
class PricedLine:
    """A line with what the shop knows of its product; offer None: it is not sold any more."""

    line: CartLine
    offer: Offer | None

    @property
    def total_cents(self) -> int:
        return 0 if self.offer is None else self.line.quantity * self.offer.price_cents


@dataclass(frozen=True, slots=True)
class PricedCart:
    lines: tuple[PricedLine, ...]

    @staticmethod
    def of(cart: Cart, offers: Mapping[int, Offer]) -> PricedCart:
        return PricedCart(tuple(PricedLine(line, offers.get(line.product_id)) for line in cart.lines))

    @property
    def total_cents(self) -> int:
        return sum(line.total_cents for line in self.lines)

    @property
    def for_sale(self) -> tuple[CartLine, ...]:
        return tuple(priced.line for priced in self.lines if priced.offer is not None)

    @property
    def count(self) -> int:
        return sum(priced.line.quantity for priced in self.lines)


class Carts:
    """The cart service. Its refusals (a full cart, too many of one thing) are raised as they are, as `Problem`."""

    def __init__(self, upstream: Upstream, new_key: Callable[[], str] = lambda: secrets.token_hex(16)) -> None:
        self._upstream, self._new_key = upstream, new_key

    async def get(self, cart_id: str) -> Cart:
        return _cart(await self._upstream.get(f"/carts/{cart_id}", timeout_s=CART_TIMEOUT_S, hedge=True))

    async def add(self, cart_id: str, product_id: int, quantity: int) -> Cart:
        line = {"product_id": product_id, "quantity": quantity}
        answer = await self._upstream.post(
            f"/carts/{cart_id}/lines",
            json=line,
            headers={"Idempotency-Key": self._new_key()},  # added once, also when the call is made again
            timeout_s=CART_TIMEOUT_S,
            idempotent=True,
        )
        return await self._after(cart_id, answer)

    async def change(self, cart_id: str, product_id: int, quantity: int) -> Cart:
        """0 removes the line."""
        answer = await self._upstream.put(
            f"/carts/{cart_id}/lines/{product_id}", json={"quantity": quantity}, timeout_s=CART_TIMEOUT_S
        )
        return await self._after(cart_id, answer)

    async def clear(self, cart_id: str) -> None:
        _refused(await self._upstream.delete(f"/carts/{cart_id}", timeout_s=CART_TIMEOUT_S))

    async def clear_ordered(self, cart_id: str, ordered: Sequence[CartLine]) -> Cart:
        """Empties the cart if it still is what was ordered; what was put in meanwhile stays."""
        cart = await self.get(cart_id)
        if set(cart.lines) != set(ordered):
            return cart
        await self.clear(cart_id)
        return Cart()

    async def _after(self, cart_id: str, answer: Answer) -> Cart:
        """The cart that a change left, from its answer where that tells it."""
        _refused(answer)
        if isinstance(answer.json, dict) and "lines" in answer.json:
            return _cart(answer)
        return await self.get(cart_id)


def _cart(answer: Answer) -> Cart:
    _refused(answer)
    with understood("cart"):
        return Cart.parse(answer.json)


def _refused(answer: Answer) -> None:
    if answer.status < 400:
        return
    body = answer.json if isinstance(answer.json, dict) else {}
    if answer.status not in (404, 409, 422):
        raise UpstreamUnavailable("cart", f"it answered {answer.status}")
    raise Problem(
        answer.status,
        str(body.get("code", "cart-refused")),
        str(body.get("title", "The cart refused this")),
        str(body["detail"]) if body.get("detail") else None,
    )
