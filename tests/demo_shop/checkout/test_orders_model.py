from datetime import UTC, datetime
from uuid import UUID

import pytest
from pydantic import ValidationError

from demo_shop.checkout import errors
from demo_shop.checkout.bodies import OrderBody, problem_of, problem_of_refusal
from demo_shop.checkout.model import Line, Order, OrderState, PricedLine, Refusal, RefusalCode, Wish

WISH = Wish("ann", (Line(1, 2), Line(3, 1)), "tok_visa", 500)
ORDER = Order(
    id=UUID(int=5),
    state=OrderState.REJECTED,
    refusal=Refusal(RefusalCode.OUT_OF_STOCK, (3, 7)),
    lines=(PricedLine(3, 2, 100), PricedLine(7, 1, 50)),
    total_cents=250,
    degraded=True,
    created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
    payment_token="tok_visa",
    synthetic=False,
)
LINES = [{"product_id": 3, "quantity": 1}, {"product_id": 1, "quantity": 2}]


def body(**changed: object) -> dict[str, object]:
    return {"customer_id": "ann", "lines": LINES, "payment_token": "tok_visa", "expected_total_cents": 500, **changed}


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(Wish("bob", WISH.lines, "tok_visa", 500), id="customer"),
        pytest.param(Wish("ann", (Line(1, 2), Line(3, 2)), "tok_visa", 500), id="quantity"),
        pytest.param(Wish("ann", WISH.lines, "tok_other", 500), id="token"),
        pytest.param(Wish("ann", WISH.lines, "tok_visa", None), id="expectation"),
    ],
)
def test_wishes_that_differ_have_different_fingerprints(other: Wish) -> None:
    assert other.fingerprint() != WISH.fingerprint()
    assert WISH.fingerprint() == Wish("ann", (Line(1, 2), Line(3, 1)), "tok_visa", 500).fingerprint()


@pytest.mark.parametrize(
    ("refusal", "text"),
    [
        (Refusal(RefusalCode.OUT_OF_STOCK, (3, 7)), "out-of-stock 3,7"),
        (Refusal(RefusalCode.PAYMENT_DECLINED), "payment-declined"),
        (Refusal(RefusalCode.ABANDONED), "abandoned"),
    ],
)
def test_a_refusal_is_read_as_it_was_written(refusal: Refusal, text: str) -> None:
    assert str(refusal) == text
    assert Refusal.parse(text) == refusal


def test_clients_see_an_order_without_its_payment_token() -> None:
    assert ORDER.public() == {
        "id": "00000000-0000-0000-0000-000000000005",
        "state": "rejected",
        "reason": "out-of-stock 3,7",
        "lines": [
            {"product_id": 3, "quantity": 2, "unit_price_cents": 100},
            {"product_id": 7, "quantity": 1, "unit_price_cents": 50},
        ],
        "total_cents": 250,
        "degraded": True,
        "created_at": "2026-01-02T03:04:05+00:00",
    }


def test_lines_of_one_product_are_added_up_in_product_order() -> None:
    lines = [*LINES, {"product_id": 3, "quantity": 4}]

    wish = OrderBody.model_validate(body(lines=lines)).wish()

    assert wish.lines == (Line(1, 2), Line(3, 5))


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"customer_id": ""}, "customer_id"),
        ({"customer_id": "a\x00b"}, "customer_id"),
        ({"lines": []}, "lines"),
        ({"lines": [{"product_id": number, "quantity": 1} for number in range(1, 52)]}, "lines"),
        ({"lines": [{"product_id": 0, "quantity": 1}]}, "product_id"),
        ({"lines": [{"product_id": 1, "quantity": 0}]}, "quantity"),
        ({"lines": [{"product_id": 1, "quantity": 100}]}, "quantity"),
        ({"lines": [{"product_id": 1, "quantity": 1.0}]}, "quantity"),
        ({"lines": [{"product_id": 8, "quantity": 60}] * 2}, "product 8 is asked for 120 times; at most 99"),
        ({"payment_token": "4111111111111111"}, "payment_token"),
        ({"expected_total_cents": -1}, "expected_total_cents"),
        ({"coupon": "X"}, "coupon"),
    ],
)
def test_a_body_that_makes_no_sense_is_refused_by_the_name_of_its_field(changed: dict[str, object], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        OrderBody.model_validate(body(**changed))


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.KeyReused(), 422, "idempotency-key-reused"),
        (errors.UnknownProducts([4]), 422, "unknown-product"),
        (errors.TotalTooLarge("9"), 422, "total-too-large"),
        (errors.PriceChanged(700), 409, "price-changed"),
        (errors.OutcomeUnknown("who knows"), 503, "unknown-outcome"),
    ],
)
def test_each_reason_for_having_no_order_has_a_code_of_its_own(
    error: errors.CheckoutError, status: int, code: str
) -> None:
    problem = problem_of(error)

    assert (problem.status, problem.code) == (status, code)


def test_a_changed_price_comes_with_the_new_total_and_an_unknown_outcome_with_a_time_to_ask_again() -> None:
    assert problem_of(errors.PriceChanged(700)).extra == {"total_cents": 700}
    assert problem_of(errors.OutcomeUnknown()).headers == {"Retry-After": "1"}


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal(RefusalCode.OUT_OF_STOCK, (3, 7)), 409, "out-of-stock"),
        (Refusal(RefusalCode.PAYMENT_DECLINED), 402, "payment-declined"),
        (Refusal(RefusalCode.ABANDONED), 409, "order-abandoned"),
    ],
)
def test_each_refusal_has_a_code_of_its_own(refusal: Refusal, status: int, code: str) -> None:
    problem = problem_of_refusal(ORDER, refusal)

    assert (problem.status, problem.code) == (status, code)
    assert problem.extra.get("product_ids", []) == list(refusal.product_ids)
    assert problem.extra["order_id"] == "00000000-0000-0000-0000-000000000005"
