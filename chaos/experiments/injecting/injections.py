"""All injections of a run: each begins, goes on and is taken back at its time, and is written down as it really was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from chaos.experiments.injecting.injector import Injector
from chaos.experiments.live_plan import PlannedFault
from chaos.experiments.problems import InjectionFailed, VerbFailed

#: A fault that could not be begun within this is none.
PATIENCE_S = 10.0


@dataclass(frozen=True, slots=True)
class InjectionRecord:
    """A fault as it was made, in seconds of the scenario. None: it never began, or was not taken back yet."""

    index: int
    kind: str
    began_s: float | None
    ended_s: float | None
    targets: tuple[str, ...]


@dataclass(slots=True)
class _Running:
    planned: PlannedFault
    injector: Injector
    began_s: float | None = None
    ended_s: float | None = None


class Injections:
    """Call `step` about once a second; it says nothing about time itself."""

    def __init__(
        self,
        faults: Sequence[PlannedFault],
        make: Callable[[PlannedFault], Injector],
        tell: Callable[[float, str], None] = lambda at_s, what: None,
    ) -> None:
        self._running = [_Running(planned, make(planned)) for planned in faults]
        self._tell = tell

    def step(self, now_s: float) -> None:
        """Raises `InjectionFailed` when a fault cannot be begun. A failing undo is tried again with the next step, and
        by the rollback at the end."""
        for running in self._running:
            fault = running.planned.fault
            if running.ended_s is not None or now_s < fault.start_s:
                continue
            if running.began_s is None:
                self._begin(running, now_s)
            elif now_s >= fault.end_s:
                self._end(running, now_s)
            else:
                self._advance(running, now_s)

    def records(self) -> tuple[InjectionRecord, ...]:
        return tuple(
            InjectionRecord(r.planned.index, r.planned.fault.kind.value, r.began_s, r.ended_s, r.injector.targets)
            for r in self._running
        )

    def _begin(self, running: _Running, now_s: float) -> None:
        fault = running.planned.fault
        try:
            running.injector.inject(now_s)
        except VerbFailed as error:
            if now_s - fault.start_s >= PATIENCE_S:
                raise InjectionFailed(f"faults.{running.planned.index} ({fault.kind.value}): {error}") from error
            return
        running.began_s = now_s
        self._tell(now_s, f"{fault.kind.value} began: {', '.join(running.injector.targets)}")

    def _advance(self, running: _Running, now_s: float) -> None:
        try:
            running.injector.advance(now_s)
        except VerbFailed as error:
            self._tell(now_s, f"{running.planned.fault.kind.value}: {error}")

    def _end(self, running: _Running, now_s: float) -> None:
        try:
            running.injector.undo()
        except VerbFailed as error:
            self._tell(now_s, f"{running.planned.fault.kind.value} not taken back yet: {error}")
            return
        running.ended_s = now_s
        self._tell(now_s, f"{running.planned.fault.kind.value} ended")
