"""Fills older history by range queries of bounded size, newest first, a few per tick.

After a start, and for workloads that were added, the past comes in piece by piece; a restart therefore forgets nothing
that Prometheus still knows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.features import HORIZON_STEPS
from forecasting.forecast import Floats
from foresail.prometheus.asking import Asker
from foresail.prometheus.demand_log import DemandLog
from foresail.prometheus.demand_reading import chunk_steps, demand_queries, demand_span, read_demand
from foresail.prometheus.joining import Joiner
from foresail.prometheus.queries import Plan
from foresail.prometheus.settings import DEMAND_STEP_S, Reading

DAY_STEPS = int(86_400 / DEMAND_STEP_S)
WEEK_STEPS = 7 * DAY_STEPS


@dataclass(slots=True)
class Fill:
    """What is still missing of the past of some workloads: everything from step `first` (None: ever) to `last`."""

    plan: Plan
    workloads: tuple[str, ...]
    last: int
    first: int | None = None

    def reaches(self, oldest: int) -> bool:
        """Whether anything is missing from step `oldest` on."""
        return self.last >= self._from(oldest)

    def _from(self, oldest: int) -> int:
        return oldest if self.first is None else max(oldest, self.first)

    def step(self, asker: Asker, log: DemandLog, joiner: Joiner, reading: Reading, oldest: int) -> bool:
        """Fills one piece. False: nothing came, so that it is to be tried again at another tick."""
        first = max(self._from(oldest), self.last + 1 - chunk_steps(len(self.workloads), reading))
        table = read_demand(asker, self.plan, joiner, reading, demand_span(first, self.last))
        if table is None:
            return False
        mine = [row for row, name in enumerate(table.workloads) if name in set(self.workloads)]
        log.write(first, [table.workloads[row] for row in mine], table.offered_rps[mine], table.saturated[mine])
        self.last = first - 1
        return True


class Backlog:
    """All fills that are under way, oldest first."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._fills: list[Fill] = []

    @property
    def empty(self) -> bool:
        return not self._fills

    def add(self, plan: Plan, workloads: tuple[str, ...], last: int, first: int | None = None) -> None:
        self._fills.append(Fill(plan, workloads, last, first))

    def work(self, asker: Asker, log: DemandLog, joiner: Joiner, newest: int, *, points: int, queries: int) -> None:
        """Goes on until the newest `points` are filled, `queries` are spent or nothing comes; at least one piece."""
        oldest = newest + 1 - min(points, self._reading.demand_points)
        spent = 0
        for fill in self._fills:
            cost = max(1, demand_queries(fill.plan))
            while fill.reaches(oldest) and (spent == 0 or spent + cost <= queries) and not asker.out_of_time:
                spent += cost
                if not fill.step(asker, log, joiner, self._reading, oldest):
                    return
        everything = newest + 1 - self._reading.demand_points
        self._fills = [fill for fill in self._fills if fill.reaches(everything)]


class LastWeek:
    """What was measured a week before each step of the horizon, fetched ahead in pieces."""

    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._log = DemandLog(HORIZON_STEPS + 2048)
        self._fetched_to: int | None = None

    @property
    def nbytes(self) -> int:
        return self._log.nbytes

    def keep(self, workloads: tuple[str, ...]) -> None:
        if not set(workloads) <= set(self._log.workloads):
            self._fetched_to = None
        self._log.keep(workloads)

    def work(self, asker: Asker, plan: Plan, joiner: Joiner, newest: int) -> None:
        """One piece, when the horizon of step `newest` is not covered any more."""
        first, last = newest + 1 - WEEK_STEPS, newest + HORIZON_STEPS - WEEK_STEPS
        if self._fetched_to is not None:
            first = max(first, self._fetched_to + 1)
        if first > last or asker.out_of_time:
            return
        end = first - 1 + max(8, min(chunk_steps(len(self._log.workloads), self._reading), 4 * HORIZON_STEPS))
        table = read_demand(asker, plan, joiner, self._reading, demand_span(first, end))
        if table is None:
            return
        self._log.write(first, table.workloads, table.offered_rps, np.zeros(table.saturated.shape, dtype=bool))
        self._fetched_to = end

    def horizon(self, newest: int) -> Floats | None:
        """`(workloads, HORIZON_STEPS)`, None where nothing is known."""
        return self._log.between(newest + 1 - WEEK_STEPS, newest + HORIZON_STEPS - WEEK_STEPS)
