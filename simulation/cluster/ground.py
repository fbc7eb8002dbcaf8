"""What every part of the simulated cluster stands on: the engine, the timers, the seed and the API server."""

from __future__ import annotations

from collections.abc import Callable

from simulation.cluster.agenda import Agenda
from simulation.kernel.engine import Engine


class Ground:
    """Shared by all parts of one world. Work that needs the API server waits here while it is gone."""

    def __init__(self, engine: Engine, agenda: Agenda, seed: int) -> None:
        self.engine = engine
        self.agenda = agenda
        self.seed = seed
        self._api_outages = 0
        self._waiting: list[Callable[[], None]] = []

    @property
    def now_s(self) -> float:
        return self.agenda.now_s

    @property
    def api_up(self) -> bool:
        return self._api_outages == 0

    def when_api(self, work: Callable[[], None]) -> None:
        """Do it now, or as soon as the API server answers again."""
        if self.api_up:
            work()
        else:
            self._waiting.append(work)

    def lose_api(self) -> None:
        self._api_outages += 1

    def restore_api(self) -> None:
        self._api_outages -= 1
        if self.api_up:
            waiting, self._waiting = self._waiting, []
            for work in waiting:
                work()
