"""What clients send to checkout, and what they are told when there is no order for them."""

from __future__ import annotations

from typing import Annotated, Final, Self

from fastapi import Header
from pydantic import BaseModel, ConfigDict, Field, model_validator

from demo_shop.checkout import errors
from demo_shop.checkout.model import MOST_TOTAL_CENTS, Line, Order, Refusal, RefusalCode, Wish
from demo_shop.frame.problems import Problem
from demo_shop.frame.product_ids import LARGEST_ID

MOST_LINES: Final = 50
MOST_QUANTITY: Final = 99
#: Seconds, as the header has it.
RETRY_AFTER: Final = {"Retry-After": "1"}

#: 8 to 128 printable ASCII characters.
IdempotencyKey = Annotated[str, Header(alias="Idempotency-Key", pattern=r"^[\x20-\x7e]{8,128}$")]


class LineBody(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    product_id: int = Field(ge=1, le=LARGEST_ID)
    quantity: int = Field(ge=1, le=MOST_QUANTITY)


class OrderBody(BaseModel):
    """The body of `POST /orders`. Lines of one product are added up."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    customer_id: str = Field(pattern=r"^[^\x00-\x1f\x7f]{1,128}$")
    lines: list[LineBody] = Field(min_length=1, max_length=MOST_LINES)
    payment_token: str = Field(pattern=r"^tok_[A-Za-z0-9_-]{1,60}$")
    expected_total_cents: int | None = Field(None, ge=0, le=MOST_TOTAL_CENTS)

    @model_validator(mode="after")
    def _no_product_too_often(self) -> Self:
        for line in self.wish().lines:
            if line.quantity > MOST_QUANTITY:
                raise ValueError(
                    f"lines: product {line.product_id} is asked for {line.quantity} times; at most {MOST_QUANTITY}"
                )
        return self

    def wish(self) -> Wish:
        quantities: dict[int, int] = {}
        for line in self.lines:
            quantities[line.product_id] = quantities.get(line.product_id, 0) + line.quantity
        lines = tuple(Line(product_id, quantities[product_id]) for product_id in sorted(quantities))
        return Wish(self.customer_id, lines, self.payment_token, self.expected_total_cents)


def problem_of(error: errors.CheckoutError) -> Problem:
    """How a client is told that there is no decided order for it."""
    match error:
        case errors.KeyReused():
            return Problem(
                422,
                "idempotency-key-reused",
                "The idempotency key belongs to another request",
                "Use a new key for a new order, and the same body when asking again.",
            )
        case errors.UnknownProducts():
            return Problem(
                422,
                "unknown-product",
                "There is no such product",
                f"lines: take out product {', '.join(map(str, error.product_ids))}",
                product_ids=list(error.product_ids),
            )
        case errors.PriceChanged():
            return Problem(
                409,
                "price-changed",
                "The price has changed",
                "Nothing was ordered. Ask again with the new total as expected_total_cents.",
                total_cents=error.total_cents,
            )
        case errors.TotalTooLarge():
            return Problem(422, "total-too-large", "The order is too large", f"{error}: split the order")
        case _:
            return Problem(
                503,
                "unknown-outcome",
                "The order's outcome is not known yet",
                "Ask again with the same Idempotency-Key and body: it is carried out at most once.",
                headers=RETRY_AFTER,
            )


def problem_of_refusal(order: Order, refusal: Refusal) -> Problem:
    """How a client is told that its order was rejected."""
    order_id = str(order.id)
    match refusal.code:
        case RefusalCode.OUT_OF_STOCK:
            return Problem(
                409,
                "out-of-stock",
                "Not enough in stock",
                f"Nothing was charged. Take out or reduce product {', '.join(map(str, refusal.product_ids))}.",
                product_ids=list(refusal.product_ids),
                order_id=order_id,
            )
        case RefusalCode.PAYMENT_DECLINED:
            return Problem(
                402,
                "payment-declined",
                "The payment was declined",
                "Nothing was charged. Try another means of payment under a new Idempotency-Key.",
                order_id=order_id,
            )
        case RefusalCode.ABANDONED:
            return Problem(
                409,
                "order-abandoned",
                "The order could not be finished in time",
                "What was charged is refunded. Order again under a new Idempotency-Key.",
                order_id=order_id,
            )
