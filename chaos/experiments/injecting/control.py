"""Faults of the control plane: metrics, API server or the operator itself are away."""

from __future__ import annotations

from chaos.experiments.injecting.injector import Injection
from chaos.experiments.injecting.undoing import SWITCH_ON
from chaos.experiments.problems import VerbFailed
from chaos.experiments.rollback import Undo


class SwitchedOff(Injection):
    """One switch is off while the fault lasts."""

    def inject(self, now_s: float) -> None:
        kind = self.fault.kind
        switch = self.stage.verbs.switches.get(kind)
        if switch is None:
            raise VerbFailed(f"this cluster has no switch for a {kind.value}")
        self.promise(Undo(SWITCH_ON, kind.value))
        switch.off()
