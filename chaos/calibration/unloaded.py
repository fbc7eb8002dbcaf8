"""How long requests take in a topology where nobody waits for anybody: what the simulator would answer at low load."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from forecasting.forecast import Floats
from simulation.topology import OperationSpec, Service, Topology

DRAWS = 20_000
CFS_PERIOD_MS = 100.0


def unloaded_ms(topology: Topology, operation: str, rng: np.random.Generator) -> Floats:
    """Latencies of requests that enter at an operation, as the engine makes them: way there, CPU work under the pod's
    quota, wait, calls one after the other, way back. Each is alone on its pods: no queues, no retries, no time-outs."""
    operations = {one.name: one for one in topology.operations}
    services = {service.name: service for service in topology.services}
    return _latencies_ms(operation, operations, services, rng)


def _latencies_ms(
    name: str, operations: Mapping[str, OperationSpec], services: Mapping[str, Service], rng: np.random.Generator
) -> Floats:
    operation, service = operations[name], services[name.partition(".")[0]]
    total = 2.0 * service.hop_ms + _throttled_ms(_work_ms(operation, rng), service, rng)
    total = total + operation.wait_ms * rng.exponential(size=DRAWS)
    for call in operation.calls:
        made = rng.random(DRAWS) < call.probability
        total = total + np.where(made, _latencies_ms(call.to, operations, services, rng), 0.0)
    return total


def _throttled_ms(work_ms: Floats, service: Service, rng: np.random.Generator) -> Floats:
    """How long the work takes one worker that may run for a quota in each period, from a random moment of one."""
    begun_ms = rng.random(DRAWS) * CFS_PERIOD_MS
    cores = service.cpu_limit - service.cpu_idle
    if cores >= service.threads:
        return work_ms
    quota_ms, left_ms = cores * CFS_PERIOD_MS, CFS_PERIOD_MS - begun_ms
    first_ms = np.minimum(quota_ms, left_ms)
    rest_ms = work_ms - first_ms
    whole = np.maximum(np.ceil(rest_ms / quota_ms) - 1.0, 0.0)
    return np.where(rest_ms <= 0.0, work_ms, left_ms + whole * CFS_PERIOD_MS + rest_ms - whole * quota_ms)


def _work_ms(operation: OperationSpec, rng: np.random.Generator) -> Floats:
    if operation.distribution == "constant":
        return np.full(DRAWS, operation.cpu_ms)
    if operation.distribution == "exponential":
        return operation.cpu_ms * rng.exponential(size=DRAWS)
    sigma = float(np.sqrt(np.log1p(operation.cv**2)))
    return operation.cpu_ms * np.exp(sigma * rng.standard_normal(DRAWS) - sigma**2 / 2.0)
