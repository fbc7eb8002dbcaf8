"""What requests cost: CPU used against requests answered, with what an idle pod uses as the intercept."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from chaos.calibration.expected import BIN_S, Counted, Implied
from chaos.calibration.fit import Measured
from chaos.calibration.intervals import Line, line, ratio
from chaos.calibration.observed import Observed
from chaos.experiments.measured.rows import POD_WINDOW_S, SERVICE_WINDOW_S, PodRow
from forecasting.forecast import Floats
from simulation.topology import Service

#: A pod that has just started works for itself.
SETTLES_S = 60.0
#: A pod this near its limit waits for CPU, and what it uses says no more about what it is asked for.
SATURATED_RATIO = 0.9
LEAST_BINS = 20
_MS_PER_S = 1000.0


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one service. `factor` is its work as a multiple of what the topology implies for the requests that came.

    `line` is in cores over requests/s of a pod; a store counts no requests, its line is over the work implied.
    """

    line: Line
    pods: float | None  # that the line's idle part is of: 1, or all members of a store; None: unknown
    factor: Measured
    visits: Measured | None  # as a multiple of what is implied; None: a store's are unknown
    with_idle: Measured  # all CPU over what the line is over: its slope is no more


@dataclass(frozen=True, slots=True)
class _Bin:
    asked: float  # requests/s, or cores of work implied
    cores: float
    pods: int = 1


def cost(service: Service, runs: Sequence[Counted], expected: Implied, rng: np.random.Generator) -> Cost:
    is_store = service.kind == "store"
    bins = [one for run in runs for one in (_of_store(service, run, expected) if is_store else _of_pods(service, run))]
    x, y = np.array([b.asked for b in bins]), np.array([b.cores for b in bins])
    found = line(x, y, LEAST_BINS)
    pods = float(np.mean([b.pods for b in bins])) if bins else None
    most = ratio(y, x, LEAST_BINS, rng)
    if is_store:
        return Cost(found, pods, found.slope, None, most)
    came, visits, work_ms = _came(service, runs, expected)
    per_work = ratio(came, work_ms, LEAST_BINS, rng)
    factor = Measured(None, None, None, found.slope.samples)
    if per_work.value is not None:
        factor = found.slope.scaled(_MS_PER_S * per_work.value)
    return Cost(found, pods, factor, ratio(came, visits, LEAST_BINS, rng), most)


def _of_pods(service: Service, counted: Counted) -> Iterator[_Bin]:
    """Half minutes of single pods."""
    run, first_s = counted.run, dict[str, float]()
    by_bin: dict[tuple[str, int], list[PodRow]] = defaultdict(list)
    for row in run.pods:
        if row.service == service.name:
            first_s.setdefault(row.pod, row.at_s)
            if row.at_s - first_s[row.pod] >= SETTLES_S:
                by_bin[row.pod, int(row.at_s // BIN_S)].append(row)
    for (_, number), rows in by_bin.items():
        if number not in counted.healthy:
            continue
        known = [
            (row.answered_rps, row.cpu_cores)
            for row in rows
            if row.answered_rps is not None and row.cpu_cores is not None
        ]
        if len(known) < _most_steps(run) / 2:
            continue
        requests_rps, cores = np.mean(known, axis=0)
        if cores < SATURATED_RATIO * cores_of(service):
            yield _Bin(float(requests_rps), float(cores))


def _of_store(service: Service, counted: Counted, expected: Implied) -> Iterator[_Bin]:
    """Half minutes of all pods together; a step at which one of them is missing is left out."""
    run, cores = counted.run, defaultdict[float, list[float]](list)
    for row in run.pods:
        if row.service == service.name and row.cpu_cores is not None:
            cores[row.at_s].append(row.cpu_cores)
    most = max((len(values) for values in cores.values()), default=0)
    at_s = np.array(sorted(moment for moment, values in cores.items() if len(values) == most))
    work_ms = counted.rates(expected.work_ms, service.name, at_s, POD_WINDOW_S)
    used = np.array([sum(cores[moment]) for moment in at_s])
    for rows in _whole_bins(counted, at_s, work_ms):
        yield _Bin(float(work_ms[rows].mean()) / _MS_PER_S, float(used[rows].mean()), most)


def _came(service: Service, runs: Sequence[Counted], expected: Implied) -> tuple[Floats, Floats, Floats]:
    """Requests/s that came to the service in each half minute, retries included, and the visits/s and the work in ms/s
    that the requests of clients and probes imply."""
    found = []
    for counted in runs:
        rows_of = (row for row in counted.run.services if row.service == service.name)
        known = [(row.at_s, row.offered_rps) for row in rows_of if row.offered_rps is not None]
        at_s, came = np.array(sorted(known), dtype=np.float64).reshape(-1, 2).T
        both = (expected.visits, expected.work_ms)
        visits, work_ms = (counted.rates(by, service.name, at_s, SERVICE_WINDOW_S) for by in both)
        for rows in _whole_bins(counted, at_s, visits):
            found.append([float(values[rows].mean()) for values in (came, visits, work_ms)])
    came_all, visits_all, work_all = np.array(found).reshape(-1, 3).T
    return came_all, visits_all, work_all


def _whole_bins(counted: Counted, at_s: Floats, known: Floats) -> Iterator[NDArray[np.int64]]:
    """Which of the moments lie in each healthy half minute that has most of its steps."""
    by_bin: dict[int, list[int]] = defaultdict(list)
    for place, moment in enumerate(at_s.tolist()):
        if np.isfinite(known[place]):
            by_bin[int(moment // BIN_S)].append(place)
    for number, places in by_bin.items():
        if number in counted.healthy and len(places) >= _most_steps(counted.run) / 2:
            yield np.array(places)


def cores_of(service: Service) -> float:
    """What a pod can use, with what it uses idle."""
    return min(service.cpu_limit, service.cpu_idle + float(service.threads))


def _most_steps(run: Observed) -> float:
    return BIN_S / run.step_s
