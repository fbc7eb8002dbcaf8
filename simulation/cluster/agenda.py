"""What will happen when: the timers of everything that is not a request."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import inf


class Agenda:
    """Timers in order of time; those of the same time run in the order they were set."""

    def __init__(self, now_s: float) -> None:
        self.now_s = now_s
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def at(self, t_s: float, action: Callable[[], None]) -> None:
        """Run `action` at `t_s`, or as soon as possible if that has passed."""
        self._count += 1
        heapq.heappush(self._timers, (max(t_s, self.now_s), self._count, action))

    def after(self, delay_s: float, action: Callable[[], None]) -> None:
        self.at(self.now_s + delay_s, action)

    @property
    def next_s(self) -> float:
        return self._timers[0][0] if self._timers else inf

    def run_due(self) -> None:
        """Run every timer that is due now, and those they set for now."""
        while self._timers and self._timers[0][0] <= self.now_s:
            heapq.heappop(self._timers)[2]()
