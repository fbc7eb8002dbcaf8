"""The stock's books in PostgreSQL.

Whoever changes stock first locks the rows of all its products in the order of their ids, so no two can wait for each
other; what is then read is what will be written. An answer from the books writes too: its commit waits for the
standby, and covers an earlier one whose wait was cut short.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database
from demo_shop.inventory.model import Allotment, Ask, Line, Outcome, Reservation, State, Stock, allot

_WITHIN_S: Final = 5.0

_LOCK: Final = (
    "SELECT product_id, on_hand, reserved FROM stock WHERE product_id = ANY(%s) ORDER BY product_id FOR UPDATE"
)

_STANDING: Final = """
    SELECT order_id, jsonb_agg(jsonb_build_array(product_id, quantity) ORDER BY product_id) AS lines,
           min(state) AS state
    FROM reservations WHERE order_id = ANY(%s) GROUP BY order_id
"""

# Reservations of one order always have one state. `touched` writes where there is nothing else to write.
_HOLD: Final = """
    WITH held AS (
        INSERT INTO reservations (order_id, product_id, quantity, state)
        SELECT line.order_id, line.product_id, line.quantity, 'held'
        FROM unnest(%(orders)s::uuid[], %(products)s::int[], %(quantities)s::int[])
             AS line(order_id, product_id, quantity)
    ), touched AS (
        UPDATE reservations SET state = state WHERE order_id = ANY(%(again)s)
    )
    UPDATE stock SET reserved = reserved + added.units
    FROM unnest(%(added_products)s::int[], %(added_units)s::int[]) AS added(product_id, units)
    WHERE stock.product_id = added.product_id
"""

_LOCK_OF_ORDERS: Final = """
    SELECT product_id FROM stock
    WHERE product_id IN (SELECT product_id FROM reservations WHERE order_id = ANY(%(orders)s))
       OR product_id = ANY(%(products)s::int[])
    ORDER BY product_id FOR UPDATE
"""

_SELL: Final = """
    WITH sold AS (
        UPDATE reservations SET state = 'sold', decided_at = now()
        WHERE order_id = ANY(%(orders)s) AND state = 'held' RETURNING order_id, product_id, quantity
    ), touched AS (
        UPDATE reservations SET state = state WHERE order_id = ANY(%(orders)s) AND state = 'sold'
    ), told AS (
        INSERT INTO stock_movements (key, product_id, quantity)
        SELECT order_id::text, product_id, -quantity FROM sold
    )
    UPDATE stock SET on_hand = on_hand - gone.units, reserved = reserved - gone.units
    FROM (SELECT product_id, sum(quantity) AS units FROM sold GROUP BY product_id) AS gone
    WHERE stock.product_id = gone.product_id
"""

# The lines given are written down as released where nothing is held: a reservation that comes late finds them.
_RELEASE: Final = """
    WITH released AS (
        UPDATE reservations SET state = 'released', decided_at = now()
        WHERE order_id = ANY(%(orders)s) AND state = 'held' RETURNING product_id, quantity
    ), touched AS (
        UPDATE reservations SET state = state WHERE order_id = ANY(%(orders)s) AND state = 'released'
    ), refused AS (
        INSERT INTO reservations (order_id, product_id, quantity, state, decided_at)
        SELECT late.order_id, late.product_id, late.quantity, 'released', now()
        FROM unnest(%(late_orders)s::uuid[], %(products)s::int[], %(quantities)s::int[])
             AS late(order_id, product_id, quantity)
        WHERE NOT EXISTS (SELECT FROM reservations WHERE order_id = late.order_id)
          AND EXISTS (SELECT FROM stock WHERE product_id = late.product_id)
    )
    UPDATE stock SET reserved = reserved - back.units
    FROM (SELECT product_id, sum(quantity) AS units FROM released GROUP BY product_id) AS back
    WHERE stock.product_id = back.product_id
"""


@dataclass(frozen=True, slots=True)
class Release:
    """An order to give up. `lines` is what it would have held, if the caller knows."""

    order_id: UUID
    lines: tuple[Line, ...] = ()


class StockBooks:
    """All raise `StoreUnavailable`: what became of it is then unknown, and asking again finds out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def reserve(self, asks: Sequence[Ask]) -> Sequence[Outcome]:
        """What each ask got."""
        products = sorted({line.product_id for ask in asks for line in ask.lines})
        orders = list({ask.order_id for ask in asks})

        async def work(connection: Connection) -> Sequence[Outcome]:
            async with connection.pipeline():
                locked = await connection.execute(_LOCK, (products,))
                standing = await connection.execute(_STANDING, (orders,))
                stock = {row["product_id"]: Stock(row["on_hand"], row["reserved"]) for row in await locked.fetchall()}
                before = _reservations(await standing.fetchall())
            allotment = allot(asks, stock, before)
            if allotment.fresh or before:
                await connection.execute(_HOLD, _to_hold(allotment, list(before)))
            return allotment.outcomes

        return await self._database.transaction(work, deadline_s=_WITHIN_S)

    async def sell(self, order_ids: Sequence[UUID]) -> Sequence[State | None]:
        """The state of each order's reservation, sold if it was held; None: there is none."""
        orders = list(set(order_ids))

        async def work(connection: Connection) -> dict[UUID, Reservation]:
            return await _settled(connection, _SELL, {"orders": orders, "products": []}, orders)

        after = await self._database.transaction(work, deadline_s=_WITHIN_S)
        return [after[order_id].state if order_id in after else None for order_id in order_ids]

    async def release(self, releases: Sequence[Release]) -> Sequence[State | None]:
        """The state of each order's reservation, released if it was held; None: there is none, nor were lines given."""
        by_order = {release.order_id: release for release in releases}
        orders = list(by_order)
        late = [(release.order_id, line) for release in by_order.values() for line in release.lines]
        values = {
            "orders": orders,
            "late_orders": [order_id for order_id, _ in late],
            "products": [line.product_id for _, line in late],
            "quantities": [line.quantity for _, line in late],
        }

        async def work(connection: Connection) -> dict[UUID, Reservation]:
            return await _settled(connection, _RELEASE, values, orders)

        after = await self._database.transaction(work, deadline_s=_WITHIN_S)
        return [after[r.order_id].state if r.order_id in after else None for r in releases]


async def _settled(
    connection: Connection, statement: str, values: dict[str, Any], orders: list[UUID]
) -> dict[UUID, Reservation]:
    async with connection.pipeline():
        await connection.execute(_LOCK_OF_ORDERS, values)
        await connection.execute(statement, values)
        standing = await connection.execute(_STANDING, (orders,))
        return _reservations(await standing.fetchall())


def _reservations(rows: Sequence[dict[str, Any]]) -> dict[UUID, Reservation]:
    return {
        row["order_id"]: Reservation(
            tuple(Line(product_id, quantity) for product_id, quantity in row["lines"]), State(row["state"])
        )
        for row in rows
    }


def _to_hold(allotment: Allotment, again: list[UUID]) -> dict[str, Any]:
    lines = [(ask.order_id, line) for ask in allotment.fresh for line in ask.lines]
    added = allotment.added
    return {
        "orders": [order_id for order_id, _ in lines],
        "products": [line.product_id for _, line in lines],
        "quantities": [line.quantity for _, line in lines],
        "again": again,
        "added_products": list(added),
        "added_units": list(added.values()),
    }
