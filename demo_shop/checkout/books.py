"""The orders' books in PostgreSQL.

Whatever is told to a client was covered by a commit that waited for the synchronous standby, and by no read alone: a
row can be visible here although its commit stopped waiting. So every statement that precedes an answer writes.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from psycopg.types.json import Jsonb

from demo_shop.checkout.errors import StepUnavailable
from demo_shop.checkout.model import Entry, NewOrder, Order, OrderState, Refusal, entry_of
from demo_shop.frame.database import Database
from demo_shop.frame.problems import StoreUnavailable

LEASE_S = 15.0  # longer than a request may last, so that a sweeper finds only orders that nobody works on
_CERTAIN_WITHIN_S = 5.0
_CONNECTED_WITHIN_S = 2.0

_ENTRY = """
    o.id, o.state, o.reason, o.total_cents, o.degraded, o.synthetic, o.created_at, o.payment_token, o.request_hash,
    coalesce(o.lease_until < now(), true) AS lease_over,
    extract(epoch FROM now() - o.created_at)::float8 AS age_s,
    (SELECT jsonb_agg(jsonb_build_array(l.product_id, l.quantity, l.unit_price_cents) ORDER BY l.product_id)
     FROM order_lines l WHERE l.order_id = o.id) AS lines
"""

# An insert that is run again meets its own row and writes it once more: its commit then waits for the standby too.
_BEGIN = """
    WITH made AS (
        INSERT INTO orders AS o (id, idempotency_key, request_hash, customer_id, payment_token, state, total_cents,
                                 degraded, synthetic, lease_until)
        VALUES (%(id)s, %(key)s, %(hash)s, %(customer)s, %(token)s, 'pending', %(total)s,
                %(degraded)s, %(synthetic)s, now() + make_interval(secs => %(lease_s)s))
        ON CONFLICT (idempotency_key) DO UPDATE SET lease_until = excluded.lease_until WHERE o.id = excluded.id
        RETURNING o.id, o.created_at
    ), lines AS (
        INSERT INTO order_lines (order_id, product_id, quantity, unit_price_cents)
        SELECT made.id, line.* FROM made, unnest(%(products)s::int[], %(quantities)s::int[], %(prices)s::int[]) AS line
        ON CONFLICT (order_id, product_id) DO NOTHING
    )
    SELECT created_at FROM made
"""

_DECIDE = """
    WITH decided AS (
        UPDATE orders SET state = %(state)s, reason = %(reason)s, decided_at = now(), lease_until = NULL
        WHERE id = %(id)s AND state = 'pending'
        RETURNING id
    ), told AS (
        INSERT INTO outbox (topic, key, payload) SELECT %(topic)s, id::text, %(payload)s FROM decided
    )
    SELECT id FROM decided
"""

_ANSWER = f"UPDATE orders o SET answered = answered + 1 WHERE o.id = %(id)s RETURNING {_ENTRY}"

_CLAIM_ONE = f"""
    UPDATE orders o SET lease_until = now() + make_interval(secs => %(lease_s)s)
    WHERE o.id = %(id)s AND o.state = 'pending' AND coalesce(o.lease_until < now(), true)
    RETURNING {_ENTRY}
"""

_CLAIM_STRANDED = f"""
    WITH stranded AS (
        SELECT id FROM orders WHERE state = 'pending' AND lease_until < now()
        ORDER BY lease_until LIMIT %(most)s FOR UPDATE SKIP LOCKED
    )
    UPDATE orders o SET lease_until = now() + make_interval(secs => %(lease_s)s)
    FROM stranded WHERE o.id = stranded.id
    RETURNING {_ENTRY}
