"""Placing an order once, however often it is asked for: the same key goes with every try."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream
from demo_shop.gateway.carts import CartLine
from demo_shop.gateway.goods import understood

#: So long the gateway keeps asking with the same key before it says that the outcome is not known yet.
PATIENCE_S: Final = 15.0
TRY_TIMEOUT_S: Final = 12.0  # longer than checkout waits for a database that fails over
READ_TIMEOUT_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class OrderLine:
    product_id: int
    quantity: int
    unit_price_cents: int


@dataclass(frozen=True, slots=True)
class Order:
    id: str
    state: str
    reason: str | None
    lines: tuple[OrderLine, ...]
    total_cents: int
    degraded: bool
    created_at: str

    @staticmethod
    def parse(body: Mapping[str, Any]) -> Order:
        return Order(
            id=str(body["id"]),
            state=str(body["state"]),
            reason=None if body.get("reason") is None else str(body["reason"]),
            lines=tuple(
                OrderLine(int(one["product_id"]), int(one["quantity"]), int(one["unit_price_cents"]))
                for one in body["lines"]
            ),
            total_cents=int(body["total_cents"]),
            degraded=bool(body.get("degraded", False)),
            created_at=str(body["created_at"]),
        )


@dataclass(frozen=True, slots=True)
class OrderRequest:
    """Everything that makes two requests the same one. `expected_total_cents` None: whatever it costs."""

    key: str
    customer_id: str
    lines: tuple[CartLine, ...]
    payment_token: str
    expected_total_cents: int | None

    def body(self) -> dict[str, Any]:
        return {
            "customer_id": self.customer_id,
            "lines": [{"product_id": line.product_id, "quantity": line.quantity} for line in self.lines],
            "payment_token": self.payment_token,
            "expected_total_cents": self.expected_total_cents,
        }


@dataclass(frozen=True, slots=True)
class Placed:
    order: Order
    is_new: bool  # False: this key had placed it before


@dataclass(frozen=True, slots=True)
class Refused:
    """Checkout's last word on this key: nothing was sold."""

    status: int
    code: str
    title: str
    detail: str | None
    product_ids: tuple[int, ...] = ()
    total_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """It may have been placed or not; asking again with the same key finds out."""

    why: str


Outcome = Placed | Refused | Unknown


class Orders:
    """The checkout service."""

    def __init__(self, upstream: Upstream, *, patience_s: float = PATIENCE_S) -> None:
        self._upstream, self._patience_s = upstream, patience_s

    async def place(self, request: OrderRequest) -> Outcome:
        """Asks until checkout gives its last word or the patience ends."""
        try:
            answer = await self._upstream.post(
                "/orders",
                json=request.body(),
                headers={"Idempotency-Key": request.key},
                timeout_s=min(TRY_TIMEOUT_S, self._patience_s),
                patience_s=self._patience_s,
                idempotent=True,
            )
        except UpstreamUnavailable as error:
            return Unknown(error.why)
        if answer.status in (200, 201):
            with understood("checkout"):
                return Placed(Order.parse(answer.json), is_new=answer.status == 201)
        if answer.status in (402, 404, 409, 422):
            return _refusal(answer)
        return Unknown(f"checkout answered {answer.status}")

    async def find(self, order_id: str) -> Order | None:
        """None: there is no such order. Raises `UpstreamUnavailable`."""
        answer = await self._upstream.get(f"/orders/{order_id}", timeout_s=READ_TIMEOUT_S)
        if answer.status in (404, 422):
            return None
        if answer.status != 200:
            raise UpstreamUnavailable("checkout", f"it answered {answer.status}")
        with understood("checkout"):
            return Order.parse(answer.json)


def _refusal(answer: Answer) -> Refused:
    body: Mapping[str, Any] = answer.json if isinstance(answer.json, dict) else {}
    ids = body.get("product_ids")
    total = body.get("total_cents")
    return Refused(
        status=answer.status,
        code=str(body.get("code", "refused")),
        title=str(body.get("title", "The order was refused")),
        detail=str(body["detail"]) if body.get("detail") else None,
        product_ids=tuple(int(one) for one in ids) if isinstance(ids, Sequence) and not isinstance(ids, str) else (),
        total_cents=int(total) if isinstance(total, int) else None,
    )
