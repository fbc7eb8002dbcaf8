"""Holds what clients may rely on against the shop's books: lost, duplicated, half-done, oversold, contradicted."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from chaos.load.books import BookedOrder, Books, Shelf
from chaos.load.ledger import LedgerOrder, Outcome

PENDING_LIMIT_S = 60.0


class Mistake(StrEnum):
    LOST = "lost"  # acknowledged to the client, not confirmed in the books
    DUPLICATED = "duplicated"  # confirmed, charged or counted more than once
    HALF_DONE = "half-done"  # order, payment, stock and outbox do not agree
    OVERSOLD = "oversold"  # more sold or promised than was there, or stock that does not add up
    CONTRADICTED = "contradicted"  # the client was told something else than the books say


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake; `key` is the order's idempotency key, its id where no client has a key, or the product."""

    mistake: Mistake
    key: str
    detail: str


@dataclass(frozen=True, slots=True)
class Reconciliation:
    """What was compared and what is wrong. `unknown_*` are orders whose client never learned what became of them."""

    ledger_orders: int
    acknowledged: int
    rejected: int
    unknown_confirmed: int
    unknown_rejected: int
    unknown_absent: int
    booked_orders: int
    not_in_ledger: int  # of people, or of other runs
    confirmed: int
    pending: int  # of those, too old ones are half-done
    findings: tuple[Finding, ...]

    @property
    def clean(self) -> bool:
        return not self.findings

    def count(self, mistake: Mistake) -> int:
        return sum(finding.mistake is mistake for finding in self.findings)

    @property
    def may_settle(self) -> bool:
        """Whether waiting could help: work that is under way looks half-done."""
        return self.pending > 0 or self.count(Mistake.HALF_DONE) > 0

    def as_json(self) -> dict[str, Any]:
        counts = {mistake.value.replace("-", "_"): self.count(mistake) for mistake in Mistake}
        return {"clean": self.clean, **counts, **asdict(self)}


def reconciled(ledger: Sequence[LedgerOrder], books: Books) -> Reconciliation:
    """The comparison. It is exact when nothing is under way any more; see `may_settle`."""
    by_key = {order.key: order for order in books.orders}
    told = Counter(order.outcome for order in ledger)
    unknown = Counter(
        "absent" if (booked := by_key.get(order.key)) is None else booked.state
        for order in ledger
        if order.outcome is Outcome.UNKNOWN
    )
    findings = (
        *_against_clients(ledger, by_key),
        *_more_than_once(_buyers(ledger, by_key), books),
        *(finding for order in books.orders for finding in _half_done(order)),
        *_left_over(books),
        *(finding for shelf in books.shelves for finding in _oversold(shelf)),
    )
    return Reconciliation(
        ledger_orders=len(ledger),
        acknowledged=told[Outcome.ACKNOWLEDGED],
        rejected=told[Outcome.REJECTED],
        unknown_confirmed=unknown["confirmed"],
        unknown_rejected=unknown["rejected"],
        unknown_absent=unknown["absent"],
        booked_orders=len(books.orders),
        not_in_ledger=len(by_key.keys() - {order.key for order in ledger}),
        confirmed=sum(order.state == "confirmed" for order in books.orders),
        pending=sum(order.state == "pending" for order in books.orders),
        findings=findings,
    )


def settled(
    ledger: Sequence[LedgerOrder],
    read: Callable[[], Books],
    now_s: Callable[[], float],
    sleep: Callable[[float], None],
    settle_s: float,
    poll_s: float = 1.0,
) -> Reconciliation:
    """Reads and compares until nothing looks half-done, at most for `settle_s`."""
    until_s = now_s() + settle_s
    while True:
        found = reconciled(ledger, read())
        if not found.may_settle or now_s() + poll_s > until_s:
            return found
        sleep(poll_s)


def _against_clients(ledger: Sequence[LedgerOrder], by_key: dict[str, BookedOrder]) -> Iterator[Finding]:
    for order in ledger:
        booked = by_key.get(order.key)
        if order.outcome is Outcome.ACKNOWLEDGED:
            yield from _acknowledged(order, booked)
        elif order.outcome is Outcome.REJECTED and booked is not None and booked.state == "confirmed":
            yield Finding(
                Mistake.CONTRADICTED,
                order.key,
                f"the client was refused ({order.reason}), the books have order {booked.id} confirmed",
            )
        if booked is not None:
            yield from _lines_as_ordered(order, booked)


def _acknowledged(order: LedgerOrder, booked: BookedOrder | None) -> Iterator[Finding]:
    if booked is None:
        yield Finding(Mistake.LOST, order.key, f"order {order.order_id} was acknowledged, the books have no such key")
    elif booked.state != "confirmed":
        yield Finding(Mistake.LOST, order.key, f"order {booked.id} was acknowledged, the books have it {booked.state}")
    elif booked.id != order.order_id:
        yield Finding(
            Mistake.LOST, order.key, f"order {order.order_id} was acknowledged, the books have {booked.id} for this key"
        )
    elif order.total_cents is not None and order.total_cents != booked.total_cents:
        yield Finding(
            Mistake.CONTRADICTED,
            order.key,
            f"the client was told {order.total_cents} cents, the books say {booked.total_cents}",
        )