"""


class OrderBooks:
    """`decided` is told every order that this process decided, once it is certain."""

    def __init__(self, database: Database, decided: Callable[[Order], None]) -> None:
        self._database, self._decided = database, decided

    async def find(self, key: str, within_s: float) -> Entry | None:
        """What the books say about the idempotency key. Never enough to answer on; see `answer`."""
        return await self._read(f"SELECT {_ENTRY} FROM orders o WHERE o.idempotency_key = %s", key, within_s)

    async def look(self, order_id: UUID, within_s: float) -> Entry | None:
        """As `find`, by the order's id."""
        return await self._read(f"SELECT {_ENTRY} FROM orders o WHERE o.id = %s", order_id, within_s)

    async def _read(self, query: str, value: str | UUID, within_s: float) -> Entry | None:
        async with self._database.connection(timeout_s=min(_CONNECTED_WITHIN_S, within_s)) as connection:
            cursor = await connection.execute(query, (value,))
            row = await cursor.fetchone()
        return None if row is None else entry_of(row)

    async def begin(self, new: NewOrder, within_s: float) -> Order | None:
        """The order, written down as pending and ours to finish; None: the key has an order already.

        Raises `StoreUnavailable`: whether it stands in the books is then unknown.
        """
        lines = new.quote.lines
        values = {
            "id": new.id,
            "key": new.key,
            "hash": new.wish.fingerprint(),
            "customer": new.wish.customer_id,
            "token": new.wish.payment_token,
            "total": new.quote.total_cents,
            "degraded": new.quote.degraded,
            "synthetic": new.synthetic,
            "lease_s": LEASE_S,
            "products": [line.product_id for line in lines],
            "quantities": [line.quantity for line in lines],
            "prices": [line.unit_price_cents for line in lines],
        }

        rows = await self._database.statement(_BEGIN, values, deadline_s=within_s)
        return new.pending(rows[0]["created_at"]) if rows else None

    async def decide(self, order: Order, state: OrderState, refusal: Refusal | None, patience_s: float) -> Order:
        """The order as it now certainly stands, decided by this call or by an earlier one.

        Raises `StepUnavailable`: what became of it is then unknown.
        """
        decided = order.decided(state, refusal)
        values = {
            "id": order.id,
            "state": state.value,
            "reason": None if refusal is None else str(refusal),
            "topic": f"order.{state.value}",
            "payload": Jsonb(decided.public() | {"synthetic": order.synthetic}),
        }
        try:
            now_ours = await self._database.statement(_DECIDE, values, deadline_s=patience_s)
            standing = decided if now_ours else await self.answer(order.id, patience_s)
        except StoreUnavailable as error:
            raise StepUnavailable(str(error)) from error
        if standing is None:
            raise StepUnavailable(f"order {order.id} is not in the books")
        if standing.state is state:  # decided now, or by an earlier try whose commit was unsure
            self._decided(standing)
        return standing

    async def answer(self, order_id: UUID, within_s: float = _CERTAIN_WITHIN_S) -> Order | None:
        """The order from the books, certain to last: the write's commit waits for the standby, as all before it did.

        None: there is no such order. Raises `StoreUnavailable`.
        """
        rows = await self._database.statement(_ANSWER, {"id": order_id}, deadline_s=within_s)
        return entry_of(rows[0]).order if rows else None

    async def claim(self, order_id: UUID, within_s: float = _CERTAIN_WITHIN_S) -> Order | None:
        """The pending order, now ours to finish; None: decided, or somebody else's work. Raises `StoreUnavailable`."""
        values = {"id": order_id, "lease_s": LEASE_S}
        rows = await self._database.statement(_CLAIM_ONE, values, deadline_s=within_s)
        return entry_of(rows[0]).order if rows else None

    async def claim_stranded(self, most: int) -> list[Entry]:
        """Pending orders whose lease ran out, now ours to finish. Raises `StoreUnavailable`."""
        waiting = await self._database.rows(
            "SELECT EXISTS (SELECT FROM orders WHERE state = 'pending' AND lease_until < now()) AS any"
        )
        if not waiting[0]["any"]:
            return []
        values = {"most": most, "lease_s": LEASE_S}
        rows = await self._database.statement(_CLAIM_STRANDED, values, deadline_s=_CERTAIN_WITHIN_S)
        return [entry_of(row) for row in rows]

    async def give_up_lease(self, order_id: UUID) -> None:
        """Lets the next who asks, or the sweeper, resume the order at once. Raises `StoreUnavailable`."""
        await self._database.statement(
            "UPDATE orders SET lease_until = now() WHERE id = %s AND state = 'pending' RETURNING id",
            (order_id,),
            deadline_s=0.3,  # a courtesy: worth no wait
        )


class OrderShelf:
    """Orders as readers see them: on the replica where possible, since what is visible there has been replicated."""

    def __init__(self, replica: Database, books: OrderBooks) -> None:
        self._replica, self._books = replica, books

    async def order(self, order_id: UUID) -> Order | None:
        """None: there is no such order. Raises `StoreUnavailable`."""
        try:
            rows = await self._replica.rows(f"SELECT {_ENTRY} FROM orders o WHERE o.id = %s", (order_id,))
        except StoreUnavailable:
            rows = []
        if rows and (order := entry_of(rows[0]).order).is_decided:
            return order
        return await self._books.answer(order_id)

    async def orders_of(self, customer_id: str, most: int = 50) -> list[Order]:
        """The customer's orders, the newest first, as the replica knows them. Raises `StoreUnavailable`."""
        rows = await self._replica.rows(
            f"SELECT {_ENTRY} FROM orders o WHERE o.customer_id = %s ORDER BY o.created_at DESC LIMIT %s",
            (customer_id, most),
        )
        return [entry_of(row).order for row in rows]
