"""What a topology's call graph makes of the requests that came: visits and CPU work at each service."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaos.calibration.observed import Observed
from chaos.comparison.played import PROBES
from chaos.experiments.measured.rows import POD_WINDOW_S
from chaos.experiments.shop_map import ENTERS_AT
from forecasting.forecast import Floats
from simulation.topology import RequestClassSpec, Topology
from simulation.visits import visits_per_operation

#: CPU and requests are scraped at different moments; means over so long hide it.
BIN_S = 30.0
#: Half minutes with more failed requests are left out: what is refused or given up costs less than what is answered.
FAILED_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Implied:
    """For one request that enters at an operation, by that operation and then by service."""

    visits: Mapping[str, Mapping[str, float]]
    work_ms: Mapping[str, Mapping[str, float]]


def implied(topology: Topology) -> Implied:
    work_of = {one.name: one.cpu_ms for one in topology.operations}
    visits: dict[str, Mapping[str, float]] = {}
    work_ms: dict[str, Mapping[str, float]] = {}
    for entry in sorted({*ENTERS_AT.values(), *(one.operation for one in topology.classes)} & work_of.keys()):
        alone = topology.model_copy(update={"classes": (RequestClassSpec(name="only", share=1.0, operation=entry),)})
        own_visits: defaultdict[str, float] = defaultdict(float)
        own_work: defaultdict[str, float] = defaultdict(float)
        for operation, count in visits_per_operation(alone).items():
            service = operation.partition(".")[0]
            own_visits[service] += count
            own_work[service] += count * work_of[operation]
        visits[entry], work_ms[entry] = own_visits, own_work
    return Implied(visits, work_ms)


@dataclass(frozen=True, slots=True)
class Counted:
    """A run with the requests that came, those of the probe included: when (Unix, sorted) and at which of `names` they
    enter. `healthy` are half minutes of Unix time in which nothing was injected and hardly any request failed, nor in
    the one before: the others do not say what requests cost."""

    run: Observed
    times_s: Floats
    entries: NDArray[np.int64]
    names: tuple[str, ...]
    healthy: frozenset[int]

    def rates(
        self, implied_by: Mapping[str, Mapping[str, float]], service: str, at_s: Floats, window_s: float
    ) -> Floats:
        """What is implied at a service for each second of the window before each moment, as Prometheus' rates are; NaN
        where the window reaches out of the load."""
        of_entry = np.array([implied_by[name][service] if name in implied_by else 0.0 for name in self.names])
        sums = np.concatenate(([0.0], np.cumsum(of_entry[self.entries])))
        ends, begins = (np.searchsorted(self.times_s, moments, side="right") for moments in (at_s, at_s - window_s))
        inside = (at_s - window_s >= self.times_s[0]) & (at_s <= self.times_s[-1])
        return np.where(inside, (sums[ends] - sums[begins]) / window_s, np.nan)


def counted(run: Observed) -> Counted | None:
    """None: nobody came."""
    if not run.requests:
        return None
    names = tuple(sorted({*ENTERS_AT.values(), *PROBES.values()}))
    place = {name: index for index, name in enumerate(names)}
    came = [(request.due_s, place[ENTERS_AT[request.operation]]) for request in run.requests]
    came += [(due_s, place[name]) for due_s in run.probes_s for name in PROBES.values()]
    times_s, entries = np.array(sorted(came)).T
    return Counted(run, run.load_began_s + times_s, entries.astype(np.int64), names, frozenset(_healthy(run)))


def _healthy(run: Observed) -> Iterator[int]:
    came: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for request in run.requests:
        number = int((run.load_began_s + request.due_s) // BIN_S)
        came[number] += 1
        failed[number] += request.bad
    for number, count in came.items():
        well = all(failed[one] <= FAILED_RATIO * came[one] for one in (number - 1, number))
        if count and well and run.calm(number * BIN_S - POD_WINDOW_S, (number + 1) * BIN_S):
            yield number
