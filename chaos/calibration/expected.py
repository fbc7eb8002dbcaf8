"""What a topology's call graph makes of the requests that came: visits and CPU work at each service."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from chaos.calibration.observed import WINDOW_S, Observed
from chaos.comparison.played import PROBES
from chaos.experiments.shop_map import ENTERS_AT
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
    """A run with the requests that came, by half minute of Unix time and the operation that they enter at, those of the
    probe included. Half minutes in which something was injected or more than a few failed are not among them: they do
    not say what requests cost."""

    run: Observed
    entries: Mapping[int, Mapping[str, int]]

    def sum_of(self, implied_by: Mapping[str, Mapping[str, float]], number: int, service: str) -> float:
        """Over all requests of a half minute."""
        return sum(
            count * implied_by[entry][service] for entry, count in self.entries[number].items() if entry in implied_by
        )


def counted(run: Observed) -> Counted:
    came: defaultdict[int, Counter[str]] = defaultdict(Counter)
    failed: Counter[int] = Counter()
    for request in run.requests:
        number = int((run.load_began_s + request.due_s) // BIN_S)
        came[number][ENTERS_AT[request.operation]] += 1
        failed[number] += request.bad
    healthy = {
        number
        for number, entries in came.items()
        if failed[number] <= FAILED_RATIO * entries.total()
        and run.calm(number * BIN_S - WINDOW_S, (number + 1) * BIN_S)
    }
    for due_s in run.probes_s:
        came[int((run.load_began_s + due_s) // BIN_S)].update(PROBES.values())
    return Counted(run, {number: came[number] for number in healthy})
