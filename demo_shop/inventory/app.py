"""Inventory: what is on the shelf and who it is promised to. Never promises more than there is."""

from __future__ import annotations

from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import FastAPI, Path
from prometheus_client import Counter, Gauge

from demo_shop.frame.background import every
from demo_shop.frame.frame import Frame
from demo_shop.frame.grace import Graced
from demo_shop.frame.in_flight import InFlight
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import ProductId, ProductIds, parse_product_ids
from demo_shop.inventory.batching import Batching
from demo_shop.inventory.bodies import DeliveryBody, LinesBody
from demo_shop.inventory.books import Release, StockBooks
from demo_shop.inventory.contention import LockContention
from demo_shop.inventory.model import Ask, Differs, Held, Outcome, Released, Short, State
from demo_shop.inventory.shelves import KeyOfAnotherDelivery, Shelves

_MOST_IN_A_BATCH: Final = 32
_LANES: Final = 2  # per kind of work: while one batch waits for its commit, another may hold other rows
_MORE_THAN_AT_CHECKOUT: Final = 4  # one process serves several of checkout, and those may wait for the primary
_TOTALS_EVERY_S: Final = 10.0
_SWEEP_EVERY_S: Final = 60.0

OrderId = Annotated[UUID, Path(description="Id of the order")]


def create(frame: Frame) -> FastAPI:
    """The role's app; its background work is registered with the frame."""
    desk = Desk(frame)
    app = FastAPI(title="Inventory", docs_url=None, redoc_url=None)
    app.put("/reservations/{order_id}")(desk.reserve)
    app.post("/reservations/{order_id}/sell")(desk.sell)
    app.post("/reservations/{order_id}/release")(desk.release)
    app.get("/stock")(desk.stock)
    app.post("/stock/{product_id}/deliveries")(desk.deliver)
    return app


class Desk:
    """The parts of inventory, put together, and its routes."""

    def __init__(self, frame: Frame) -> None:
        primary = frame.primary()
        books = StockBooks(primary)
        self._shelves = Shelves(primary, frame.replica())
        self._reserving = Batching(books.reserve, most=_MOST_IN_A_BATCH, lanes=_LANES)
        self._selling = Batching(books.sell, most=_MOST_IN_A_BATCH, lanes=_LANES)
        self._releasing = Batching(books.release, most=_MOST_IN_A_BATCH, lanes=_LANES)
        registry = frame.metrics.registry
        most = frame.settings.most_in_flight * _MORE_THAN_AT_CHECKOUT
        self._in_flight = InFlight(lambda: most, registry)
        self._available = Gauge("shop_stock_available", "Units that may still be sold", registry=registry)
        self._low = Gauge("shop_stock_low_products", "Products with fewer than 5 of them", registry=registry)
        self._forgotten = Counter(
            "shop_reservations_forgotten_total", "Reservations released since no order stood behind", registry=registry
        )
        frame.background("stock totals", lambda: every(_TOTALS_EVERY_S, self._measure))
        frame.background("reservation sweeper", lambda: every(_SWEEP_EVERY_S, self._sweep))
        frame.background("lock contention", LockContention(primary, frame.faults, frame.clock).run)
        frame.ready_when("postgres", Graced(primary.answers, frame.clock))

    async def reserve(self, order_id: OrderId, body: LinesBody) -> dict[str, Any]:
        """Holds all lines for the order, or none. Asking again answers what is in the books."""
        with self._in_flight.one_more():
            state = _state_or_problem(await self._reserving.submit(Ask(order_id, body.in_order())))
        return {"order_id": str(order_id), "state": state.value}

    async def sell(self, order_id: OrderId) -> dict[str, Any]:
        """What was held leaves the shelf."""
        with self._in_flight.one_more():
            return _settled(order_id, State.SOLD, await self._selling.submit(order_id))

    async def release(self, order_id: OrderId, body: LinesBody | None = None) -> dict[str, Any]:
        """What was held may be sold to others; with lines, a reservation that comes late is refused."""
        lines = () if body is None else body.in_order()
        with self._in_flight.one_more():
            return _settled(order_id, State.RELEASED, await self._releasing.submit(Release(order_id, lines)))

    async def stock(self, ids: ProductIds) -> dict[str, Any]:
        """Units available; unknown products are left out."""
        available = await self._shelves.available(parse_product_ids(ids))
        return {"items": [{"product_id": product_id, "available": units} for product_id, units in available.items()]}

    async def deliver(self, product_id: ProductId, body: DeliveryBody) -> dict[str, Any]:
        """Goods arrive, once per key."""
        try:
            available = await self._shelves.deliver(product_id, body.quantity, body.key)
        except KeyOfAnotherDelivery as error:
            raise Problem(422, "delivery-key-reused", "The key belongs to another delivery", str(error)) from error
        if available is None:
            raise Problem(404, "unknown-product", "There is no such product", f"product {product_id} is not stocked")
        return {"product_id": product_id, "available": available}

    async def _measure(self) -> None:
        totals = await self._shelves.totals()
        self._available.set(totals.available)
        self._low.set(totals.low_products)

    async def _sweep(self) -> None:
        for order_id in await self._shelves.forgotten():
            await self._releasing.submit(Release(order_id))
            self._forgotten.inc()


def _state_or_problem(outcome: Outcome) -> State:
    match outcome:
        case Held(state):
            return state
        case Short(product_ids):
            told = f"Take out or reduce product {', '.join(map(str, product_ids))}."
            raise Problem(409, "out-of-stock", "Not enough in stock", told, product_ids=list(product_ids))
        case Released():
            raise Problem(409, "reservation-released", "The order was given up; nothing is held for it any more")
        case Differs():
            raise Problem(409, "reservation-differs", "The order holds other lines", "One order, one set of lines.")


def _settled(order_id: UUID, wanted: State, state: State | None) -> dict[str, Any]:
    if state is None:
        raise Problem(404, "unknown-reservation", "Nothing was ever held for this order")
    if state is not wanted:
        raise Problem(409, f"reservation-{state.value}", f"The reservation is {state.value}, not {wanted.value}")
    return {"order_id": str(order_id), "state": state.value}
