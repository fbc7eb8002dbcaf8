"""Reads the books from the shop's PostgreSQL, in one snapshot of the primary."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.rows import dict_row

from chaos.load.books import BookedLine, BookedOrder, Books, BooksUnavailable, Shelf, Undelivered

CONNECT_TIMEOUT_S = 5


def address_in_state(path: Path) -> str:
    """How to connect, from the file that a shop's launcher keeps. Raises `BooksUnavailable`."""
    try:
        database = json.loads(path.read_text(encoding="utf-8"))["database"]
        hosts = database["hosts"]
        members = [member.strip().rpartition(":") for member in (hosts.split(",") if isinstance(hosts, str) else hosts)]
        return make_conninfo(
            host=",".join(host for host, _, _ in members),
            port=",".join(port for _, _, port in members),
            dbname=database["name"],
            user=database["user"],
            password=database["password"],
        )
    except OSError as error:
        raise BooksUnavailable(f"{path}: cannot be read: {error.strerror}: is the shop running?") from None
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BooksUnavailable(f"{path}: not the state of a shop: {error!r}") from None


def read_books(address: str) -> Books:
    """Everything that reconciliation needs. Raises `BooksUnavailable`, whose message has no password."""
    try:
        wanted = make_conninfo(address, target_session_attrs="read-write", connect_timeout=CONNECT_TIMEOUT_S)
        with psycopg.connect(wanted, row_factory=dict_row) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            return _books(connection)
    except psycopg.errors.UndefinedTable as error:
        raise BooksUnavailable(f"this is no shop's database: {_first_line(error)}") from None
    except psycopg.Error as error:
        raise BooksUnavailable(f"the shop's primary database cannot be read: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def _books(connection: psycopg.Connection[dict[str, Any]]) -> Books:
    lines = _lines(connection)
    return Books(
        orders=tuple(_order(row, lines[row["id"]]) for row in connection.execute(_ORDERS)),
        shelves=tuple(Shelf(**row) for row in connection.execute(_SHELVES)),
        undelivered=tuple(Undelivered(**row) for row in connection.execute(_UNDELIVERED)),
        orphan_payments=tuple(row["order_id"] for row in connection.execute(_ORPHAN_PAYMENTS)),
        orphan_reservations=tuple(row["order_id"] for row in connection.execute(_ORPHAN_RESERVATIONS)),
    )


def _lines(connection: psycopg.Connection[dict[str, Any]]) -> dict[str, dict[int, dict[str, Any]]]:
    lines: dict[str, dict[int, dict[str, Any]]] = defaultdict(dict)
    for row in connection.execute(_LINES):
        lines[row["order_id"]][row["product_id"]] = row
    return lines


def _order(row: dict[str, Any], lines: dict[int, dict[str, Any]]) -> BookedOrder:
    return BookedOrder(
        id=row["id"],
        key=row["key"],
        customer=row["customer"],
        state=row["state"],
        total_cents=row["total_cents"],
        lines_total_cents=sum(line["quantity"] * line["unit_price_cents"] for line in lines.values()),
        age_s=row["age_s"],
        lines={
            product: BookedLine(line["quantity"], line["reserved"], line["reserved_quantity"])
            for product, line in lines.items()
        },
        payment=row["payment"],
        paid_cents=row["paid_cents"],
        captures=row["captures"],
    )


_ORDERS = """
    SELECT o.id::text AS id, o.idempotency_key AS key, o.customer_id AS customer, o.state, o.total_cents,
           extract(epoch FROM now() - o.created_at)::float8 AS age_s,
           max(p.state) AS payment,
           coalesce(sum(p.amount_cents) FILTER (WHERE p.state = 'captured'), 0)::int8 AS paid_cents,
           (count(*) FILTER (WHERE p.state = 'captured'))::int AS captures
    FROM orders o LEFT JOIN payments p ON p.order_id = o.id
    GROUP BY o.id
    ORDER BY o.created_at, o.id
"""

# A reservation of a product that the order does not list is a line of quantity 0.
_LINES = """
    SELECT coalesce(l.order_id, r.order_id)::text AS order_id, coalesce(l.product_id, r.product_id) AS product_id,
           coalesce(l.quantity, 0) AS quantity, coalesce(l.unit_price_cents, 0) AS unit_price_cents,
           r.state AS reserved, coalesce(r.quantity, 0) AS reserved_quantity
    FROM order_lines l FULL JOIN reservations r ON r.order_id = l.order_id AND r.product_id = l.product_id
"""

_SHELVES = """
    SELECT s.product_id, s.on_hand, s.reserved,
           coalesce(m.delivered, 0)::int8 AS delivered, coalesce(m.taken, 0)::int8 AS taken,
           coalesce(r.held, 0)::int8 AS held, coalesce(r.sold, 0)::int8 AS sold
    FROM stock s
    LEFT JOIN (
        SELECT product_id, sum(quantity) FILTER (WHERE quantity > 0) AS delivered,
               -sum(quantity) FILTER (WHERE quantity < 0) AS taken
        FROM stock_movements GROUP BY product_id
    ) m USING (product_id)
    LEFT JOIN (
        SELECT product_id, sum(quantity) FILTER (WHERE state = 'held') AS held,
               sum(quantity) FILTER (WHERE state = 'sold') AS sold
        FROM reservations GROUP BY product_id
    ) r USING (product_id)
    ORDER BY s.product_id
"""

_UNDELIVERED = """
    SELECT topic, key AS order_id, extract(epoch FROM now() - created_at)::float8 AS age_s
    FROM outbox WHERE delivered_at IS NULL ORDER BY id
"""

_ORPHAN_PAYMENTS = """
    SELECT order_id::text AS order_id FROM payments p
    WHERE state = 'captured' AND NOT EXISTS (SELECT FROM orders o WHERE o.id = p.order_id) ORDER BY 1
"""

_ORPHAN_RESERVATIONS = """
    SELECT DISTINCT order_id::text AS order_id FROM reservations r
    WHERE state IN ('held', 'sold') AND NOT EXISTS (SELECT FROM orders o WHERE o.id = r.order_id) ORDER BY 1
"""
