"""What all injections have in common."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Protocol

from chaos.experiments.injecting.stage import Stage
from chaos.experiments.rollback import Undo
from simulation.scenario import Fault


class Injector(Protocol):
    """One fault on a live cluster. Times are seconds of the scenario; every method may raise `VerbFailed`."""

    def inject(self, now_s: float) -> None:
        """Begin. Called again after a failure, so what was done already must not be done twice."""

    def advance(self, now_s: float) -> None:
        """A second has passed: reach pods that are new, hurt again what came back."""

    def level(self, t_s: float) -> float:
        """How far the fault has come, 0..1."""
        ...

    def undo(self) -> None:
        """Take it all back; without need it does nothing."""

    @property
    def targets(self) -> tuple[str, ...]:
        """Whom it has really hit, in the order of being hit."""
        ...


class Injection(ABC):
    """Base of the injectors: remembers whom it hit and what it promised to take back."""

    def __init__(self, fault: Fault, index: int, stage: Stage) -> None:
        self.fault = fault
        self.index = index
        self.stage = stage
        self._targets: dict[str, None] = {}
        self._promised: dict[Undo, int] = {}
        if fault.service is not None:
            self.hit(fault.service)

    @abstractmethod
    def inject(self, now_s: float) -> None: ...

    def advance(self, now_s: float) -> None:  # noqa: B027 – most faults need nothing here
        """Stays as it is."""

    def level(self, t_s: float) -> float:
        return self.fault.level(t_s)

    def undo(self) -> None:
        for undo, number in reversed(tuple(self._promised.items())):
            self.stage.promises.undo(number)
            del self._promised[undo]

    @property
    def targets(self) -> tuple[str, ...]:
        return tuple(self._targets)

    def hit(self, *targets: str) -> None:
        self._targets.update(dict.fromkeys(targets))

    def promise(self, undo: Undo) -> None:
        """Must come before what it takes back; the same promise is made once."""
        if undo not in self._promised:
            self._promised[undo] = self.stage.promises.promise(undo)
