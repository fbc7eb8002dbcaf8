"""Stock apart from orders: what is available, what is delivered, what was promised to orders that never came to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from demo_shop.frame.connections import Connection
from demo_shop.frame.database import Database

LOW_STOCK: Final = 5  # fewer than this may be sold out by the next visitors
FORGOTTEN_AFTER_MIN: Final = 15
MOST_ON_HAND: Final = 2**31 - 1

# `xmax = 0` tells an inserted row from one that was there. The row of a known key is written again, so that the
# commit waits for the standby whatever happened to the first one's.
_DELIVER: Final = """
    WITH moved AS (
        INSERT INTO stock_movements AS m (key, product_id, quantity)
        SELECT %(key)s, product_id, %(quantity)s FROM stock WHERE product_id = %(product)s
        ON CONFLICT (key, product_id) DO UPDATE SET quantity = m.quantity
        RETURNING m.product_id, m.quantity, (m.xmax = 0) AS fresh
    )
    UPDATE stock SET on_hand = on_hand + CASE WHEN moved.fresh THEN moved.quantity ELSE 0 END
    FROM moved WHERE stock.product_id = moved.product_id
    RETURNING stock.on_hand - stock.reserved AS available, moved.quantity
"""

# The orders' table is in the same database. A shop with a database per service would ask checkout instead.
_FORGOTTEN: Final = """
    SELECT DISTINCT r.order_id FROM reservations r LEFT JOIN orders o ON o.id = r.order_id
    WHERE r.state = 'held' AND r.created_at < now() - make_interval(mins => %(minutes)s)
      AND (o.id IS NULL OR o.state = 'rejected')
    LIMIT %(most)s
"""


class KeyOfAnotherDelivery(Exception):
    """The key was used for another quantity."""


@dataclass(frozen=True, slots=True)
class Totals:
    available: int
    low_products: int  # with fewer than 5 available


class Shelves:
    """All raise `StoreUnavailable`."""

    def __init__(self, primary: Database, replica: Database) -> None:
        self._primary, self._replica = primary, replica

    async def available(self, product_ids: Sequence[int]) -> Mapping[int, int]:
        """Units that may still be sold, by product, as the replica knows them; unknown products are left out."""
        rows = await self._replica.rows(
            "SELECT product_id, on_hand - reserved AS available FROM stock WHERE product_id = ANY(%s)",
            (list(product_ids),),
        )
        return {row["product_id"]: row["available"] for row in rows}

    async def totals(self) -> Totals:
        rows = await self._replica.rows(
            "SELECT coalesce(sum(on_hand - reserved), 0)::bigint AS available, "
            "count(*) FILTER (WHERE on_hand - reserved < %s) AS low FROM stock",
            (LOW_STOCK,),
        )
        return Totals(rows[0]["available"], rows[0]["low"])

    async def deliver(self, product_id: int, quantity: int, key: str) -> int | None:
        """Units available after the delivery, which counts once per key; None: no such product.

        Raises `KeyOfAnotherDelivery`.
        """
        values = {"key": f"delivery:{key}", "product": product_id, "quantity": quantity}

        async def work(connection: Connection) -> tuple[int, int] | None:
            cursor = await connection.execute(_DELIVER, values)
            row = await cursor.fetchone()
            return None if row is None else (row["available"], row["quantity"])

        delivered = await self._primary.transaction(work, deadline_s=5.0)
        if delivered is None:
            return None
        available, booked = delivered
        if booked != quantity:
            raise KeyOfAnotherDelivery(f"the key was used for a delivery of {booked}")
        return available

    async def forgotten(self, most: int = 50) -> list[UUID]:
        """Orders that hold stock for more than 15 minutes although they were rejected or never came to be."""
        rows = await self._primary.rows(_FORGOTTEN, {"minutes": FORGOTTEN_AFTER_MIN, "most": most})
        return [row["order_id"] for row in rows]
