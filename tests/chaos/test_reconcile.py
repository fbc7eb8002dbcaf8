from dataclasses import replace

import pytest

from chaos.load.books import BookedLine, BookedOrder, Books, Shelf, Undelivered
from chaos.load.ledger import LedgerOrder, Outcome
from chaos.load.reconcile import Mistake, reconciled, settled

TOLD = LedgerOrder(
    key="run-1",
    cart="cart-1",
    customer="a@example.org",
    lines=((7, 2),),
    synthetic=False,
    expected_total_cents=1500,
    attempts=(),
    outcome=Outcome.ACKNOWLEDGED,
    reason=None,
    order_id="order-1",
    total_cents=1500,
)
BOOKED = BookedOrder(
    id="order-1",
    key="run-1",
    customer="a@example.org",
    state="confirmed",
    total_cents=1500,
    lines_total_cents=1500,
    age_s=5.0,
    lines={7: BookedLine(2, "sold", 2)},
    payment="captured",
    paid_cents=1500,
    captures=1,
)
SHELF = Shelf(product_id=7, on_hand=8, reserved=0, delivered=10, taken=2, held=0, sold=2)
BOOKS = Books(orders=(BOOKED,), shelves=(SHELF,))


def found(books=BOOKS, *ledger):
    """Kinds and keys of the mistakes."""
    return [(finding.mistake, finding.key) for finding in reconciled(ledger or (TOLD,), books).findings]


def with_order(**changes):
    return replace(BOOKS, orders=(replace(BOOKED, **changes),))


def with_shelf(**changes):
    return replace(BOOKS, shelves=(replace(SHELF, **changes),))


def test_books_that_agree_are_clean():
    result = reconciled((TOLD,), BOOKS)

    assert result.clean and not result.may_settle
    assert (result.ledger_orders, result.acknowledged, result.booked_orders, result.confirmed) == (1, 1, 1, 1)


def test_an_acknowledged_order_that_is_not_in_the_books_is_lost():
    assert found(replace(BOOKS, orders=())) == [(Mistake.LOST, "run-1")]


def test_an_acknowledged_order_that_the_books_rejected_is_lost():
    rejected = with_order(state="rejected", payment="refunded", captures=0, lines={7: BookedLine(2, "released", 2)})

    assert found(rejected) == [(Mistake.LOST, "run-1")]


def test_an_acknowledged_order_under_another_id_is_lost():
    assert found(with_order(id="order-2")) == [(Mistake.LOST, "run-1")]


def test_a_key_confirmed_twice_is_duplicated():
    books = replace(BOOKS, orders=(BOOKED, replace(BOOKED, id="order-2", customer="other")))

    assert (Mistake.DUPLICATED, "run-1") in found(books)


def test_one_cart_ordered_under_two_keys_is_duplicated():
    # The second order is no client's: something between client and books made up a key of its own. The books may call
    # the customer otherwise than the client does.
    first = replace(BOOKED, customer="customer-4711")
    books = replace(BOOKS, orders=(first, replace(first, id="order-2", key="made-up")))

    assert found(books) == [(Mistake.DUPLICATED, "run-1")]


def test_the_probe_may_order_again_and_again():
    probe = replace(TOLD, synthetic=True)
    second = replace(probe, key="run-2", order_id="order-2")
    books = replace(BOOKS, orders=(BOOKED, replace(BOOKED, id="order-2", key="run-2")))

    assert found(books, probe, second) == []


def test_two_captured_payments_are_duplicated():
    assert found(with_order(captures=2, paid_cents=3000)) == [(Mistake.DUPLICATED, "run-1")]


def test_doubled_quantities_are_duplicated():
    doubled = with_order(lines={7: BookedLine(4, "sold", 4)})

    assert found(doubled) == [(Mistake.DUPLICATED, "run-1")]


@pytest.mark.parametrize("lines", [{7: BookedLine(1, "sold", 1)}, {8: BookedLine(2, "sold", 2)}])
def test_other_lines_than_ordered_contradict_the_client(lines):
    kinds = {kind for kind, _ in found(with_order(lines=lines))}

    assert kinds == {Mistake.CONTRADICTED}


def test_another_total_than_the_client_was_told_contradicts_it():
    other = with_order(total_cents=1600, lines_total_cents=1600, paid_cents=1600)

    assert found(other) == [(Mistake.CONTRADICTED, "run-1")]


def test_a_refused_order_that_the_books_confirmed_contradicts_the_client():
    refused = replace(TOLD, outcome=Outcome.REJECTED, reason="422", order_id=None, total_cents=None)

    assert found(BOOKS, refused) == [(Mistake.CONTRADICTED, "run-1")]


