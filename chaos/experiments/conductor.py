"""One run: install an arm, load it, hurt it, watch it, take everything back, hold the books against the ledger."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from chaos.experiments.arms import LiveArm
from chaos.experiments.cpu_times import CpuTimes
from chaos.experiments.guard import Glance, Guard, Hypothesis
from chaos.experiments.injecting.injections import Injections
from chaos.experiments.injecting.registry import injector
from chaos.experiments.injecting.stage import Stage
from chaos.experiments.injecting.undoing import perform
from chaos.experiments.interrupts import Interrupts
from chaos.experiments.live_plan import LivePlan
from chaos.experiments.problems import RunFailed
from chaos.experiments.rollback import ROLLBACK, Rollback, RollbackJournal
from chaos.experiments.run_folder import Bookkeeping, RunFacts, RunFolder, write_facts
from chaos.experiments.stand import RunningLoad, Stand
from simulation.traffic import Traffic

STEP_S = 1.0
PROMETHEUS_STEP_S = 5.0
#: Queues drain and the last scrape comes in before Prometheus is asked.
SETTLES_S = 15.0


class Clock(Protocol):
    def now_s(self) -> float:
        """Unix time."""
        ...

    def sleep(self, seconds: float) -> None: ...

    def cpu_times(self) -> CpuTimes | None:
        """Of the machine under the cluster; None: not known."""


@dataclass(frozen=True, slots=True)
class GuardSettings:
    most_error_minutes: float
    error_ratio: float = 0.01
    steady_s: float = 30.0
    most_stolen_ratio: float = 0.05  # of processor time, by the machine's host


@dataclass(frozen=True, slots=True)
class Conductor:
    """Carries runs out on one stand. `say` is told what happens, as a sentence."""

    stand: Stand
    clock: Clock
    interrupts: Interrupts
    guard: GuardSettings
    say: Callable[[str], None]

    def carry_out(self, plan: LivePlan, arm: LiveArm, folder: RunFolder) -> None:
        """Leaves the folder of a run that can be scored.

        Raises `NotSteady`, `InjectionFailed`, `RunFailed`, `RunAborted`, or `RollbackIncomplete`; whatever it raises,
        everything that was done is taken back first, as far as that can be.
        """
        if folder.path.exists():
            shutil.rmtree(folder.path)  # of an attempt that was stopped
        journal = RollbackJournal(folder.path / ROLLBACK)
        rollback = Rollback(journal, lambda undo: perform(undo, self.stand.verbs))
        self.stand.installer.set_up(plan, arm)
        self.say(
            f"{arm.name} is installed; {plan.load_s:.0f} s of load begin, in the first {plan.settle_s:.0f} s of them "
            f"it only looks on, {plan.warm_up_s:.0f} s are warm-up"
        )
        with self.stand.observer.watching(folder):
            load = self.stand.load.start(plan, folder)
            zero_s = load.began_s + plan.zero_s
            guard = Guard(
                Hypothesis(plan.scenario.slo.latency_s, self.guard.error_ratio, self.guard.steady_s),
                self.guard.most_error_minutes,
            )
            injections = self._injections(plan, rollback)

            def facts(books: Bookkeeping | None) -> RunFacts:
                return RunFacts(load.began_s, zero_s, PROMETHEUS_STEP_S, injections.records(), guard.verdict(), books)

            before = self.clock.cpu_times()
            try:
                events = Traffic(plan.scenario, plan.seed).declared_events() if arm.knows_events else ()
                self.stand.installer.announce(arm, events, zero_s)
                self._until(zero_s - plan.warm_up_s)
                self.stand.installer.let_act(arm)
                self._hurt_and_watch(plan, load, zero_s, guard, injections)
            finally:
                with self.interrupts.held_back():
                    write_facts(folder, facts(None))
                    self._take_back(load, rollback)
                stolen = self._stolen_since(before)
            self.clock.sleep(SETTLES_S)
        end_s = zero_s + plan.scenario.duration_s
        self.stand.observer.collect(folder, zero_s, end_s, PROMETHEUS_STEP_S)
        write_facts(folder, facts(self.stand.books.settle(folder)))
        if stolen > self.guard.most_stolen_ratio:
            raise RunFailed(
                f"the host took {100.0 * stolen:.0f} % of the processors' time away, at most "
                f"{100.0 * self.guard.most_stolen_ratio:.0f} % may be: what was measured is the host; "
                "--resume --again failed tries once more"
            )

    def _injections(self, plan: LivePlan, rollback: Rollback) -> Injections:
        stage = Stage(self.stand.verbs, rollback, plan.scenario.topology, plan.places, plan.seed)
        return Injections(
            plan.faults,
            lambda planned: injector(planned.fault, planned.index, stage),
            lambda at_s, what: self.say(f"t = {at_s:.0f} s: {what}"),
        )

    def _hurt_and_watch(
        self, plan: LivePlan, load: RunningLoad, zero_s: float, guard: Guard, injections: Injections
    ) -> None:
        while True:
            seen, at_s = load.seen(), self.clock.now_s() - zero_s
            guard.note(Glance(at_s, seen.settled, seen.bad, seen.p99_s, self.stand.observer.unready()))
            injections.step(at_s)
            if seen.ended and at_s >= plan.scenario.duration_s:
                return
            self.clock.sleep(STEP_S)

    def _stolen_since(self, before: CpuTimes | None) -> float:
        """Told whatever became of the run: it may be why. Where it is not known there is nothing to hold against it."""
        now = self.clock.cpu_times()
        if before is None or now is None:
            return 0.0
        stolen = now.stolen_since(before)
        if stolen > self.guard.most_stolen_ratio:
            self.say(f"the host took {100.0 * stolen:.0f} % of the processors' time away meanwhile")
        return stolen

    def _until(self, unix_s: float) -> None:
        while (left_s := unix_s - self.clock.now_s()) > 0.0:
            self.clock.sleep(min(left_s, STEP_S))

    def _take_back(self, load: RunningLoad, rollback: Rollback) -> None:
        """The load first: it must not see the repair as part of the run. Both are tried whatever the other does."""
        try:
            load.stop()
        finally:
            for undo in rollback.unwind():
                self.say(f"taken back: {undo}")
