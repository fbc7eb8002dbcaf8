"""From a scenario's topology to what the engine simulates."""

from __future__ import annotations

from collections.abc import Collection

from simulation.kernel.plan import Call, Operation, Plan, RequestClass, ServicePlan
from simulation.scenario import FaultKind, Scenario
from simulation.topology import OperationSpec, Service

#: A service that faults put behind another one: a third party whose answers may never come.
THIRD_PARTY = "~third-party"
NEVER_ANSWERS_S = 30.0  # then even a patient HTTP client gives up


def engine_plan(scenario: Scenario, seed: int, slots: int, untimed: Collection[int] = ()) -> Plan:
    """Services, operations and classes in the topology's order; third parties that faults need come last. Latencies of
    the classes `untimed`, by index, are not kept."""
    topology = scenario.topology
    hanging = {fault.service for fault in scenario.faults if fault.kind is FaultKind.PAYMENT_TIMEOUTS}
    services = [_service(service) for service in topology.services]
    operations = [_operation(operation, hanging) for operation in topology.operations]
    if hanging:
        services.append(ServicePlan(THIRD_PARTY, concurrency=1, queue=0))
        operations.append(Operation(third_party_operation(), THIRD_PARTY, cpu_s=0.001))
    return Plan(
        services=tuple(services),
        operations=tuple(operations),
        classes=tuple(
            RequestClass(
                name=c.name,
                operation=c.operation,
                patience_s=c.patience_s,
                slo_s=scenario.slo.latency_s if c.slo_s is None else c.slo_s,
                retries=c.retries,
                retry_backoff_s=c.retry_backoff_s,
                order=c.order,
                timed=index not in untimed,
            )
            for index, c in enumerate(topology.classes)
        ),
        max_pods=slots,
        seed=seed,
        duration_s=scenario.duration_s,
        idempotent_orders=topology.idempotent_orders,
    )


def third_party_operation() -> str:
    return f"{THIRD_PARTY}.answer"


def slots_needed(scenario: Scenario) -> int:
    """Pod slots for every workload at twice its maximum: old and new pods overlap in rollouts and terminations."""
    pods = sum(max(s.replicas, s.hpa.max_replicas if s.hpa else 0, 2) for s in scenario.topology.services)
    return 2 * pods + 32


def _service(service: Service) -> ServicePlan:
    return ServicePlan(
        name=service.name,
        concurrency=service.concurrency,
        queue=service.queue,
        threads=service.threads,
        pool_size=service.pool_size,
        retry_budget=service.retry_budget,
        balancing=service.balancing,
        hop_s=service.hop_ms / 1000.0,
    )


def _operation(operation: OperationSpec, hanging: set[str | None]) -> Operation:
    service = operation.name.partition(".")[0]
    calls = [
        Call(
            operation=call.to,
            timeout_s=call.timeout_s,
            retries=call.retries,
            retry_backoff_s=call.retry_backoff_s,
            optional=call.optional,
            probability=call.probability,
            pool=call.pool,
        )
        for call in operation.calls
    ]
    if service in hanging:
        calls.insert(0, Call(third_party_operation(), timeout_s=NEVER_ANSWERS_S, probability=0.0))
    return Operation(
        name=operation.name,
        service=service,
        cpu_s=operation.cpu_ms / 1000.0,
        distribution=operation.distribution,
        cv=operation.cv,
        wait_s=operation.wait_ms / 1000.0,
        calls=tuple(calls),
        commits=operation.commits,
    )
