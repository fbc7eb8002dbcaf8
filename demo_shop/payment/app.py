"""Payment: a stub with a bank's latency and refusals, and with real books."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID
from zlib import crc32

from fastapi import FastAPI, Path
from prometheus_client import Counter
from pydantic import BaseModel, ConfigDict, Field

from demo_shop.faults.board import FaultBoard
from demo_shop.faults.catalogue import FaultName
from demo_shop.frame import context
from demo_shop.frame.frame import Frame
from demo_shop.frame.grace import Graced
from demo_shop.frame.in_flight import InFlight
from demo_shop.frame.problems import Problem
from demo_shop.payment.books import Payment, PaymentBooks
from demo_shop.payment.model import LatencyModel, State, is_declined

_SEED: Final = 7
_LONGEST_SILENCE_S: Final = 30.0  # for callers that do not say when they give up
_BEYOND_DEADLINE_S: Final = 0.5
_MORE_THAN_AT_CHECKOUT: Final = 4  # one process serves several of checkout, and most of the time here is the bank's

OrderId = Annotated[UUID, Path(description="Id of the order")]


class PaymentBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    amount_cents: int = Field(ge=0, le=2**31 - 1)
    payment_token: str = Field(pattern=r"^tok_[A-Za-z0-9_-]{1,60}$")


class Silence:
    """The fault `payment_timeouts`: calls that never answer, some before and some after the money was booked."""

    def __init__(
        self, faults: FaultBoard, clock: Callable[[], float], pause: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._faults, self._clock, self._pause = faults, clock, pause

    def draw(self, order_id: UUID) -> tuple[bool, bool]:
        """Whether this call is to fall silent before booking, and whether after it."""
        now_s = self._clock()
        if not self._faults.share_hit(FaultName.PAYMENT_TIMEOUTS, now_s):
            return False, False
        seed = self._faults.state(FaultName.PAYMENT_TIMEOUTS, now_s).seed or 0
        before = bool(hashlib.sha256(f"{seed}/{order_id}".encode()).digest()[0] & 1)
        return before, not before

    async def keep(self) -> None:
        """Until the caller has given up. Raises a 504 for the nobody who is left."""
        silence_s = _LONGEST_SILENCE_S
        if (deadline_s := context.deadline_s.get()) is not None:
            silence_s = max(0.0, deadline_s - asyncio.get_running_loop().time()) + _BEYOND_DEADLINE_S
        await self._pause(silence_s)
        raise Problem(504, "bank-silent", "The bank did not answer", "Ask again: the order is charged at most once.")


class Desk:
    """The parts of payment, put together, and its routes."""

    def __init__(self, frame: Frame, pause: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        self._books = PaymentBooks(frame.primary())
        self._pause = pause
        self._latency = LatencyModel()
        self._rng = random.Random(_SEED ^ crc32(frame.settings.pod.encode()))
        self._silence = Silence(frame.faults, frame.clock, pause)
        self._payments = Counter(
            "shop_payments_total", "Answers to payment requests", ["state"], registry=frame.metrics.registry
        )
        most = frame.settings.most_in_flight * _MORE_THAN_AT_CHECKOUT
        self._in_flight = InFlight(lambda: most, frame.metrics.registry)
        frame.ready_when("postgres", Graced(frame.primary().answers, frame.clock))

    async def pay(self, order_id: OrderId, body: PaymentBody) -> dict[str, Any]:
        """Charges the order once. Asking again answers what is in the books."""
        with self._in_flight.one_more():
            return await self._pay(order_id, body)

    async def _pay(self, order_id: UUID, body: PaymentBody) -> dict[str, Any]:
        silent_before, silent_after = self._silence.draw(order_id)
        if silent_before:
            await self._silence.keep()
        await self._pause(self._latency.draw_s(self._rng))
        state = State.DECLINED if is_declined(body.payment_token, order_id) else State.CAPTURED
        payment = await self._books.book(order_id, body.amount_cents, state)
        if silent_after:
            await self._silence.keep()
        self._payments.labels(payment.state.value).inc()
        if payment.state is State.REFUNDED:
            raise Problem(409, "payment-refunded", "The order was given up; it will not be charged any more")
        if payment.amount_cents != body.amount_cents:
            told = f"The books have {payment.amount_cents} cents for this order."
            raise Problem(409, "payment-differs", "The order was charged another amount", told)
        return _shown(payment)

    async def refund(self, order_id: OrderId) -> dict[str, Any]:
        """Gives the money back; an order that was never charged will not be."""
        return _shown(await self._books.refund(order_id))


def create(frame: Frame) -> FastAPI:
    """The role's app."""
    desk = Desk(frame)
    app = FastAPI(title="Payment", docs_url=None, redoc_url=None)
    app.put("/payments/{order_id}")(desk.pay)
    app.post("/payments/{order_id}/refund")(desk.refund)
    return app


def _shown(payment: Payment) -> dict[str, Any]:
    return {"order_id": str(payment.order_id), "state": payment.state.value, "amount_cents": payment.amount_cents}
