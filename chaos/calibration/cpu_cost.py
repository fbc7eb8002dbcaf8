"""What requests cost: CPU used against requests answered, with what an idle pod uses as the intercept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chaos.calibration.fit import Measured
from chaos.calibration.intervals import Line, line, ratio
from chaos.calibration.observed import WINDOW_S, Observed
from chaos.experiments.measured.rows import PodRow
from simulation.topology import Service

#: CPU and requests are scraped at different moments; means over so long hide it.
BIN_S = 30.0
#: A pod that has just started works for itself.
SETTLES_S = 60.0
#: A pod this near its limit waits for CPU, and what it uses says no more about what it is asked for.
SATURATED_RATIO = 0.9
LEAST_BINS = 20
#: Half minutes with more failed requests are left out: what is refused or given up costs less than what is answered.
FAILED_RATIO = 0.01


@dataclass(frozen=True, slots=True)
class Cost:
    """Of one service. `line` is in cores per request/s: own requests of a pod, or of clients at a store, which counts
    none of its own. `visits` are its requests for each request of a client; a store's are unknown."""

    line: Line
    pods: float | None  # that the line's idle part is of: 1, or all members of a store; None: unknown
    visits: Measured | None
    with_idle: Measured  # all CPU over all requests: what a request costs at most


@dataclass(frozen=True, slots=True)
class Counted:
    """A run with its clients' requests by half minute of Unix time, of those in which nothing was injected and hardly
    any failed: no other half minute says what requests cost."""

    run: Observed
    clients: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class _Bin:
    requests_rps: float
    cores: float
    pods: int = 1


def cost(service: Service, runs: Sequence[Counted], rng: np.random.Generator) -> Cost:
    bins = [b for run in runs for b in (_of_store if service.kind == "store" else _of_pods)(service, run)]
    x, y = np.array([b.requests_rps for b in bins]), np.array([b.cores for b in bins])
    visits = None if service.kind == "store" else _visits(service, runs, rng)
    pods = float(np.mean([b.pods for b in bins])) if bins else None
    return Cost(line(x, y, LEAST_BINS), pods, visits, ratio(y, x, LEAST_BINS, rng))


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
        if number not in counted.clients:
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


def _of_store(service: Service, counted: Counted) -> Iterator[_Bin]:
    """Half minutes of all pods together; a step at which one of them is missing is left out."""
    run, cores = counted.run, defaultdict[float, list[float]](list)
    for row in run.pods:
        if row.service == service.name and row.cpu_cores is not None:
            cores[row.at_s].append(row.cpu_cores)
    most = max((len(values) for values in cores.values()), default=0)
    by_bin: dict[int, list[float]] = defaultdict(list)
    for at_s, values in cores.items():
        if len(values) == most:
            by_bin[int(at_s // BIN_S)].append(sum(values))
    for number, sums in by_bin.items():
        if len(sums) >= _most_steps(run) / 2 and number in counted.clients:
            yield _Bin(counted.clients[number] / BIN_S, float(np.mean(sums)), most)


def _visits(service: Service, runs: Sequence[Counted], rng: np.random.Generator) -> Measured:
    """Requests that came to the service for each one of a client, probes and retries included."""
    came, asked = [], []
    for counted in runs:
        by_bin: dict[int, list[float]] = defaultdict(list)
        for row in counted.run.services:
            if row.service == service.name and row.offered_rps is not None:
                by_bin[int(row.at_s // BIN_S)].append(row.offered_rps)
        for number, rates in by_bin.items():
            if len(rates) >= _most_steps(counted.run) / 2 and number in counted.clients:
                came.append(float(np.mean(rates)) * BIN_S)
                asked.append(float(counted.clients[number]))
    return ratio(np.array(came), np.array(asked), LEAST_BINS, rng)


def with_clients(run: Observed) -> Counted:
    came: Counter[int] = Counter()
    failed: Counter[int] = Counter()
    for request in run.requests:
        number = int((run.load_began_s + request.due_s) // BIN_S)
        came[number] += 1
        failed[number] += request.bad
    clients = {
        number: count
        for number, count in came.items()
        if failed[number] <= FAILED_RATIO * count and run.calm(number * BIN_S - WINDOW_S, (number + 1) * BIN_S)
    }
    return Counted(run, clients)


def cores_of(service: Service) -> float:
    """What a pod can use, with what it uses idle."""
    return min(service.cpu_limit, service.cpu_idle + float(service.threads))


def _most_steps(run: Observed) -> float:
    return BIN_S / run.step_s
