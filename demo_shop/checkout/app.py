"""Checkout: orders, each made exactly once (docs/demo-shop.md, "How an order is made, and why none is lost")."""

from __future__ import annotations

import asyncio
import random
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Query
from fastapi.responses import JSONResponse

from demo_shop.checkout.bodies import (
    IdempotencyKey,
    OrderBody,
    problem_of,
    problem_of_refusal,
)
from demo_shop.checkout.books import OrderBooks, OrderShelf
from demo_shop.checkout.errors import CheckoutError, OutcomeUnknown
from demo_shop.checkout.model import Order, Quote, Wish
from demo_shop.checkout.partners import InventoryService, PaymentService
from demo_shop.checkout.placing import Deadline, Placed, Placing
from demo_shop.checkout.quotes import BasePrices, CurrentPrices, quote
from demo_shop.checkout.relay import Delivery, OrderStream, Relay
from demo_shop.checkout.saga import Saga
from demo_shop.checkout.sweeper import Sweeper
from demo_shop.checkout.telemetry import CheckoutMetrics
from demo_shop.frame import context
from demo_shop.frame.background import every
from demo_shop.frame.frame import Frame
from demo_shop.frame.grace import Graced
from demo_shop.frame.in_flight import InFlight
from demo_shop.frame.problems import Problem, StoreUnavailable

LONGEST_REQUEST_S: Final = 12.0  # a database switchover fits in, so that clients wait for it rather than fail
_MARGIN_S: Final = 0.1  # the answer has to travel before the caller gives up
_MORE_WHILE_STALLED: Final = 4  # a switchover of 5 s at 20 orders/s leaves 100 waiting
_SWEEP_EVERY_S: Final = 1.0
_SWEEP_PATIENCE_S: Final = 5.0
_TIDY_EVERY_S: Final = 60.0


def create(frame: Frame) -> FastAPI:
    """The role's app; its background work is registered with the frame."""
    desk = Desk(frame)
    app = FastAPI(title="Checkout", docs_url=None, redoc_url=None)
    app.post("/orders", status_code=201)(desk.order)
    app.get("/orders/{order_id}")(desk.show)
    app.get("/orders")(desk.list)
    return app


class Desk:
    """The parts of checkout, put together, and its three routes."""

    def __init__(self, frame: Frame) -> None:
        self._most_in_flight = frame.settings.most_in_flight
        self._in_flight = InFlight(self._most_now, frame.metrics.registry)
        self._log = frame.log
        self._metrics = CheckoutMetrics(frame.metrics.registry)
        primary, replica = frame.primary(), frame.replica()
        self._primary = primary
        inventory, payment = InventoryService(frame.upstream("inventory")), PaymentService(frame.upstream("payment"))
        stream = OrderStream(frame.redis(), self._metrics.stream_failures.inc)
        self._relay = Relay(
            primary, Delivery(inventory, payment, stream), frame.log, frame.clock, self._metrics.backlog
        )
        books = OrderBooks(primary, self._decided)
        saga = Saga(books, inventory, payment)
        self._shelf = OrderShelf(replica, books)
        self._current_prices = CurrentPrices(frame.upstream("pricing"), frame.clock)
        self._base_prices = BasePrices(replica, frame.clock)
        self._placing = Placing(books, saga, self._price)
        self._sweeper = Sweeper(books, saga, lambda: _patience(_SWEEP_PATIENCE_S))
        frame.background("outbox relay", self._relay.run)
        frame.background("order sweeper", self._sweep)
        frame.background("outbox tidying", lambda: every(_TIDY_EVERY_S, self._relay.forget_old))
        frame.ready_when("postgres", Graced(primary.answers, frame.clock))

    async def order(self, body: OrderBody, idempotency_key: IdempotencyKey) -> JSONResponse:
        """Makes the order, or finds the one made before under the same key."""
        with self._in_flight.one_more():
            placed = await self._placed(body.wish(), idempotency_key)
        if placed.order.refusal is not None:
            raise problem_of_refusal(placed.order, placed.order.refusal)
        return JSONResponse(placed.order.public(), 200 if placed.replayed else 201)

    async def show(self, order_id: UUID) -> dict[str, Any]:
        order = await self._shelf.order(order_id)
        if order is None:
            raise Problem(404, "unknown-order", "There is no such order")
        return order.public()

    async def list(self, customer_id: Annotated[str, Query(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")]) -> dict[str, Any]:
        return {"items": [order.public() for order in await self._shelf.orders_of(customer_id)]}

    def _most_now(self) -> int:
        """Orders that may be in flight. While the primary moves they only wait, which costs little and saves errors."""
        return self._most_in_flight * (_MORE_WHILE_STALLED if self._primary.is_stalled else 1)

    async def _placed(self, wish: Wish, key: str) -> Placed:
        synthetic = context.synthetic.get() == "probe"
        patience = _patience_of_caller()
        try:
            return await self._placing.place(wish, key, patience, synthetic=synthetic)
        except OutcomeUnknown as error:
            self._metrics.unknown(synthetic=synthetic)
            self._log.warning("an order's outcome is unknown", why=str(error))
            raise problem_of(error) from error
        except CheckoutError as error:
            raise problem_of(error) from error

    async def _price(self, wish: Wish) -> Quote:
        quoted = await quote(wish.lines, self._current_prices, self._base_prices)
        if quoted.degraded:
            self._metrics.degraded.inc()
        return quoted

    def _decided(self, order: Order) -> None:
        self._metrics.decided(order)
        self._relay.wake()

    async def _sweep(self) -> None:
        while True:
            try:
                while decided := await self._sweeper.sweep():  # after an outage there are more than fit in one round
                    self._metrics.resumed.inc(decided)
            except StoreUnavailable as error:
                self._log.warning("stranded orders cannot be read", why=str(error))
            await asyncio.sleep(_SWEEP_EVERY_S * random.uniform(0.8, 1.2))  # processes do not look in step


def _patience(seconds: float) -> Deadline:
    loop = asyncio.get_running_loop()
    return Deadline(loop.time() + seconds, loop.time)


def _patience_of_caller() -> Deadline:
    """What is left of the caller's own deadline, at most 12 s; calls to other services are bound by it too."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + LONGEST_REQUEST_S
    if (callers_s := context.deadline_s.get()) is not None:
        until_s = min(until_s, callers_s - _MARGIN_S)
    context.deadline_s.set(until_s)
    return Deadline(until_s, loop.time)
