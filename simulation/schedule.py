"""What runs every so often beside the world: scrapes, syncs, ticks, samples."""

from __future__ import annotations

import heapq
from collections.abc import Callable

from simulation.world import World

Activity = Callable[[float], None]


class Schedule:
    """Runs activities in order of time; those of one moment in the order in which they were added."""

    def __init__(self) -> None:
        self._due: list[tuple[float, int, float, Activity]] = []
        self._count = 0

    def every(self, period_s: float, first_s: float, activity: Activity) -> None:
        heapq.heappush(self._due, (first_s, self._count, period_s, activity))
        self._count += 1

    def run(self, world: World, until_s: float) -> None:
        """Advance the world from one activity to the next, and to `until_s` at last."""
        while self._due and self._due[0][0] <= until_s:
            at_s, order, period_s, activity = self._due[0]
            if at_s > world.now_s:
                world.advance(at_s)
            activity(at_s)
            # Whole microseconds, so that no rounding accumulates.
            heapq.heapreplace(self._due, (round(at_s + period_s, 6), order, period_s, activity))
        if until_s > world.now_s:
            world.advance(until_s)
