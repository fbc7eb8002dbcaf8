"""The steps that bring an order from pending to its end. Each may be taken any number of times by any process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from demo_shop.checkout.errors import Overtaken
from demo_shop.checkout.model import Line, Order, OrderState, PricedLine, Refusal, RefusalCode


class Inventory(Protocol):
    """Keyed by the order's id: asking again answers what is in its books. Both raise `StepUnavailable`."""

    async def reserve(self, order_id: UUID, lines: Sequence[Line], patience_s: float) -> tuple[int, ...]:
        """Products that are out of stock; none: all lines are held for the order. Raises `Overtaken`."""


class Payment(Protocol):
    async def capture(self, order_id: UUID, amount_cents: int, payment_token: str, patience_s: float) -> bool:
        """Whether the money is taken; False: the payment was declined. Raises `StepUnavailable`, `Overtaken`."""


class Decisions(Protocol):
    async def decide(self, order: Order, state: OrderState, refusal: Refusal | None, patience_s: float) -> Order:
        """The order as decided, by this call or by an earlier one; what it says is certain to last.

        Raises `StepUnavailable`.
        """


class Patience(Protocol):
    def left_s(self) -> float:
        """Seconds that may still be spent; 0 when the time is over."""


class Saga:
    """Reserve, then charge, then confirm; what was taken for a rejected order is given back by the outbox's relay."""

    def __init__(self, decisions: Decisions, inventory: Inventory, payment: Payment) -> None:
        self._decisions, self._inventory, self._payment = decisions, inventory, payment

    async def finish(self, order: Order, patience: Patience) -> Order:
        """The decided order. Raises `StepUnavailable` when a step got no answer in time: the order stays pending."""
        try:
            refusal = await self._take(order, patience)
        except Overtaken:
            # Its reservation was released or its payment refunded, which happens to rejected orders only.
            refusal = Refusal(RefusalCode.ABANDONED)
        if refusal is not None:
            return await self._decisions.decide(order, OrderState.REJECTED, refusal, patience.left_s())
        return await self._decisions.decide(order, OrderState.CONFIRMED, None, patience.left_s())

    async def abandon(self, order: Order, patience: Patience) -> Order:
        """The order, rejected unless somebody decided otherwise before."""
        refusal = Refusal(RefusalCode.ABANDONED)
        return await self._decisions.decide(order, OrderState.REJECTED, refusal, patience.left_s())

    async def _take(self, order: Order, patience: Patience) -> Refusal | None:
        short = await self._inventory.reserve(order.id, _unpriced(order.lines), patience.left_s())
        if short:
            return Refusal(RefusalCode.OUT_OF_STOCK, short)
        if not await self._payment.capture(order.id, order.total_cents, order.payment_token, patience.left_s()):
            return Refusal(RefusalCode.PAYMENT_DECLINED)
        return None


def _unpriced(lines: Sequence[PricedLine]) -> tuple[Line, ...]:
    return tuple(Line(line.product_id, line.quantity) for line in lines)
