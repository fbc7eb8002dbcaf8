import asyncio
from typing import Any, cast
from uuid import UUID

import pytest

from demo_shop.checkout.errors import Overtaken, StepUnavailable
from demo_shop.checkout.model import Line, PricedLine
from demo_shop.checkout.partners import InventoryService, PaymentService
from demo_shop.checkout.relay import Delays
from demo_shop.frame.problems import UpstreamUnavailable
from demo_shop.frame.upstream import Answer, Upstream

ORDER = UUID(int=1)
LINES = (Line(3, 2),)


class Service:
    """Answers in turn; the last answer stays."""

    role = "inventory"

    def __init__(self, *answers: Answer | Exception) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, str, Any]] = []

    async def put(self, path: str, *, json: Any, **options: Any) -> Answer:
        return self._answer("PUT", path, json)

    async def post(self, path: str, *, json: Any, **options: Any) -> Answer:
        assert options["idempotent"]
        return self._answer("POST", path, json)

    def _answer(self, method: str, path: str, body: Any) -> Answer:
        self.asked.append((method, path, body))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def problem(status: int, code: str, **extra: Any) -> Answer:
    return Answer(status, {"code": code, **extra}, {})


def inventory(service: Service) -> InventoryService:
    return InventoryService(cast(Upstream, service))


def payment(service: Service) -> PaymentService:
    return PaymentService(cast(Upstream, service))


def test_a_reservation_is_asked_for_under_the_orders_id() -> None:
    service = Service(Answer(200, {"state": "held"}, {}))

    assert asyncio.run(inventory(service).reserve(ORDER, LINES, 1.0)) == ()

    assert service.asked == [("PUT", f"/reservations/{ORDER}", {"lines": [{"product_id": 3, "quantity": 2}]})]


def test_products_out_of_stock_are_named() -> None:
    service = Service(problem(409, "out-of-stock", product_ids=[3]))

    assert asyncio.run(inventory(service).reserve(ORDER, LINES, 1.0)) == (3,)


@pytest.mark.parametrize(("state", "taken"), [("captured", True), ("declined", False)])
def test_a_payment_is_taken_or_declined(state: str, taken: bool) -> None:
    service = Service(Answer(200, {"state": state}, {}))

    assert asyncio.run(payment(service).capture(ORDER, 700, "tok_visa", 1.0)) is taken

    assert service.asked == [("PUT", f"/payments/{ORDER}", {"amount_cents": 700, "payment_token": "tok_visa"})]


def test_who_comes_after_the_release_or_the_refund_is_told_so() -> None:
    with pytest.raises(Overtaken):
        asyncio.run(inventory(Service(problem(409, "reservation-released"))).reserve(ORDER, LINES, 1.0))
    with pytest.raises(Overtaken):
        asyncio.run(payment(Service(problem(409, "payment-refunded"))).capture(ORDER, 700, "tok_visa", 1.0))


def test_a_service_that_fails_is_asked_again() -> None:
    service = Service(problem(500, "internal-error"), problem(503, "busy"), Answer(200, {"state": "held"}, {}))

    assert asyncio.run(inventory(service).reserve(ORDER, LINES, 5.0)) == ()

    assert len(service.asked) == 3


@pytest.mark.parametrize(
    ("answer", "asked"),
    [
        pytest.param(problem(500, "internal-error"), 5, id="keeps-failing"),
        pytest.param(problem(409, "payment-differs"), 1, id="no-answer-to-go-on-with"),
        pytest.param(UpstreamUnavailable("payment", "gone"), 1, id="gone"),
    ],
)
def test_a_step_without_a_usable_answer_is_left_for_later(answer: Answer | Exception, asked: int) -> None:
    service = Service(answer)

    with pytest.raises(StepUnavailable):
        asyncio.run(payment(service).capture(ORDER, 700, "tok_visa", 5.0))

    assert len(service.asked) == asked


def test_what_was_decided_is_told_under_the_orders_id() -> None:
    service = Service(Answer(200, {}, {}))

    async def tell() -> None:
        await inventory(service).sell(ORDER)
        await inventory(service).release(ORDER, [PricedLine(3, 2, 100)])
        await payment(service).refund(ORDER)

    asyncio.run(tell())

    assert service.asked == [
        ("POST", f"/reservations/{ORDER}/sell", None),
        ("POST", f"/reservations/{ORDER}/release", {"lines": [{"product_id": 3, "quantity": 2}]}),
        ("POST", f"/payments/{ORDER}/refund", None),
    ]


def test_what_cannot_be_told_now_is_told_later() -> None:
    with pytest.raises(StepUnavailable, match="409 reservation-released"):
        asyncio.run(inventory(Service(problem(409, "reservation-released"))).sell(ORDER))
    with pytest.raises(StepUnavailable, match="gone"):
        asyncio.run(payment(Service(UpstreamUnavailable("payment", "gone"))).refund(ORDER))


def test_a_failed_delivery_waits_twice_as_long_after_each_failure() -> None:
    delays = Delays()

    delays.failed(1, now_s=0.0)  # 0.5 s
    assert (delays.waiting(0.4), delays.waiting(0.6)) == ([1], [])
    delays.failed(1, now_s=1.0)  # 1 s
    assert (delays.waiting(1.9), delays.waiting(2.1)) == ([1], [])
    for _ in range(10):
        delays.failed(1, now_s=10.0)  # never more than 30 s
    assert (delays.waiting(39.9), delays.waiting(40.1)) == ([1], [])


def test_a_delivery_that_went_well_starts_again_with_the_short_pause() -> None:
    delays = Delays()
    for _ in range(5):
        delays.failed(1, now_s=0.0)
    delays.delivered(1)

    delays.failed(1, now_s=100.0)

    assert (delays.waiting(100.4), delays.waiting(100.6)) == ([1], [])