def _lines_as_ordered(order: LedgerOrder, booked: BookedOrder) -> Iterator[Finding]:
    asked = dict(order.lines)
    held = {product: line.quantity for product, line in booked.lines.items() if line.quantity}
    for product in sorted(asked.keys() | held.keys()):
        wanted, written = asked.get(product, 0), held.get(product, 0)
        if wanted == written:
            continue
        mistake = Mistake.DUPLICATED if written > wanted > 0 else Mistake.CONTRADICTED
        yield Finding(mistake, order.key, f"product {product}: {wanted} ordered, {written} in the books")


def _buyers(ledger: Sequence[LedgerOrder], by_key: dict[str, BookedOrder]) -> dict[str, str]:
    """Keys by customer, as the books call them, of the customers that placed one order only.

    Load gives each of its orders a customer of its own; the probe is always the same.
    """
    keys: dict[str, set[str]] = defaultdict(set)
    for order in ledger:
        if order.key in by_key:
            keys[by_key[order.key].customer].add(order.key)
    return {customer: next(iter(own)) for customer, own in keys.items() if len(own) == 1}


def _more_than_once(keys_of: dict[str, str], books: Books) -> Iterator[Finding]:
    """`keys_of` are customers that placed one order: a second confirmed one of theirs was made twice."""
    confirmed: dict[str, list[BookedOrder]] = defaultdict(list)
    by_key: dict[str, list[BookedOrder]] = defaultdict(list)
    for booked in books.orders:
        if booked.state == "confirmed":
            by_key[booked.key].append(booked)
            if booked.customer in keys_of:
                confirmed[booked.customer].append(booked)
        if booked.captures > 1:
            yield Finding(Mistake.DUPLICATED, booked.key, f"order {booked.id} was charged {booked.captures} times")
    for key, twice in by_key.items():
        if len(twice) > 1:
            yield Finding(Mistake.DUPLICATED, key, f"confirmed as {', '.join(order.id for order in twice)}")
    for customer, twice in confirmed.items():
        if len({order.key for order in twice}) > 1:
            ids = ", ".join(order.id for order in twice)
            yield Finding(Mistake.DUPLICATED, keys_of[customer], f"one cart was ordered as {ids}")


def _half_done(order: BookedOrder) -> Iterator[Finding]:
    def half_done(detail: str) -> Finding:
        return Finding(Mistake.HALF_DONE, order.key, f"order {order.id} is {order.state}, {detail}")

    if order.state == "pending":
        if order.age_s > PENDING_LIMIT_S:
            yield half_done(f"for {order.age_s:.0f} s")
        return
    if order.state == "rejected":
        if order.payment == "captured":
            yield half_done(f"its payment of {order.paid_cents} cents is captured")
        for product, line in order.lines.items():
            if line.reserved in ("held", "sold"):
                yield half_done(f"{line.reserved_quantity} of product {product} are {line.reserved}")
        return
    if order.payment != "captured":
        yield half_done(f"its payment is {order.payment or 'missing'}")
    elif order.captures == 1 and order.paid_cents != order.total_cents:
        yield half_done(f"{order.paid_cents} of {order.total_cents} cents were charged")
    if order.lines_total_cents != order.total_cents:
        yield half_done(f"its lines add up to {order.lines_total_cents}, its total is {order.total_cents} cents")
    for product, line in order.lines.items():
        if line.reserved != "sold":
            yield half_done(f"{line.quantity} of product {product} are {line.reserved or 'not reserved'}")
        elif line.reserved_quantity != line.quantity:
            yield half_done(f"{line.reserved_quantity} instead of {line.quantity} of product {product} were sold")


def _left_over(books: Books) -> Iterator[Finding]:
    keys = {order.id: order.key for order in books.orders}
    for fact in books.undelivered:
        key = keys.get(fact.order_id, fact.order_id)
        yield Finding(Mistake.HALF_DONE, key, f"{fact.topic} waits in the outbox for {fact.age_s:.0f} s")
    for order_id in books.orphan_payments:
        yield Finding(Mistake.HALF_DONE, order_id, "a payment is captured for an order that is not there")
    for order_id in books.orphan_reservations:
        yield Finding(Mistake.HALF_DONE, order_id, "stock is promised to an order that is not there")


def _oversold(shelf: Shelf) -> Iterator[Finding]:
    def oversold(detail: str) -> Finding:
        return Finding(Mistake.OVERSOLD, f"product {shelf.product_id}", detail)

    if shelf.delivered - shelf.taken != shelf.on_hand:
        yield oversold(f"{shelf.delivered} came, {shelf.taken} went, and {shelf.on_hand} are said to be on hand")
    if shelf.sold + shelf.held > shelf.delivered:
        yield oversold(f"{shelf.sold} sold and {shelf.held} promised of {shelf.delivered} delivered")
    if shelf.sold != shelf.taken:
        yield oversold(f"{shelf.sold} sold, but {shelf.taken} taken from the shelf")
    if shelf.reserved != shelf.held:
        yield oversold(f"{shelf.reserved} counted as reserved, {shelf.held} held by orders")
