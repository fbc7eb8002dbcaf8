"""Latency where the shop has little to do: what a request takes that waits for nobody."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

import numpy as np

from chaos.calibration.cpu_cost import cores_of
from chaos.calibration.fit import Measured
from chaos.calibration.intervals import quantile
from chaos.calibration.observed import Observed
from chaos.experiments.measured.rows import POD_WINDOW_S
from chaos.experiments.shop_map import ENTERS_AT
from simulation.topology import Service, Topology

#: A second is quiet when the pods of every service use at most this share, on average, of what idle ones leave.
QUIET_RATIO = 0.4
LEAST_FOR_P50, LEAST_FOR_P99 = 50, 500


def base_latencies_ms(
    topology: Topology, runs: Sequence[Observed], by_entry: bool
) -> Mapping[str, tuple[Measured, Measured]]:
    """p50 and p99 of answers in quiet seconds, by operation of the load or by the operation that they enter at."""
    found: dict[str, list[float]] = defaultdict(list)
    for run in runs:
        quiet = _quiet_steps(topology, run)
        for request in run.requests:
            if request.answered_well and _step(run, run.load_began_s + request.due_s) in quiet:
                name = ENTERS_AT[request.operation] if by_entry else request.operation
                found[name].append(request.latency_ms)
    return {
        name: (quantile(np.array(values), 0.5, LEAST_FOR_P50), quantile(np.array(values), 0.99, LEAST_FOR_P99))
        for name, values in sorted(found.items())
    }


def _quiet_steps(topology: Topology, run: Observed) -> frozenset[int]:
    """Steps without a fault in which the CPU of every service is known and low: unknown is not quiet."""
    services = {service.name: service for service in topology.services}
    used: dict[float, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for row in run.pods:
        if row.service in services and row.cpu_cores is not None:
            used[row.at_s][row.service].append(_busy(row.cpu_cores, services[row.service]))
    return frozenset(
        _step(run, at_s - run.step_s / 2.0)
        for at_s, by_service in used.items()
        if run.calm(at_s - POD_WINDOW_S, at_s)
        and by_service.keys() == services.keys()
        and all(float(np.mean(shares)) <= QUIET_RATIO for shares in by_service.values())
    )


def _busy(cores: float, service: Service) -> float:
    return (cores - service.cpu_idle) / (cores_of(service) - service.cpu_idle)


def _step(run: Observed, at_s: float) -> int:
    """Prometheus' steps, counted from the load's start."""
    return int((at_s - run.load_began_s) // run.step_s)