@pytest.mark.parametrize("state", ["confirmed", "rejected", "absent"])
def test_an_order_with_unknown_outcome_may_be_in_the_books_or_not(state):
    unknown = replace(TOLD, outcome=Outcome.UNKNOWN, order_id=None, total_cents=None)
    books = {
        "confirmed": BOOKS,
        "rejected": with_order(state="rejected", payment=None, captures=0, lines={7: BookedLine(2, "released", 2)}),
        "absent": replace(BOOKS, orders=()),
    }[state]

    result = reconciled((unknown,), books)

    assert result.clean
    assert getattr(result, f"unknown_{state}") == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"payment": None, "captures": 0, "paid_cents": 0},
        {"payment": "declined", "captures": 0, "paid_cents": 0},
        {"paid_cents": 700},
        {"lines_total_cents": 900},
        {"lines": {7: BookedLine(2)}},
        {"lines": {7: BookedLine(2, "held", 2)}},
        {"lines": {7: BookedLine(2, "sold", 1)}},
    ],
    ids=["not paid", "declined", "paid in part", "lines add up to less", "not reserved", "not sold", "sold in part"],
)
def test_a_confirmed_order_needs_its_payment_and_its_stock(changes):
    assert found(with_order(**changes)) == [(Mistake.HALF_DONE, "run-1")]


@pytest.mark.parametrize(
    "changes",
    [
        {"payment": "captured", "lines": {7: BookedLine(2, "released", 2)}},
        {"payment": "refunded", "captures": 0, "lines": {7: BookedLine(2, "held", 2)}},
        {"payment": "refunded", "captures": 0, "lines": {7: BookedLine(2, "sold", 2)}},
    ],
    ids=["still paid", "still held", "sold"],
)
def test_a_rejected_order_keeps_neither_money_nor_stock(changes):
    refused = replace(TOLD, outcome=Outcome.REJECTED, reason="out-of-stock", order_id=None)

    assert found(with_order(state="rejected", **changes), refused) == [(Mistake.HALF_DONE, "run-1")]


@pytest.mark.parametrize(("age_s", "mistakes"), [(59.0, []), (61.0, [(Mistake.HALF_DONE, "run-1")])])
def test_a_pending_order_is_half_done_after_a_minute(age_s, mistakes):
    unknown = replace(TOLD, outcome=Outcome.UNKNOWN)

    result = reconciled((unknown,), with_order(state="pending", age_s=age_s, payment=None, captures=0))

    assert [(finding.mistake, finding.key) for finding in result.findings] == mistakes
    assert result.pending == 1 and result.may_settle


def test_a_fact_that_waits_in_the_outbox_is_half_done_and_named_by_its_orders_key():
    books = replace(BOOKS, undelivered=(Undelivered("order.confirmed", "order-1", 40.0),))

    assert found(books) == [(Mistake.HALF_DONE, "run-1")]


def test_money_and_stock_of_orders_that_are_not_there_are_half_done():
    books = replace(BOOKS, orphan_payments=("order-8",), orphan_reservations=("order-9",))

    assert found(books) == [(Mistake.HALF_DONE, "order-8"), (Mistake.HALF_DONE, "order-9")]


@pytest.mark.parametrize(
    "changes",
    [
        {"on_hand": 9},  # 10 came, 2 went
        {"reserved": 1},  # held by nobody
        {"held": 3, "reserved": 0},  # held and not counted
        {"taken": 4, "on_hand": 6},  # 2 sold
        {"delivered": 1, "on_hand": -1},  # 2 sold of 1
    ],
    ids=["on hand", "reserved", "not counted", "taken", "more than came"],
)
def test_stock_that_does_not_add_up_is_oversold(changes):
    assert found(with_shelf(**changes)) == [(Mistake.OVERSOLD, "product 7")]


def test_promises_count_as_much_as_sales():
    # 10 came, 2 sold, 9 promised: one too many, although every counter agrees with its own sum.
    assert found(with_shelf(held=9, reserved=9)) == [(Mistake.OVERSOLD, "product 7")]


def test_the_report_counts_and_names():
    result = reconciled((TOLD,), replace(BOOKS, orders=()))

    report = result.as_json()
    assert (report["clean"], report["lost"], report["duplicated"], report["half_done"]) == (False, 1, 0, 0)
    assert list(report["findings"]) == [
        {
            "mistake": "lost",
            "key": "run-1",
            "detail": "order order-1 was acknowledged, the books have no such key",
        }
    ]


class Settling:
    """Books that are half-done for the first readings, and a clock that only sleep moves."""

    def __init__(self, readings):
        self.readings, self.read_times, self.now_s = readings, 0, 0.0

    def read(self):
        self.read_times += 1
        return self.readings[min(self.read_times, len(self.readings)) - 1]

    def sleep(self, s):
        self.now_s += s

    def run(self, settle_s):
        return settled((TOLD,), self.read, lambda: self.now_s, self.sleep, settle_s)


HALF_DONE = with_order(lines={7: BookedLine(2, "held", 2)})


def test_work_under_way_is_waited_for():
    settling = Settling([HALF_DONE, HALF_DONE, BOOKS])

    assert settling.run(30.0).clean
    assert settling.now_s == 2.0


def test_waiting_ends_with_the_settling_time():
    settling = Settling([HALF_DONE])

    assert settling.run(5.0).count(Mistake.HALF_DONE) == 1
    assert settling.now_s == 5.0


def test_what_waiting_cannot_mend_is_not_waited_for():
    settling = Settling([replace(BOOKS, orders=())])

    assert settling.run(30.0).count(Mistake.LOST) == 1
    assert settling.now_s == 0.0
