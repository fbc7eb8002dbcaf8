"""Load that goes on while something else is done to the shop, and what its ledger and the books say afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from chaos.load.books_database import address_in_state, read_books
from chaos.load.ledger import read_ledgers
from chaos.load.mix import MIXES
from chaos.load.plan import LoadPlan
from chaos.load.probe import ProbePlan
from chaos.load.reconcile import Reconciliation, settled
from chaos.load.run import run_load
from chaos.load.shapes import shaped
from chaos.load.summary import LoadSummary
from chaos.local_shop import LocalShop, wait_for


@dataclass(slots=True)
class BackgroundLoad:
    """A run in a thread. `summary` and `failure` are there once it ended."""

    plan: LoadPlan
    summary: LoadSummary | None = None
    failure: Exception | None = None
    _thread: threading.Thread | None = field(default=None, repr=False)

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def wait_until_it_sends(self, limit_s: float = 60.0) -> None:
        """What is done to the shop before would hit the load's preparation, not the load. Raises `ShopFailed`."""
        wait_for("the load to begin", lambda: self.failure is not None or self.plan.records.is_file(), limit_s)

    def wait(self) -> None:
        """Until the run has ended, well or not: no load outlives the block that began it."""
        if self._thread is not None:
            self._thread.join()

    def finished(self) -> LoadSummary:
        """Waits for the end. Raises what the run raised."""
        self.wait()
        if self.failure is not None:
            raise self.failure
        assert self.summary is not None
        return self.summary

    def _run(self) -> None:
        try:
            self.summary = run_load(self.plan)
        except Exception as failure:  # noqa: BLE001 - told to whoever waits for the run
            self.failure = failure


@contextmanager
def load_beside(
    shop: LocalShop, out: Path, *, mix: str, rate_rps: float, duration_s: float, seed: int, probe: bool = True
) -> Iterator[BackgroundLoad]:
    """Load on the shop during the block; `finished()` in it or after it gives the summary."""
    plan = LoadPlan(
        shop.url,
        shaped("constant", rate_rps, duration_s, seed),
        out,
        out / "ledger.jsonl",
        seed=seed,
        mix=MIXES[mix],
        probe=ProbePlan() if probe else None,
        slo_latency_s=1.0,
    )
    load = BackgroundLoad(plan)
    load.start()
    try:
        load.wait_until_it_sends()
        yield load
    finally:
        load.wait()


def compare_books(shop: LocalShop, ledgers: list[Path], settle_s: float = 150.0) -> Reconciliation:
    """Ledgers against the database, once nothing is under way any more."""
    address = address_in_state(shop.state_file)
    return settled(read_ledgers(ledgers), lambda: read_books(address), time.monotonic, time.sleep, settle_s)
