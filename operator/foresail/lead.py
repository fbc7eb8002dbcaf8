"""The leader's part of a replica: a control loop that goes on from the checkpoint, and writes it before it acts."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from foresail.checkpoint import Restored
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Action, Decision
from policies.loop import ControlLoop
from policies.model import FastSeen, Observation, PolicySet
from policies.ports import Cluster, Metrics

log = logging.getLogger("foresail.lead")


class Checkpoints(Protocol):
    """`foresail.checkpoint.CheckpointStore`."""

    def read(self) -> Restored: ...

    def write(self, value: Any, now_s: float) -> bool: ...


#: A control loop over these ports and policies, its memory empty.
MakeLoop = Callable[[Metrics, Cluster, PolicySet], ControlLoop]


@dataclass(frozen=True, slots=True)
class Periods:
    checkpoint_s: float = 300.0
    before_acts_s: float = 30.0  # no checkpoint before an act that follows the last one this soon


class Lead:
    """One term as the leader. Single-threaded; ends by being dropped."""

    def __init__(
        self,
        make_loop: MakeLoop,
        metrics: Metrics,
        cluster: Cluster,
        checkpoints: Checkpoints,
        periods: Periods,
        epoch: int,
        settle: Callable[[float], object] = lambda now_s: None,
    ) -> None:
        """`settle` takes back what has expired; it is called after every slow tick."""
        self.epoch = epoch
        self._metrics = _Remembering(metrics)
        self._cluster = _Announcing(cluster, self._about_to_act)
        self._make_loop, self._checkpoints, self._periods = make_loop, checkpoints, periods
        self._settle = settle
        self._loop = self._fresh_loop()
        self._tried_at_s = self._due_at_s = -float("inf")

    def take_over(self, now_s: float) -> TakeOver:
        """Goes on from what the last leader left. Damage means a fresh start; no answer: `CheckpointUnavailable`."""
        found = self._checkpoints.read()
        if found.value is None:
            return self.start_fresh(now_s, found.problem)
        try:
            self._loop.restore(found.value)
        except Exception as error:
            # Of another version's making, say: whatever is in it, the loop must not die of it.
            log.exception("checkpoint_not_restored")
            return self.start_fresh(now_s, f"its content was refused: {type(error).__name__}")
        self._due_at_s = now_s + self._periods.checkpoint_s
        return TakeOver(now_s, self.epoch, found.written_at_s)

    def start_fresh(self, now_s: float, problem: str | None) -> TakeOver:
        """Goes on without memory: capacity and lead times are learned again, standing floors expire by themselves."""
        self._loop = self._fresh_loop()
        return TakeOver(now_s, self.epoch, None, problem)

    def tick(self, policies: PolicySet, now_s: float) -> TickReport:
        loop = self._loop
        loop.policies, self._metrics.seen = policies, None
        began_s = time.perf_counter()
        decisions = loop.tick(now_s)
        report = TickReport(
            at_s=now_s,
            seconds=time.perf_counter() - began_s,
            fast=False,
            policies=policies,
            decisions=decisions,
            refused=loop.refused,
            memory=loop.memory,
            seen=self._metrics.seen,
            demand=loop.last_demand,
            signals=loop.last_signals,
        )
        loop.last_demand = None  # large, and made anew at each tick: it lives as long as it is told of
        self._settle(now_s)
        if now_s >= self._due_at_s:
            self.write_checkpoint(now_s)
        return report

    def fast_tick(self, policies: PolicySet, now_s: float) -> TickReport | None:
        """None: there was nothing to decide."""
        loop = self._loop
        loop.policies = policies
        began_s = time.perf_counter()
        decisions = loop.fast_tick(now_s)
        if not decisions:
            return None
        seconds = time.perf_counter() - began_s
        return TickReport(now_s, seconds, True, policies, decisions, loop.refused, loop.memory)

    def write_checkpoint(self, now_s: float) -> bool:
        """Whether it is stored. A failure is tried again after `before_acts_s`, not at every act."""
        self._tried_at_s = now_s
        stored = self._checkpoints.write(self._loop.checkpoint(), now_s)
        self._due_at_s = now_s + (self._periods.checkpoint_s if stored else self._periods.before_acts_s)
        return stored

    def _about_to_act(self, decision: Decision, now_s: float) -> None:
        """The loop's memory holds its intent by now. The fast lane does not wait: its checkpoint follows the act."""
        if decision.fast:
            self._due_at_s = now_s
        elif now_s - self._tried_at_s >= self._periods.before_acts_s:
            self.write_checkpoint(now_s)

    def _fresh_loop(self) -> ControlLoop:
        return self._make_loop(self._metrics, self._cluster, PolicySet({}))


class _Remembering:
    """Passes on what is seen, and keeps the last look for reports."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.seen: Observation | None = None

    def observe(self, now_s: float) -> Observation:
        self.seen = self._metrics.observe(now_s)
        return self.seen

    def observe_fast(self, now_s: float) -> FastSeen:
        return self._metrics.observe_fast(now_s)


class _Announcing:
    """Passes on acts, each announced before it is done."""

    def __init__(self, cluster: Cluster, announce: Callable[[Decision, float], None]) -> None:
        self._cluster, self._announce = cluster, announce

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        self._announce(decision, now_s)
        return self._cluster.apply(action, decision, now_s)
