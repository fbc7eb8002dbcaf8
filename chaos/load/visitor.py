"""What one visitor sends for one arrival, and what became of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

from chaos.load.catalogue import Catalogue
from chaos.load.ledger import Ledger, Outcome
from chaos.load.mix import Operation, Visit
from chaos.load.orders import Answer, Clock, Order, Settled, place
from chaos.load.records import Record, Verdict

PERSON = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
CRAWLER = "ShelfCrawlerBot/1.0"
GOOD_CARD, BAD_CARD = "tok_visa", "tok_declined"


class Sender(Protocol):
    """Sends one request and waits for the answer, at most `timeout_s`."""

    def send(
        self,
        name: str,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: Mapping[str, Any] | None,
        due_s: float,
        timeout_s: float,
    ) -> Answer: ...


@dataclass(frozen=True, slots=True)
class Patience:
    """How long clients wait."""

    browse_s: float = 5.0
    checkout_s: float = 20.0
    order_deadline_s: float = 60.0  # from an order's due time until its client gives up asking


class Visitors:
    """Performs visits. Every planned request leaves a record: sent, skipped, or blocked by the one before it."""

    def __init__(
        self,
        sender: Sender,
        catalogue: Catalogue,
        ledger: Ledger,
        note: Callable[[Record], None],
        clock: Clock,
        run_id: str,
        patience: Patience,
    ) -> None:
        self._sender = sender
        self._catalogue = catalogue
        self._ledger = ledger
        self._note = note
        self._clock = clock
        self._run_id = run_id
        self._patience = patience

    def perform(self, visit: Visit) -> None:
        if visit.operation <= Operation.SEARCH:
            self._ask(visit, visit.operation.name.lower(), "GET", self._path(visit), None, visit.due_s)
        else:
            self._shop(visit)

    def skip(self, visit: Visit) -> None:
        """The visit was due and could not begin."""
        for step in _steps(visit):
            self._note(Record(visit.due_s, step, Verdict.SKIPPED))

    def _path(self, visit: Visit) -> str:
        goods = self._catalogue
        if visit.operation is Operation.PRODUCT:
            return f"/product/{visit.lines[0][0]}"
        if visit.operation is Operation.CATEGORY:
            return f"/category/{quote(goods.categories[visit.choice % len(goods.categories)])}?page={visit.page}"
        if visit.operation is Operation.SEARCH:
            return f"/search?q={quote(goods.words[visit.choice % len(goods.words)])}"
        return "/"

    def _shop(self, visit: Visit) -> None:
        """Each request builds on the one before it: its due time is when that one was answered."""
        steps = _steps(visit)
        opened = self._ask(visit, steps[0], "POST", "/api/v1/carts", {}, visit.due_s)
        cart = opened.body.get("cart_id") if isinstance(opened.body, dict) else None
        if cart is None:
            return self._block(steps[1:])
        path = f"/api/v1/carts/{quote(str(cart), safe='')}"
        for number, (product, quantity) in enumerate(visit.lines, start=1):
            line = {"product_id": product, "quantity": quantity}
            if not self._ask(visit, "cart-line", "POST", f"{path}/lines", line).ok:
                return self._block(steps[number + 1 :])
        seen = self._ask(visit, "cart-view", "GET", path, None)
        if visit.operation is not Operation.CHECKOUT:
            return None
        if not seen.ok:
            return self._block(steps[-1:])
        return self._order(visit, str(cart), _total(seen))

    def _order(self, visit: Visit, cart: str, expected_total_cents: int | None) -> None:
        due_s = self._clock.now_s()
        order = Order(
            key=f"{self._run_id}-{visit.index}",
            cart=cart,
            customer=f"shopper-{self._run_id}-{visit.index}@example.org",
            lines=visit.lines,
            synthetic=False,
            expected_total_cents=expected_total_cents,
            due_s=due_s,
            deadline_s=due_s + self._patience.order_deadline_s,
        )
        body = order_body(order, GOOD_CARD if visit.pays else BAD_CARD)
        headers = {**_headers(visit), "Idempotency-Key": order.key}

        def send() -> Answer:
            now_s = self._clock.now_s()
            left_s = max(1.0, order.deadline_s - now_s)
            timeout_s = min(self._patience.checkout_s, left_s)
            return self._sender.send("order", "POST", "/api/v1/orders", headers, body, now_s, timeout_s)

        def watch(attempt_due_s: float, sent_s: float, answered_s: float, answer: Answer, end: Settled | None) -> None:
            verdict = Verdict.RETRIED if end is None else order_verdict(end)
            # The order as a whole counts from when it was due first; attempts before the last from their own time.
            since_s = attempt_due_s if end is None else order.due_s
            self._note(_record(since_s, "order", verdict, answer, sent_s - attempt_due_s, answered_s))

        place(order, send, self._ledger, self._clock, watch)

    def _ask(
        self,
        visit: Visit,
        name: str,
        method: str,
        path: str,
        body: Mapping[str, Any] | None,
        due_s: float | None = None,
    ) -> Answer:
        sent_s = self._clock.now_s()
        due_s = sent_s if due_s is None else due_s
        answer = self._sender.send(name, method, path, _headers(visit), body, due_s, self._patience.browse_s)
        verdict = Verdict.OK if answer.ok else Verdict.FAILED
        self._note(_record(due_s, name, verdict, answer, sent_s - due_s, self._clock.now_s()))
        return answer

    def _block(self, steps: tuple[str, ...]) -> None:
        for step in steps:
            self._note(Record(self._clock.now_s(), step, Verdict.BLOCKED))


def order_body(order: Order, payment_token: str) -> dict[str, Any]:
    body: dict[str, Any] = {"cart_id": order.cart, "payment_token": payment_token, "email": order.customer}
    if order.expected_total_cents is not None:
        body["expected_total_cents"] = order.expected_total_cents
    return body


def order_verdict(settled: Settled) -> Verdict:
    """A declined card and a sold-out product are proper answers; not knowing is not."""
    if settled.outcome is Outcome.ACKNOWLEDGED:
        return Verdict.OK
    if settled.outcome is Outcome.REJECTED and settled.reason in PROPER_REFUSALS:
        return Verdict.REJECTED
    return Verdict.FAILED


PROPER_REFUSALS = frozenset({"payment-declined", "out-of-stock", "price-changed"})


def _record(due_s: float, name: str, verdict: Verdict, answer: Answer, lag_s: float, answered_s: float) -> Record:
    return Record(
        due_s=due_s,
        operation=name,
        verdict=verdict,
        status=answer.status,
        error=answer.error,
        lag_ms=max(0.0, lag_s * 1000.0),
        latency_ms=(answered_s - due_s) * 1000.0,
    )


def _steps(visit: Visit) -> tuple[str, ...]:
    """The requests that a visit is planned to make."""
    if visit.operation <= Operation.SEARCH:
        return (visit.operation.name.lower(),)
    steps = ("cart-open", *("cart-line" for _ in visit.lines), "cart-view")
    return (*steps, "order") if visit.operation is Operation.CHECKOUT else steps


def _headers(visit: Visit) -> dict[str, str]:
    """Visitors have addresses of their own, which a gateway that trusts its proxies reads from X-Forwarded-For."""
    person = visit.visitor % 0xFFFF00 + 1
    address = f"10.{person >> 16 & 255}.{person >> 8 & 255}.{person & 255}"
    return {"User-Agent": CRAWLER if visit.bot else PERSON, "X-Forwarded-For": address}


def _total(seen: Answer) -> int | None:
    """What the cart is said to cost, where it is said and is of today."""
    total = seen.body.get("total_cents") if isinstance(seen.body, dict) else None
    return total if isinstance(total, int) else None
