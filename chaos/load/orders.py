"""How a correct client orders: it asks with one key until it knows, or until its deadline."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from chaos.load.ledger import Attempt, Ledger, Outcome

FIRST_WAIT_S = 0.2
LONGEST_WAIT_S = 5.0

#: Answers that say no for good, unless they name a time to come back.
_REFUSALS = frozenset({400, 402, 404, 409, 413, 422})


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Status 0: nothing, and `error` says why; `body` is the parsed JSON, None where there is none."""

    status: int
    body: Any = None
    error: str = ""
    retry_after_s: float | None = None

    @property
    def ok(self) -> bool:
        return 200 <= self.status < 400


@dataclass(frozen=True, slots=True)
class Settled:
    """What the client knows of its order in the end."""

    outcome: Outcome
    reason: str | None = None
    order_id: str | None = None
    total_cents: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """What is ordered, and until when the client tries."""

    key: str
    cart: str
    customer: str
    lines: tuple[tuple[int, int], ...]
    synthetic: bool
    expected_total_cents: int | None
    due_s: float
    deadline_s: float  # on the same clock as `due_s`


@dataclass(frozen=True, slots=True)
class Clock:
    """Seconds since the start of the run, and how to let them pass."""

    now_s: Callable[[], float]
    sleep: Callable[[float], None]
    started_at: float  # seconds since the epoch at 0


#: Sends the order once with its key.
Send = Callable[[], Answer]

#: Told about each attempt: when it was due, sent and answered, the answer, and what it settled (None: try again).
Watch = Callable[[float, float, float, Answer, Settled | None], None]


def settles(answer: Answer) -> Settled | None:
    """What an answer settles, or None when the client must ask again with the same key."""
    body = answer.body if isinstance(answer.body, dict) else {}
    code = str(body.get("code", answer.status))
    if answer.status in (200, 201):
        state, order_id = body.get("state"), body.get("id")
        if order_id is None or state not in ("confirmed", "rejected"):
            return None
        if state == "rejected":
            return Settled(Outcome.REJECTED, str(body.get("reason") or "rejected"), str(order_id))
        total = body.get("total_cents")
        return Settled(Outcome.ACKNOWLEDGED, None, str(order_id), None if total is None else int(total))
    if answer.status in _REFUSALS and answer.retry_after_s is None:
        return Settled(Outcome.REJECTED, code)
    return None


def wait_s(attempt: int, retry_after_s: float | None, rng: Random) -> float:
    """How long to wait after the `attempt`-th sending (from 1): doubling, jittered, never before the shop asked."""
    most = min(LONGEST_WAIT_S, FIRST_WAIT_S * 2.0 ** (attempt - 1))
    jittered = most * (0.5 + 0.5 * rng.random())
    return jittered if retry_after_s is None else max(jittered, min(retry_after_s, 2.0 * LONGEST_WAIT_S))


def place(order: Order, send: Send, ledger: Ledger, clock: Clock, watch: Watch) -> Settled:
    """Orders, again and again with the same key, and writes every step to the ledger."""
    ledger.ordered(order.key, order.cart, order.customer, order.lines, order.synthetic, order.expected_total_cents)
    rng = Random(order.key)
    due_s, attempt = order.due_s, 0
    while True:
        attempt += 1
        sent_s = clock.now_s()
        answer = send()
        answered_s = clock.now_s()
        at = clock.started_at
        ledger.attempted(
            order.key, Attempt(at + due_s, at + sent_s, at + answered_s, answer.status, answer.error or None)
        )
        settled = settles(answer)
        next_s = answered_s + wait_s(attempt, answer.retry_after_s, rng)
        if settled is None and next_s >= order.deadline_s:
            settled = Settled(Outcome.UNKNOWN, f"no answer that settles it until the deadline; last {answer.status}")
        if settled is not None:
            ledger.settled(order.key, settled.outcome, settled.reason, settled.order_id, settled.total_cents)
            watch(due_s, sent_s, answered_s, answer, settled)
            return settled
        watch(due_s, sent_s, answered_s, answer, None)
        clock.sleep(next_s - clock.now_s())
        due_s = next_s
