"""The loop's thread: slow ticks in a steady phase, fast ticks between them, and nothing that can end it but a stop.

The leader decides and acts. A follower looks once a minute, so that its history is warm when it takes over: what it has
missed in between, it asks for in the same queries.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Protocol

from foresail import unused_memory
from foresail.checkpoint import CheckpointUnavailable
from foresail.lead import Lead
from foresail.tick_report import Observer, TakeOver, TickReport
from policies.model import PolicySet
from policies.ports import Metrics, MetricsUnavailable

log = logging.getLogger("foresail.runner")

#: A minute of failed ticks: what a restart would mend, memory that poisons every tick, is mended here without one.
FAILURES_BEFORE_FRESH = 4
#: A follower looks this often.
FOLLOWED_S = 60.0
#: How long a new leader without an answer about its checkpoint waits for one before it starts without.
CHECKPOINT_PATIENCE_S = 60.0
#: Periods without a new look until the fast lane ticks by its own clock. By then the last look counts for nothing, so
#: that one failed probe is never counted twice.
LOOKLESS_PERIODS = 3.0


class Leadership(Protocol):
    """Whether this replica leads, and for the how manieth time the lead has changed."""

    @property
    def leads(self) -> bool: ...

    @property
    def epoch(self) -> int: ...


class PolicySource(Protocol):
    """What people declared, as of now. Cheap when nothing has changed; asked at every tick."""

    def policies(self, now_s: float) -> PolicySet: ...


@dataclass(frozen=True, slots=True)
class Clocks:
    """`steady` never jumps and orders ticks; `wall` is Unix time, which metrics and expiries are in."""

    steady: Callable[[], float]
    wall: Callable[[], float]


@dataclass(slots=True)
class Grid:
    """Due times in a steady phase. What was missed is counted, never made up for."""

    period_s: float
    next_s: float
    skipped: int = 0

    def is_due(self, now_s: float) -> bool:
        return now_s >= self.next_s

    def passed(self, now_s: float) -> None:
        """The next due time after `now_s`, in the same phase."""
        gone = int((now_s - self.next_s) // self.period_s)
        self.skipped += max(0, gone)
        self.next_s += (gone + 1) * self.period_s


@dataclass(slots=True)
class Progress:
    """How the loop does, for health and metrics. Written by its thread, read by any."""

    started_at_s: float  # steady time, like all here
    last_tick_at_s: float | None = None  # end of the last slow tick that did not fail, the leader's or a follower's
    last_tick_s: float | None = None  # how long that took, reporting included
    ticks: int = 0  # slow ones that did not fail
    failures: dict[str, int] = field(default_factory=lambda: {"slow": 0, "fast": 0, "observer": 0})
    failures_in_a_row: int = 0
    leads: bool = False
    observed: bool = False  # metrics gave any answer, "unknown" included


class Runner:
    """Call `step` whenever it said to, or `run` in a thread."""

    def __init__(
        self,
        make_lead: Callable[[int], Lead],
        metrics: Metrics,
        policies: PolicySource,
        leadership: Leadership,
        observers: Sequence[Observer],
        clocks: Clocks,
        tick_s: float = 15.0,
        fast_tick_s: float = 1.0,
        give_back: Callable[[], object] = unused_memory.give_back,
    ) -> None:
        """`make_lead` begins a term as the leader of that epoch; `give_back` is called after every slow tick."""
        now_s = clocks.steady()
        # In phase with Unix time, so that a successor ticks when its predecessor would have.
        self.slow = Grid(tick_s, now_s + (-clocks.wall()) % tick_s)
        self.fast = Grid(fast_tick_s, now_s)
        self.progress = Progress(now_s)
        self._make_lead, self._metrics, self._policies = make_lead, metrics, policies
        self._leadership, self._observers, self._clocks = leadership, observers, clocks
        self._give_back = give_back
        self._looked_at_s: float | None = None  # as a follower, in wall time
        self._lead: Lead | None = None
        self._waiting: Lead | None = None  # leads, but knows nothing of its checkpoint yet
        self._waiting_since_s = 0.0
        self._stopping, self._woken, self._looked = threading.Event(), threading.Event(), threading.Event()

    def run(self) -> None:
        """Steps until `stop`; a leader's last act is its checkpoint."""
        while not self._stopping.is_set():
            delay_s = self.step()
            self._woken.wait(delay_s)
            self._woken.clear()
        if self._lead is not None and self._leadership.leads:
            self._guarded("slow", lambda: self._farewell(self._clocks.wall()))

    def wake(self) -> None:
        """Looks at once whether leadership has changed. From any thread."""
        self._woken.set()

    def looked(self) -> None:
        """There is something new to see for the fast lane: its tick is due at once. From any thread."""
        self._looked.set()
        self._woken.set()

    def stop(self) -> None:
        """Ends `run` after the tick that is under way. From any thread."""
        self._stopping.set()
        self._woken.set()

    def step(self) -> float:
        """Does what is due; seconds until something is due again."""
        took_over = self._follow_leadership()
        looked = self._looked.is_set()
        if looked or self.fast.is_due(self._clocks.steady()):
            self._looked.clear()
            if self._lead is not None:
                self._guarded("fast", self._fast_tick)
            self.fast.passed(self._clocks.steady())
            if looked:
                self.fast.next_s = self._clocks.steady() + LOOKLESS_PERIODS * self.fast.period_s
        slow_is_due = self.slow.is_due(self._clocks.steady())
        if slow_is_due or took_over:
            self._slow_tick()
        if slow_is_due:
            self.slow.passed(self._clocks.steady())
        return max(0.0, min(self.slow.next_s, self.fast.next_s) - self._clocks.steady())

    def last_tick_age_s(self) -> float | None:
        """Since the end of the last slow tick that did not fail, None: there was none. From any thread."""
        at_s = self.progress.last_tick_at_s
        return None if at_s is None else self._clocks.steady() - at_s

    def age_s(self) -> float:
        """Since this runner was made. From any thread."""
        return self._clocks.steady() - self.progress.started_at_s

    def _follow_leadership(self) -> bool:
        """Begins and ends terms. True: a term has begun, so that the first tick should not wait."""
        leads, epoch = self._leadership.leads, self._leadership.epoch
        self.progress.leads = leads
        if not leads:
            self._lead = self._waiting = None
            return False
        if self._lead is not None and self._lead.epoch == epoch:
            return False
        if self._waiting is None or self._waiting.epoch != epoch:
            self._lead, self._waiting_since_s = None, self._clocks.steady()
            self._waiting = self._make_lead(epoch)
        self._guarded("slow", lambda: self._take_over(self._clocks.wall()))
        return self._lead is not None

    def _take_over(self, now_s: float) -> None:
        waiting = self._waiting
        if waiting is None:
            return
        try:
            event = waiting.take_over(now_s)
        except CheckpointUnavailable as error:
            if self._clocks.steady() - self._waiting_since_s < CHECKPOINT_PATIENCE_S:
                return
            event = waiting.start_fresh(now_s, f"it could not be read: {error}")
        self._lead, self._waiting = waiting, None
        self._tell(event)

    def _slow_tick(self) -> None:
        began_s = self._clocks.steady()
        done = self._guarded("slow", self._decide if self._lead is not None else self._follow)
        self._give_back()
        progress = self.progress
        if done:
            progress.last_tick_at_s, progress.failures_in_a_row = self._clocks.steady(), 0
            progress.last_tick_s = progress.last_tick_at_s - began_s
            progress.ticks += 1
            return
        progress.failures_in_a_row += 1
        if self._lead is not None and progress.failures_in_a_row % FAILURES_BEFORE_FRESH == 0:
            why = f"{progress.failures_in_a_row} ticks in a row have failed with it"
            self._tell(self._lead.start_fresh(self._clocks.wall(), why))

    def _decide(self) -> None:
        assert self._lead is not None
        self._looked_at_s = None
        now_s = self._clocks.wall()
        report = self._lead.tick(self._policies.policies(now_s), now_s)
        self.progress.observed = True
        self._report(report)

    def _follow(self) -> None:
        now_s = self._clocks.wall()
        if self._looked_at_s is not None and 0.0 <= now_s - self._looked_at_s < FOLLOWED_S - self.slow.period_s / 2.0:
            return
        try:
            self._metrics.observe(now_s)
            self._looked_at_s = now_s
        except MetricsUnavailable:
            log.debug("nothing_observed")
        self.progress.observed = True

    def _fast_tick(self) -> None:
        assert self._lead is not None
        now_s = self._clocks.wall()
        report = self._lead.fast_tick(self._policies.policies(now_s), now_s)
        if report is not None:
            self._report(report)

    def _farewell(self, now_s: float) -> None:
        assert self._lead is not None
        self._lead.write_checkpoint(now_s)

    def _report(self, report: TickReport) -> None:
        for observer in self._observers:
            self._guarded("observer", partial(observer.ticked, report))

    def _tell(self, event: TakeOver) -> None:
        fields = {"epoch": event.epoch, "checkpoint_at_s": event.checkpoint_at_s}
        if event.problem is None:
            log.info("took_over", extra=fields)
        else:
            log.warning("started_without_memory", extra={**fields, "problem": event.problem})
        for observer in self._observers:
            self._guarded("observer", partial(observer.took_over, event))

    def _guarded(self, lane: str, act: Callable[[], object]) -> bool:
        """Whether `act` ended without an exception. Whatever it was, the loop goes on: what is not done holds."""
        try:
            act()
        except Exception:
            self.progress.failures[lane] += 1
            log.exception("tick_failed", extra={"lane": lane, "failures": self.progress.failures[lane]})
            return False
        return True
