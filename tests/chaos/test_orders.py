from random import Random

import pytest

from chaos.load.ledger import Ledger, Outcome, read_ledgers
from chaos.load.orders import Answer, Clock, Order, Settled, place, settles, wait_s

CONFIRMED = Answer(201, {"id": "order-1", "state": "confirmed", "total_cents": 1500})


class Time:
    """A clock that moves only when somebody sleeps or a request takes its time."""

    def __init__(self):
        self.now_s = 100.0
        self.slept_s = []

    def sleep(self, s):
        self.slept_s.append(s)
        self.now_s += s

    @property
    def clock(self):
        return Clock(lambda: self.now_s, self.sleep, started_at=1_000_000.0)


@pytest.fixture
def order():
    return Order("run-1", "cart-1", "a@example.org", ((7, 2),), False, None, due_s=100.0, deadline_s=160.0)


def placed(order, answers, tmp_path, takes_s=0.1):
    """What came of it, the order in the ledger, and the clock."""
    time, left = Time(), list(answers)

    def send():
        time.now_s += takes_s
        return left.pop(0) if len(left) > 1 else left[0]

    ledger = Ledger(tmp_path / "ledger.jsonl")
    try:
        found = place(order, send, ledger, time.clock, lambda *_: None)
    finally:
        ledger.close()
    return found, read_ledgers([tmp_path / "ledger.jsonl"])[0], time


def test_a_confirmed_order_is_acknowledged_and_in_the_ledger(order, tmp_path):
    found, entry, _ = placed(order, [CONFIRMED], tmp_path)

    assert found == Settled(Outcome.ACKNOWLEDGED, None, "order-1", 1500)
    assert (entry.outcome, entry.order_id, entry.total_cents) == (Outcome.ACKNOWLEDGED, "order-1", 1500)
    (attempt,) = entry.attempts
    assert (attempt.due_at, attempt.sent_at, attempt.answered_at) == (1_000_100.0, 1_000_100.0, 1_000_100.1)


@pytest.mark.parametrize(
    "first", [Answer(503), Answer(500), Answer(429), Answer(0, error="timeout"), Answer(0, error="connection")]
)
def test_what_settles_nothing_is_asked_again(first, order, tmp_path):
    found, entry, time = placed(order, [first, first, CONFIRMED], tmp_path)

    assert found.outcome is Outcome.ACKNOWLEDGED
    assert [attempt.status for attempt in entry.attempts] == [first.status, first.status, 201]
    assert len(time.slept_s) == 2


def test_a_pending_order_is_asked_for_again(order, tmp_path):
    pending = Answer(200, {"id": "order-1", "state": "pending", "total_cents": 1500})

    found, entry, _ = placed(order, [pending, CONFIRMED], tmp_path)

    assert found.outcome is Outcome.ACKNOWLEDGED and len(entry.attempts) == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Answer(402, {"code": "payment-declined"}), "payment-declined"),
        (Answer(409, {"code": "out-of-stock"}), "out-of-stock"),
        (Answer(409, {"code": "price-changed"}), "price-changed"),
        (Answer(422, {"code": "idempotency-key-reused"}), "idempotency-key-reused"),
        (Answer(404), "404"),
        (Answer(200, {"id": "order-1", "state": "rejected", "reason": "declined"}), "declined"),
    ],
)
def test_a_refusal_is_final(answer, reason, order, tmp_path):
    found, entry, _ = placed(order, [answer], tmp_path)

    assert (found.outcome, found.reason) == (Outcome.REJECTED, reason)
    assert (entry.outcome, entry.reason, len(entry.attempts)) == (Outcome.REJECTED, reason, 1)


def test_a_conflict_that_names_a_time_to_come_back_is_not_final():
    assert settles(Answer(409, {"code": "in-progress"}, retry_after_s=1.0)) is None


def test_success_without_an_order_settles_nothing():
    assert settles(Answer(200, None)) is None
    assert settles(Answer(200, {"state": "confirmed"})) is None


def test_after_the_deadline_the_client_gives_up_and_says_so(order, tmp_path):
    found, entry, time = placed(order, [Answer(503)], tmp_path)

    assert found.outcome is Outcome.UNKNOWN
    assert entry.outcome is Outcome.UNKNOWN and entry.reason.endswith("last 503")
    assert time.now_s < order.deadline_s
    # Waits double to 5 s and keep half of their length: at most 60 / 2.5 + 5 of them.
    assert 8 < len(entry.attempts) < 30


def test_waits_double_jitter_and_end_at_five_seconds():
    for attempt, most in ((1, 0.2), (2, 0.4), (5, 3.2), (6, 5.0), (20, 5.0)):
        waits = [wait_s(attempt, None, Random(seed)) for seed in range(50)]
        assert most / 2 <= min(waits) < max(waits) <= most


def test_the_shop_may_ask_for_more_time_but_not_for_ever():
    assert wait_s(1, 2.0, Random(1)) == 2.0
    assert wait_s(1, 3600.0, Random(1)) == 10.0
    assert wait_s(1, 0.0, Random(1)) >= 0.1


def test_a_retry_is_due_when_its_wait_is_over(order, tmp_path):
    _, entry, time = placed(order, [Answer(503, retry_after_s=2.0), CONFIRMED], tmp_path)

    # Answered 0.1 s after 100, asked to wait for 2 s.
    assert entry.attempts[1].due_at == pytest.approx(1_000_102.1)
    assert time.slept_s == pytest.approx([2.0])
