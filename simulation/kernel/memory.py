"""Lays out a fresh `State` for a plan."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from simulation.kernel import draws, tables
from simulation.kernel.calling import RETRY_BURST
from simulation.kernel.histogram import BUCKETS
from simulation.kernel.plan import Distribution, Operation, Plan, RequestClass, ServicePlan
from simulation.kernel.tables import NOBODY, Records, State

ZONES = 64
FIRST_SERVICE_SECONDS = 128  # undrained seconds of service bins that fit at first
FIRST_COMMITS = 1024
_DISTRIBUTIONS: Mapping[Distribution, int] = {
    "constant": draws.CONSTANT,
    "exponential": draws.EXPONENTIAL,
    "lognormal": draws.LOGNORMAL,
}


def fresh_state(plan: Plan, start_s: float, max_visits: int) -> State:
    hops_s = sorted({service.hop_s for service in plan.services})
    services = {service.name: i for i, service in enumerate(plan.services)}
    operations = {operation.name: i for i, operation in enumerate(plan.operations)}
    origin_s = math.floor(start_s)
    seconds = max(math.ceil(plan.duration_s) - origin_s, 1)
    return State(
        clock=_clock(plan, start_s),
        visits=np.zeros(max_visits, tables.VISIT),
        heap=_heap(max_visits + 256 * plan.max_pods),
        lanes=np.array([(hop_s, NOBODY, NOBODY) for hop_s in hops_s], tables.LANE),
        pods=_pods(plan.max_pods),
        services=_services(plan.services, hops_s, start_s),
        operations=_operations(plan.operations, services),
        edges=_edges(plan, services, operations),
        classes=np.array([(kind.slo_s, kind.order, kind.timed) for kind in plan.classes], tables.CLASS),
        probes=np.zeros(2 * plan.max_pods, tables.PROBE_STATE),
        endpoints=np.zeros((len(services), plan.max_pods), np.int32),
        endpoint_weights=np.zeros((len(services), plan.max_pods)),
        zone_cut=np.zeros(ZONES, np.int8),
        arrivals=np.zeros(0, tables.ARRIVAL),
        orders=np.zeros(0, tables.ORDER),
        commits=np.zeros(FIRST_COMMITS, tables.COMMIT),
        client_bins=np.zeros((len(plan.classes), seconds), tables.CLIENT_BIN),
        client_latency=np.zeros((seconds, BUCKETS), np.uint32),
        service_bins=np.zeros((FIRST_SERVICE_SECONDS, len(services)), tables.SERVICE_BIN),
        service_latency=np.zeros((FIRST_SERVICE_SECONDS, len(services), BUCKETS), np.uint32),
        pod_latency=np.zeros((plan.max_pods, BUCKETS), np.int64),
    )


def _clock(plan: Plan, start_s: float) -> Records:
    clock = np.zeros(1, tables.CLOCK)
    clock["now_s"] = start_s
    clock["next_timeout_s"] = clock["next_probe_s"] = clock["next_hop_s"] = math.inf
    clock["client_origin_s"] = clock["service_origin_s"] = math.floor(start_s)
    clock["optional_ceiling"] = 1.0
    clock["seed"] = np.uint64(plan.seed % 2**64)
    clock["free"] = NOBODY
    clock["first_client_edge"] = sum(len(operation.calls) for operation in plan.operations)
    clock["idempotent"] = plan.idempotent_orders
    return clock


def _heap(events: int) -> Records:
    heap = np.zeros(events + 1, tables.EVENT)
    heap["time_s"] = math.inf
    return heap


def _pods(max_pods: int) -> Records:
    pods = np.zeros(max_pods, tables.POD)
    pods["service"] = NOBODY
    return pods


def _services(plans: Sequence[ServicePlan], hops_s: list[float], start_s: float) -> Records:
    services = np.zeros(len(plans), tables.SERVICE)
    for row, plan in zip(services, plans, strict=True):
        row["concurrency"], row["queue"] = plan.concurrency, plan.queue
        row["threads"], row["pool_size"] = plan.threads, plan.pool_size
        row["least_requests"] = plan.balancing == "least_requests"
        row["lane"] = hops_s.index(plan.hop_s)
        row["retry_budget"], row["retry_tokens"], row["retry_tokens_at_s"] = plan.retry_budget, RETRY_BURST, start_s
    return services


def _operations(plans: Sequence[Operation], services: Mapping[str, int]) -> Records:
    operations = np.zeros(len(plans), tables.OPERATION)
    first_call = 0
    for row, plan in zip(operations, plans, strict=True):
        row["service"] = services[plan.service]
        row["distribution"] = _DISTRIBUTIONS[plan.distribution]
        row["cpu_s"], row["wait_s"], row["work_factor"] = plan.cpu_s, plan.wait_s, 1.0
        row["sigma"] = math.sqrt(math.log1p(plan.cv**2))  # so that the lognormal's coefficient of variation is cv
        row["first_call"], row["call_end"] = first_call, first_call + len(plan.calls)
        row["commits"] = plan.commits
        first_call += len(plan.calls)
    return operations


def _edges(plan: Plan, services: Mapping[str, int], operations: Mapping[str, int]) -> Records:
    calls = [call for operation in plan.operations for call in operation.calls]
    edges = np.zeros(len(calls) + len(plan.classes), tables.EDGE)
    for row, call in zip(edges, calls, strict=False):
        row["operation"], row["timeout_s"] = operations[call.operation], call.timeout_s
        row["retries"], row["backoff_s"] = call.retries, call.retry_backoff_s
        row["optional"], row["pool"], row["probability"] = call.optional, call.pool, call.probability
    for row, kind in zip(edges[len(calls) :], plan.classes, strict=True):
        _fill_client_edge(row, kind, operations)
    for row in edges:
        row["service"] = services[plan.operations[row["operation"]].service]
    edges["timeout_head"] = edges["timeout_tail"] = NOBODY
    return edges


def _fill_client_edge(row: np.void, kind: RequestClass, operations: Mapping[str, int]) -> None:
    row["operation"], row["timeout_s"] = operations[kind.operation], kind.patience_s
    row["retries"], row["backoff_s"], row["probability"] = kind.retries, kind.retry_backoff_s, 1.0
