"""An order as the shop thinks of it: what was asked for, what it costs, what became of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Self
from uuid import UUID

MOST_TOTAL_CENTS = 2**31 - 1  # what the books' column holds


class OrderState(StrEnum):
    PENDING = "pending"
    CONFIRMED = "confirmed"
    REJECTED = "rejected"


class RefusalCode(StrEnum):
    OUT_OF_STOCK = "out-of-stock"
    PAYMENT_DECLINED = "payment-declined"
    ABANDONED = "abandoned"  # nobody could finish it in time; everything taken is given back


@dataclass(frozen=True, slots=True)
class Line:
    product_id: int
    quantity: int


@dataclass(frozen=True, slots=True)
class PricedLine:
    product_id: int
    quantity: int
    unit_price_cents: int


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for. Lines name each product once, in the order of their ids."""

    customer_id: str
    lines: tuple[Line, ...]
    payment_token: str
    expected_total_cents: int | None

    def fingerprint(self) -> bytes:
        """Equal for equal wishes only: the same key with another wish is a mistake of the client."""
        lines = [(line.product_id, line.quantity) for line in self.lines]
        told = [self.customer_id, lines, self.payment_token, self.expected_total_cents]
        return hashlib.sha256(json.dumps(told, ensure_ascii=False).encode()).digest()


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why an order was rejected."""

    code: RefusalCode
    product_ids: tuple[int, ...] = ()

    def __str__(self) -> str:
        """As the books keep it, such as `out-of-stock 3,7`."""
        return f"{self.code.value} {','.join(map(str, self.product_ids))}".rstrip()

    @classmethod
    def parse(cls, text: str) -> Self:
        code, _, products = text.partition(" ")
        return cls(RefusalCode(code), tuple(int(product) for product in products.split(",") if product))


@dataclass(frozen=True, slots=True)
class Order:
    """An order in the books."""

    id: UUID
    state: OrderState
    refusal: Refusal | None
    lines: tuple[PricedLine, ...]
    total_cents: int
    degraded: bool
    created_at: datetime
    payment_token: str
    synthetic: bool

    @property
    def is_decided(self) -> bool:
        return self.state is not OrderState.PENDING

    def decided(self, state: OrderState, refusal: Refusal | None) -> Order:
        return replace(self, state=state, refusal=refusal)

    def public(self) -> dict[str, Any]:
        """The order as clients see it, ready for JSON."""
        return {
            "id": str(self.id),
            "state": self.state.value,
            "reason": None if self.refusal is None else str(self.refusal),
            "lines": [
                {"product_id": line.product_id, "quantity": line.quantity, "unit_price_cents": line.unit_price_cents}
                for line in self.lines
            ],
            "total_cents": self.total_cents,
            "degraded": self.degraded,
            "created_at": self.created_at.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Entry:
    """What the books say about an order beside the order itself."""

    order: Order
    fingerprint: bytes
    lease_over: bool  # nobody works on it any more, as far as the books know
    age_s: float


@dataclass(frozen=True, slots=True)
class Quote:
    """What a wish costs now. Degraded: pricing did not answer for every product, so base prices stand in."""

    lines: tuple[PricedLine, ...]
    degraded: bool

    @property
    def total_cents(self) -> int:
        return sum(line.quantity * line.unit_price_cents for line in self.lines)


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order about to be written down. The id is chosen before the first try, so that every try writes the same."""

    id: UUID
    key: str
    wish: Wish
    quote: Quote
    synthetic: bool

    def pending(self, created_at: datetime) -> Order:
        return Order(
            id=self.id,
            state=OrderState.PENDING,
            refusal=None,
            lines=self.quote.lines,
            total_cents=self.quote.total_cents,
            degraded=self.quote.degraded,
            created_at=created_at,
            payment_token=self.wish.payment_token,
            synthetic=self.synthetic,
        )


def entry_of(row: Mapping[str, Any]) -> Entry:
    """The entry in a row of the books."""
    order = Order(
        id=row["id"],
        state=OrderState(row["state"]),
        refusal=None if row["reason"] is None else Refusal.parse(row["reason"]),
        lines=tuple(PricedLine(*line) for line in row["lines"] or ()),
        total_cents=row["total_cents"],
        degraded=row["degraded"],
        created_at=row["created_at"],
        payment_token=row["payment_token"],
        synthetic=row["synthetic"],
    )
    return Entry(order, bytes(row["request_hash"]), row["lease_over"], row["age_s"])
