"""What the engine simulates, fixed for a run: services, the operations they offer, who calls whom, and the clients."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Distribution = Literal["constant", "exponential", "lognormal"]
Balancing = Literal["random", "least_requests"]


class PlanInvalid(ValueError):
    """The plan contradicts itself: an unknown name, a number out of range, or operations that call themselves."""


@dataclass(frozen=True, slots=True)
class Call:
    """One call that an operation makes after its own CPU work; an operation makes its calls one after the other."""

    operation: str
    timeout_s: float = 2.0  # per attempt, from asking for a connection to having the answer
    retries: int = 0  # further attempts after a failure or a timeout, as far as the caller's retry budget goes
    retry_backoff_s: float = 0.0
    optional: bool = False  # its failure degrades the answer instead of failing it; a brownout skips it
    probability: float = 1.0  # a cache miss, say: the call is made with this probability
    pool: bool = False  # needs one of the calling pod's connections until it is answered or given up


@dataclass(frozen=True, slots=True)
class Operation:
    """What one service does for one kind of request: CPU work, then a wait, then calls."""

    name: str
    service: str
    cpu_s: float  # mean CPU work at speed 1
    distribution: Distribution = "exponential"
    cv: float = 1.0  # coefficient of variation, read by "lognormal" only
    wait_s: float = 0.0  # mean of an exponential wait that holds the slot but no CPU (a disk, somebody else's API)
    calls: tuple[Call, ...] = ()
    commits: bool = False  # doing it successfully stores the client's order


@dataclass(frozen=True, slots=True)
class ServicePlan:
    """How each pod of a service takes, queues and works on requests."""

    name: str
    concurrency: int  # requests in progress per pod
    queue: int  # requests per pod waiting to be in progress; the next one is rejected at once
    threads: int = 1  # CPU workers per pod
    pool_size: int = 0  # connections per pod for its `pool` calls; 0: unlimited
    retry_budget: float = 0.2  # retries per retryable call, on top of 3 a second; inf: no budget
    balancing: Balancing = "random"  # least_requests: the better of two random pods, as Envoy does
    hop_s: float = 0.0005  # network delay to the service, and the same back


@dataclass(frozen=True, slots=True)
class RequestClass:
    """One kind of client request. All times run from the moment at which the client meant to ask."""

    name: str
    operation: str
    patience_s: float  # then the client gives up
    slo_s: float  # a slower answer is a bad one
    retries: int = 0  # the client's own, after a failure and within its patience
    retry_backoff_s: float = 1.0
    order: bool = False  # acknowledged once the client has a good answer
    timed: bool = True  # its latencies are among those of all clients


@dataclass(frozen=True, slots=True)
class Plan:
    services: tuple[ServicePlan, ...]
    operations: tuple[Operation, ...]
    classes: tuple[RequestClass, ...]
    max_pods: int  # alive at once
    seed: int
    duration_s: float  # clients arrive before this time
    idempotent_orders: bool = True  # a second commit of the same order changes nothing

    def __post_init__(self) -> None:
        services = _unique("service", (service.name for service in self.services))
        operations = _unique("operation", (operation.name for operation in self.operations))
        _unique("request class", (kind.name for kind in self.classes))
        for service in self.services:
            _check_service(service)
        for operation in self.operations:
            _check_operation(operation, services, operations)
        for kind in self.classes:
            _check_class(kind, operations)
        _check_acyclic(self.operations)
        _require(self.max_pods >= 1, "max_pods is at least 1")


def _require(holds: bool, rule: str) -> None:
    if not holds:
        raise PlanInvalid(rule)


def _unique(kind: str, names: Iterable[str]) -> frozenset[str]:
    listed = list(names)
    _require(bool(listed), f"at least one {kind} is needed")
    _require(len(set(listed)) == len(listed), f"each {kind} has its own name; got {listed}")
    return frozenset(listed)


def _check_service(service: ServicePlan) -> None:
    name = service.name
    _require(service.concurrency >= 1 and service.threads >= 1, f"{name}: concurrency and threads are at least 1")
    _require(service.queue >= 0 and service.pool_size >= 0, f"{name}: queue and pool_size are not negative")
    _require(service.retry_budget >= 0 and service.hop_s >= 0, f"{name}: retry_budget and hop_s are not negative")


def _check_operation(operation: Operation, services: frozenset[str], operations: frozenset[str]) -> None:
    name = operation.name
    _require(operation.service in services, f"{name}: no service {operation.service!r}")
    _require(0 <= operation.cpu_s < math.inf and 0 <= operation.wait_s < math.inf, f"{name}: times are not negative")
    _require(operation.cv >= 0, f"{name}: cv is not negative")
    for call in operation.calls:
        edge = f"{name} -> {call.operation}"
        _require(call.operation in operations, f"{edge}: no such operation")
        _require(call.timeout_s > 0, f"{edge}: timeout_s is positive")
        _require(
            0 <= call.retries < 1000 and call.retry_backoff_s >= 0, f"{edge}: retries are 0 to 999, after 0 s or more"
        )
        _require(0 <= call.probability <= 1, f"{edge}: probability is between 0 and 1")


def _check_class(kind: RequestClass, operations: frozenset[str]) -> None:
    _require(kind.operation in operations, f"{kind.name}: no operation {kind.operation!r}")
    _require(kind.patience_s > 0 and kind.slo_s > 0, f"{kind.name}: patience_s and slo_s are positive")
    _require(
        0 <= kind.retries < 1000 and kind.retry_backoff_s >= 0, f"{kind.name}: retries are 0 to 999, after 0 s or more"
    )


def _check_acyclic(operations: tuple[Operation, ...]) -> None:
    calls = {operation.name: {call.operation for call in operation.calls} for operation in operations}
    while calls:
        leaves = {name for name, callees in calls.items() if not callees & calls.keys()}
        _require(bool(leaves), f"operations call each other in a circle: {sorted(calls)}")
        calls = {name: callees for name, callees in calls.items() if name not in leaves}
