"""Who of several replicas leads, decided without ever comparing clocks of two machines.

A follower takes a Lease that it has not seen change for as long as its holder asked for, by the follower's own
monotonic clock. A leader counts its Lease from the moment before it *asked* for it, so that it always believes to have
less time than the others give it; between the two lies what a request may still be under way for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

from foresail.leadership.lease import LeaseApi, LeaseConflict, LeaseRecord, LeaseUnavailable, micro_time

#: Taken off every lease: clocks of two machines may run differently fast, and a process may be stopped for a moment
#: between its look at the fence and the request.
MARGIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Timing:
    """As Kubernetes' own controllers have it."""

    duration_s: float = 15.0  # a Lease unseen to change for this long is free
    renew_deadline_s: float = 10.0  # a leader without a renewal for this long stops to lead
    retry_s: float = 2.0


class Fence:
    """Whether this replica may still write. Shared between threads; closes by itself when renewals stop."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._until_s: float | None = None
        self._epoch = 0

    def may_write(self, timeout_s: float) -> bool:
        """Whether a request that takes up to `timeout_s` ends before anybody else may lead."""
        with self._lock:
            return self._until_s is not None and self._until_s - self._monotonic() > timeout_s

    @property
    def epoch(self) -> int:
        """The number of times that the Lease changed hands when this replica last took it. 0: it never has."""
        with self._lock:
            return self._epoch

    def open(self, until_s: float, epoch: int) -> None:
        with self._lock:
            self._until_s, self._epoch = until_s, epoch

    def close(self) -> None:
        """From now on nothing is written, however much time is left."""
        with self._lock:
            self._until_s = None


class Election:
    """One replica's part in the election. `step` does at most two requests; call it every `timing.retry_s`.

    Not for several threads at once; `fence` and `leads` may be asked from any.
    """

    def __init__(
        self,
        api: LeaseApi,
        identity: str,
        timing: Timing,
        monotonic: Callable[[], float],
        wall: Callable[[], float],
    ) -> None:
        """`identity` must be new with every process: a restarted one is somebody else. `wall` is only for people."""
        self.fence = Fence(monotonic)
        self.problem: str | None = None  # why the last step did not do what it should, for logs
        self._api, self._identity, self._timing = api, identity, timing
        self._monotonic, self._wall = monotonic, wall
        self._held: LeaseRecord | None = None  # ours, as last written
        self._renewed_at_s = 0.0
        self._observed: LeaseRecord | None = None  # as last seen to change
        self._observed_at_s = 0.0
        self._most_transitions = 0

    @property
    def leads(self) -> bool:
        """Whether this replica holds the Lease and has renewed it recently enough to go on."""
        held, renewed_at_s = self._held, self._renewed_at_s
        return held is not None and self._monotonic() - renewed_at_s < self._timing.renew_deadline_s

    @property
    def holder(self) -> str | None:
        """Who leads as far as this replica knows, None: nobody or unknown."""
        if self._held is not None:
            return self._identity
        return (self._observed and self._observed.holder) or None

    def step(self) -> None:
        """Renews, takes or watches the Lease. Never raises for what the API server does."""
        self.problem = None
        if self._held is not None and not self.leads:
            self._step_down("the Lease could not be renewed in time")
        try:
            if self._held is None:
                self._contend()
            else:
                self._renew(self._held)
        except LeaseUnavailable as error:
            self.problem = str(error)

    def release(self) -> None:
        """Gives the Lease away, so that a successor need not wait. Does nothing for a follower."""
        held = self._held
        self.fence.close()
        self._held = None
        if held is None:
            return
        try:
            self._api.replace(replace(held, holder="", duration_s=1.0, renewed=micro_time(self._wall())))
        except (LeaseConflict, LeaseUnavailable) as error:
            self.problem = f"the Lease was not released, it runs out by itself: {error}"

    def _renew(self, held: LeaseRecord) -> None:
        asked_at_s = self._monotonic()
        try:
            self._hold(self._api.replace(replace(held, renewed=micro_time(self._wall()))), asked_at_s)
        except LeaseConflict:
            self._look_again(held)

    def _look_again(self, held: LeaseRecord) -> None:
        """The Lease is not as we wrote it: a renewal of ours whose answer was lost, a label, or another leader."""
        found = self._api.read()
        if found is None or found.holder != self._identity or found.transitions != held.transitions:
            self._step_down("somebody else changed the Lease")
            if found is not None:
                self._see(found)
            return
        asked_at_s = self._monotonic()
        try:
            self._hold(self._api.replace(replace(found, renewed=micro_time(self._wall()))), asked_at_s)
        except LeaseConflict:
            self._step_down("somebody else changed the Lease")

    def _contend(self) -> None:
        found = self._api.read()
        if found is not None:
            self._see(found)
            if not self._is_free(found):
                return
        asked_at_s, now = self._monotonic(), micro_time(self._wall())
        transitions = 1 + max(self._most_transitions, 0 if found is None else found.transitions)
        wanted = LeaseRecord(
            self._identity, self._timing.duration_s, transitions, now, now, None if found is None else found.version
        )
        try:
            self._hold(self._api.create(wanted) if found is None else self._api.replace(wanted), asked_at_s)
        except LeaseConflict:
            return

    def _see(self, found: LeaseRecord) -> None:
        """Notes when the Lease was last seen to change: after the answer came, so rather too late than too early."""
        self._most_transitions = max(self._most_transitions, found.transitions)
        before = self._observed
        if before is None or replace(found, version=None) != replace(before, version=None):
            self._observed, self._observed_at_s = found, self._monotonic()

    def _is_free(self, found: LeaseRecord) -> bool:
        # Our own name stands there after an answer was lost, or after we stepped down and nobody came.
        if found.holder in ("", self._identity):
            return True
        # A holder may have asked for longer than we would, as the revert hook does.
        lasts_s = max(found.duration_s, self._timing.duration_s)
        return self._monotonic() - self._observed_at_s >= lasts_s

    def _hold(self, written: LeaseRecord, asked_at_s: float) -> None:
        self._most_transitions = max(self._most_transitions, written.transitions)
        # The epoch first: who sees that we lead must not see it with the epoch of the term before.
        self.fence.open(asked_at_s + self._timing.duration_s - MARGIN_S, written.transitions)
        self._renewed_at_s, self._held = asked_at_s, written

    def _step_down(self, why: str) -> None:
        self.fence.close()
        self._held = None
        self._observed = None
        self.problem = why
