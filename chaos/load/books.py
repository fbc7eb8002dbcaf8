"""The shop's books as the reconciliation reads them: orders with what belongs to them, and shelves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


class BooksUnavailable(Exception):
    """The books cannot be read; the message says what to give or to start."""


@dataclass(frozen=True, slots=True)
class BookedLine:
    """A product of an order and what was promised of it: `reserved` is held, sold or released; None: no reservation."""

    quantity: int
    reserved: str | None = None
    reserved_quantity: int = 0


@dataclass(frozen=True, slots=True)
class BookedOrder:
    """An order with its lines by product and its payment; `payment` is captured, declined, refunded or None."""

    id: str
    key: str
    customer: str
    state: str
    total_cents: int
    lines_total_cents: int
    age_s: float
    lines: Mapping[int, BookedLine]
    payment: str | None = None
    paid_cents: int = 0
    captures: int = 0  # payments of this order that were captured


@dataclass(frozen=True, slots=True)
class Shelf:
    """Stock of a product, beside what its movements and reservations add up to."""

    product_id: int
    on_hand: int
    reserved: int
    delivered: int  # sum of movements in
    taken: int  # sum of movements out, as a positive number
    held: int  # sum of held reservations
    sold: int  # sum of sold reservations


@dataclass(frozen=True, slots=True)
class Undelivered:
    """A fact in the outbox that nobody has taken yet."""

    topic: str
    order_id: str
    age_s: float


@dataclass(frozen=True, slots=True)
class Books:
    """One consistent reading. Orphans are captured payments and held reservations of orders that are not there."""

    orders: tuple[BookedOrder, ...] = ()
    shelves: tuple[Shelf, ...] = ()
    undelivered: tuple[Undelivered, ...] = ()
    orphan_payments: tuple[str, ...] = field(default=())
    orphan_reservations: tuple[str, ...] = field(default=())
