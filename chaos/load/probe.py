"""A synthetic customer: orders one product again and again, at even times, and says how that went."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote

import numpy as np

from chaos.load.ledger import Ledger
from chaos.load.orders import Answer, Clock, Order, Settled, place
from chaos.load.records import Record, Verdict
from chaos.load.visitor import GOOD_CARD, PERSON, Patience, Sender, order_body, order_verdict
from forecasting.forecast import Floats

CUSTOMER = "probe@example.org"
ADDRESS = "10.255.255.254"


@dataclass(frozen=True, slots=True)
class ProbePlan:
    """How often, and what is bought: products of its own, so that a sold-out shelf does not look like an outage."""

    rate_hz: float = 10.0
    products: tuple[int, ...] = ()  # none: the last of the catalogue

    def due_s(self, duration_s: float) -> Floats:
        return np.asarray(np.arange(round(duration_s * self.rate_hz), dtype=np.float64) / self.rate_hz)


class Prober:
    """One record per probe: the whole way from putting a product into a cart to the order's last word.

    Carts are used again, each by one probe at a time, so a probe costs two requests.
    """

    def __init__(
        self,
        sender: Sender,
        ledger: Ledger,
        note: Callable[[Record], None],
        clock: Clock,
        run_id: str,
        products: tuple[int, ...],
        patience: Patience,
    ) -> None:
        self._sender = sender
        self._ledger = ledger
        self._note = note
        self._clock = clock
        self._run_id = run_id
        self._products = products
        self._patience = patience
        self._carts: list[str] = []  # free ones

    def perform(self, index: int, due_s: float) -> None:
        sent_s = self._clock.now_s()
        verdict, answer, step = self._probe(index, due_s)
        now_s = self._clock.now_s()
        error = "" if verdict in (Verdict.OK, Verdict.REJECTED) else f"{step}:{answer.error or answer.status}"
        self._note(
            Record(
                due_s=due_s,
                operation="probe",
                verdict=verdict,
                status=answer.status,
                error=error,
                lag_ms=max(0.0, (sent_s - due_s) * 1000.0),
                latency_ms=(now_s - due_s) * 1000.0,
            )
        )

    def skip(self, index: int, due_s: float) -> None:
        self._note(Record(due_s, "probe", Verdict.SKIPPED))

    def _probe(self, index: int, due_s: float) -> tuple[Verdict, Answer, str]:
        """What became of the probe, the last answer, and the step that got it."""
        if self._carts:
            cart = self._carts.pop()
        else:
            opened = self._ask("probe-cart", "POST", "/api/v1/carts", {}, due_s)
            cart = str(opened.body["cart_id"]) if opened.ok and isinstance(opened.body, dict) else ""
            if not cart:
                return Verdict.FAILED, opened, "cart"
        product = self._products[index % len(self._products)]
        path = f"/api/v1/carts/{quote(cart, safe='')}/lines/{product}"
        filled = self._ask("probe-line", "PUT", path, {"quantity": 1}, due_s)
        if not filled.ok:
            if filled.status != 404:
                self._carts.append(cart)
            return Verdict.FAILED, filled, "line"
        settled, last = self._order(index, due_s, cart, product)
        self._carts.append(cart)
        return order_verdict(settled), last, "order"

    def _order(self, index: int, due_s: float, cart: str, product: int) -> tuple[Settled, Answer]:
        order = Order(
            key=f"{self._run_id}-probe-{index}",
            cart=cart,
            customer=CUSTOMER,
            lines=((product, 1),),
            synthetic=True,
            expected_total_cents=None,
            due_s=due_s,
            deadline_s=due_s + self._patience.order_deadline_s,
        )
        body = order_body(order, GOOD_CARD)
        headers = {"Idempotency-Key": order.key}
        last = Answer(0)

        def send() -> Answer:
            nonlocal last
            left_s = max(1.0, order.deadline_s - self._clock.now_s())
            timeout_s = min(self._patience.checkout_s, left_s)
            last = self._ask("probe-order", "POST", "/api/v1/orders", body, self._clock.now_s(), timeout_s, headers)
            return last

        return place(order, send, self._ledger, self._clock, lambda *_: None), last

    def _ask(
        self,
        name: str,
        method: str,
        path: str,
        body: dict[str, object],
        due_s: float,
        timeout_s: float | None = None,
        headers: dict[str, str] | None = None,
    ) -> Answer:
        known = {"User-Agent": PERSON, "X-Synthetic": "probe", "X-Forwarded-For": ADDRESS, **(headers or {})}
        return self._sender.send(name, method, path, known, body, due_s, timeout_s or self._patience.browse_s)
