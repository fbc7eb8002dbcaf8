"""The payments' books in PostgreSQL: one row per order, whatever happens in whichever order.

Each statement writes even where nothing changes: its commit waits for the standby, and so covers an earlier commit of
the same row whose wait was cut short.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from demo_shop.frame.database import Database
from demo_shop.payment.model import State

_WITHIN_S: Final = 5.0

_BOOK: Final = """
    INSERT INTO payments AS p (order_id, amount_cents, state) VALUES (%(order)s, %(amount)s, %(state)s)
    ON CONFLICT (order_id) DO UPDATE SET amount_cents = p.amount_cents
    RETURNING p.order_id, p.amount_cents, p.state
"""

# A refund that comes before its payment leaves a row that refuses the payment.
_REFUND: Final = """
    INSERT INTO payments AS p (order_id, amount_cents, state, refunded_at) VALUES (%(order)s, 0, 'refunded', now())
    ON CONFLICT (order_id) DO UPDATE SET
        state = CASE p.state WHEN 'captured' THEN 'refunded' ELSE p.state END,
        refunded_at = CASE p.state WHEN 'captured' THEN now() ELSE p.refunded_at END
    RETURNING p.order_id, p.amount_cents, p.state
"""


@dataclass(frozen=True, slots=True)
class Payment:
    order_id: UUID
    amount_cents: int
    state: State


class PaymentBooks:
    """Both raise `StoreUnavailable`: what became of it is then unknown, and asking again finds out."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def book(self, order_id: UUID, amount_cents: int, state: State) -> Payment:
        """What the books say about the order: this, unless they said something before."""
        return await self._write(_BOOK, {"order": order_id, "amount": amount_cents, "state": state.value})

    async def refund(self, order_id: UUID) -> Payment:
        """What the books say afterwards. A declined payment stays declined."""
        return await self._write(_REFUND, {"order": order_id})

    async def _write(self, statement: str, values: dict[str, Any]) -> Payment:
        # One order's row: nobody holds its lock for longer than a commit takes.
        (row,) = await self._database.statement(statement, values, deadline_s=_WITHIN_S)
        return Payment(row["order_id"], row["amount_cents"], State(row["state"]))
