"""An experiment on a cluster that is up: all of its runs, each with ways of its own into the cluster."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from chaos.experiments.arms import LiveArm
from chaos.experiments.conductor import Conductor, GuardSettings
from chaos.experiments.cpu_times import CpuTimes, cpu_times
from chaos.experiments.experiment import Wanted, carry_out_all, roll_back
from chaos.experiments.interrupts import Interrupts
from chaos.experiments.live.assembly import Site, stand_on
from chaos.experiments.live_plan import LivePlan
from chaos.experiments.rollback import Undo
from chaos.experiments.run_folder import RunFolder
from chaos.load.probe import ProbePlan


@dataclass(frozen=True, slots=True)
class SystemClock:
    """`Clock` of this machine."""

    def now_s(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def cpu_times(self) -> CpuTimes | None:
        return cpu_times()


@dataclass(frozen=True, slots=True)
class Campaign:
    """`interrupts` must be raising: what a signal ends is taken back first, and goes on with `resume`."""

    site: Site
    probe: ProbePlan
    guard: GuardSettings
    interrupts: Interrupts
    say: Callable[[str], None]

    def carry_out(self, wanted: Wanted) -> None:
        """Raises what `carry_out_all` raises. The cluster is left without shop and operator."""
        with stand_on(self.site, self.probe) as stand:
            carry_out_all(wanted, stand, self._one, SystemClock(), self.say)
            stand.installer.tear_down()

    def roll_back(self, out: Path) -> tuple[Undo, ...]:
        """What stopped runs left. Raises `RollbackIncomplete`, `FolderInvalid`."""
        with stand_on(self.site, self.probe) as stand:
            return roll_back(out, stand)

    def _one(self, plan: LivePlan, arm: LiveArm, folder: RunFolder) -> None:
        with stand_on(self.site, self.probe) as stand:
            Conductor(stand, SystemClock(), self.interrupts, self.guard, self.say).carry_out(plan, arm, folder)
