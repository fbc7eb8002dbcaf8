"""Orders of a live run: what clients were told beside what the shop's books say."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from chaos.load.books import Books
from chaos.load.ledger import LedgerOrder, Outcome
from chaos.load.reconcile import Mistake, Reconciliation
from simulation.result import OrderLedger


def order_ledger(
    orders: Sequence[LedgerOrder], commits: dict[str, int], found: Reconciliation, span_s: tuple[float, float]
) -> OrderLedger:
    """The visitors' orders that were first due in `span_s` (Unix), the probe's left out. `commits` as `commits_of`.

    A finding that an order was lost, or made more than once, binds whatever its key says: a cart can be ordered twice
    under two keys.
    """
    first_s, end_s = span_s
    lost = {f.key for f in found.findings if f.mistake is Mistake.LOST}
    twice = {f.key for f in found.findings if f.mistake is Mistake.DUPLICATED}
    own = [o for o in orders if not o.synthetic and o.attempts and first_s <= o.attempts[0].due_at < end_s]

    def times(order: LedgerOrder) -> int:
        if order.key in lost:
            return 0
        return max(2, commits.get(order.key, 0)) if order.key in twice else commits.get(order.key, 0)

    return OrderLedger(
        intended_s=np.array([o.attempts[0].due_at - first_s for o in own], dtype=np.float64),
        acknowledged=np.array([o.outcome is Outcome.ACKNOWLEDGED for o in own], dtype=np.bool_),
        commits=np.array([times(o) for o in own], dtype=np.int64),
    )


def commits_of(books: Books) -> dict[str, int]:
    """How often each key is confirmed in the books."""
    counts: dict[str, int] = {}
    for order in books.orders:
        if order.state == "confirmed":
            counts[order.key] = counts.get(order.key, 0) + 1
    return counts
