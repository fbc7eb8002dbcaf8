"""The thread that keeps an election going, whatever else the process is busy with."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from foresail.leadership.election import Election, Fence

log = logging.getLogger("foresail.leadership")


def steady_clock() -> float:
    """Seconds that go on while the machine sleeps, where the system counts them: a lease runs out meanwhile."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class LeaderKeeper:
    """Steps an election until it is released. `on_change` is called in its thread when leadership comes or goes."""

    def __init__(
        self, election: Election, retry_s: float, on_change: Callable[[bool], None] = lambda leads: None
    ) -> None:
        self._election, self._retry_s, self._on_change = election, retry_s, on_change
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="foresail-lease", daemon=True)
        self._led = self._keeps = False

    @property
    def leads(self) -> bool:
        return self._election.leads

    @property
    def epoch(self) -> int:
        return self._election.fence.epoch

    @property
    def holder(self) -> str | None:
        return self._election.holder

    @property
    def fence(self) -> Fence:
        return self._election.fence

    def start(self) -> None:
        self._thread.start()

    def release(self, timeout_s: float) -> None:
        """Stops contending and gives the Lease away; returns when that is done or after `timeout_s`."""
        self._stop(timeout_s, keeps=False)

    def abandon(self, timeout_s: float) -> None:
        """Stops contending and lets the Lease run out: for when a write of ours may still be under way."""
        self._stop(timeout_s, keeps=True)

    def _stop(self, timeout_s: float, keeps: bool) -> None:
        self._keeps = keeps
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._step()
            self._stopping.wait(self._retry_s)
        if self._keeps:
            self._election.fence.close()
        else:
            self._election.release()
        self._tell()

    def _step(self) -> None:
        try:
            self._election.step()
        except Exception:
            log.exception("election_step_failed")
        self._tell()

    def _tell(self) -> None:
        leads, problem = self._election.leads, self._election.problem
        if problem is not None:
            log.warning("lease_trouble", extra={"problem": problem, "leads": leads})
        if leads != self._led:
            self._led = leads
            log.info("leadership_taken" if leads else "leadership_lost", extra={"epoch": self._election.fence.epoch})
            self._on_change(leads)
