"""The services that an order needs, as the saga and the relay see them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from uuid import UUID

from demo_shop.checkout.errors import Overtaken, StepUnavailable
from demo_shop.checkout.model import Line, PricedLine
from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream

RESERVATION_TIMEOUT_S: Final = 3.0
PAYMENT_TIMEOUT_S: Final = 1.5  # far beyond the stub's p99 of 0.25 s: who has not answered by then never will
_LEAST_PATIENCE_S: Final = 0.05
_PAUSES_S: Final = (0.05, 0.1, 0.2, 0.4)  # between tries while a service answers that it failed


class InventoryService:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def reserve(self, order_id: UUID, lines: Sequence[Line], patience_s: float) -> tuple[int, ...]:
        """Products that are out of stock; none: all is held. Raises `StepUnavailable`, `Overtaken`."""
        answer = await _put(
            self._upstream, f"/reservations/{order_id}", {"lines": _lines(lines)}, RESERVATION_TIMEOUT_S, patience_s
        )
        if answer.status == 200:
            return ()
        if answer.problem_code == "out-of-stock":
            return tuple(answer.json["product_ids"])
        if answer.problem_code == "reservation-released":
            raise Overtaken(f"the reservation of {order_id} was released")
        raise _unusable(self._upstream, answer)

    async def sell(self, order_id: UUID) -> None:
        """Raises `StepUnavailable`."""
        await _settle(self._upstream, f"/reservations/{order_id}/sell", None)

    async def release(self, order_id: UUID, lines: Sequence[PricedLine | Line]) -> None:
        """The lines keep a reservation that comes late from being held. Raises `StepUnavailable`."""
        await _settle(self._upstream, f"/reservations/{order_id}/release", {"lines": _lines(lines)})


class PaymentService:
    def __init__(self, upstream: Upstream) -> None:
        self._upstream = upstream

    async def capture(self, order_id: UUID, amount_cents: int, payment_token: str, patience_s: float) -> bool:
        """Whether the money is taken; False: declined. Raises `StepUnavailable`, `Overtaken`."""
        body = {"amount_cents": amount_cents, "payment_token": payment_token}
        answer = await _put(self._upstream, f"/payments/{order_id}", body, PAYMENT_TIMEOUT_S, patience_s)
        if answer.status == 200:
            return bool(answer.json["state"] == "captured")
        if answer.problem_code == "payment-refunded":
            raise Overtaken(f"the payment of {order_id} was refunded")
        raise _unusable(self._upstream, answer)

    async def refund(self, order_id: UUID) -> None:
        """Raises `StepUnavailable`."""
        await _settle(self._upstream, f"/payments/{order_id}/refund", None)


async def _put(upstream: Upstream, path: str, body: Any, timeout_s: float, patience_s: float) -> Answer:
    """The answer; one that says that the service itself failed is asked for again, a few times."""
    loop = asyncio.get_running_loop()
    until_s = loop.time() + max(_LEAST_PATIENCE_S, patience_s)
    for pause_s in (*_PAUSES_S, None):
        left_s = max(_LEAST_PATIENCE_S, until_s - loop.time())
        try:
            answer = await upstream.put(path, json=body, timeout_s=min(timeout_s, left_s), patience_s=left_s)
        except UpstreamUnavailable as error:
            raise StepUnavailable(str(error)) from error
        if answer.status < 500 or pause_s is None or loop.time() + pause_s >= until_s:
            break
        await asyncio.sleep(pause_s)
    return answer


async def _settle(upstream: Upstream, path: str, body: Any) -> None:
    try:
        answer = await upstream.post(path, json=body, timeout_s=3.0, idempotent=True)
    except UpstreamUnavailable as error:
        raise StepUnavailable(str(error)) from error
    if answer.status != 200:
        raise _unusable(upstream, answer)


def _unusable(upstream: Upstream, answer: Answer) -> StepUnavailable:
    return StepUnavailable(f"{upstream.role} answered {answer.status} {answer.problem_code or ''}".rstrip())


def _lines(lines: Sequence[PricedLine | Line]) -> list[dict[str, int]]:
    return [{"product_id": line.product_id, "quantity": line.quantity} for line in lines]
