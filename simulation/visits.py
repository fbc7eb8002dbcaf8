"""What the call graph implies before anything runs: visits and CPU work per client request."""

from __future__ import annotations

from collections.abc import Mapping

from simulation.topology import Topology


def visits_per_request(topology: Topology) -> dict[str, float]:
    """Expected first attempts at each service for one request of a client, retries excluded."""
    per_service = dict.fromkeys((s.name for s in topology.services), 0.0)
    for operation, visits in visits_per_operation(topology).items():
        per_service[operation.partition(".")[0]] += visits
    return per_service


def visits_per_operation(topology: Topology) -> dict[str, float]:
    """Expected first attempts of each operation for one request of a client."""
    visits = dict.fromkeys((o.name for o in topology.operations), 0.0)
    calls = {o.name: o.calls for o in topology.operations}

    def visit(operation: str, expected: float) -> None:
        visits[operation] += expected
        for call in calls[operation]:
            visit(call.to, expected * call.probability)

    total_share = sum(c.share for c in topology.classes)
    for request_class in topology.classes:
        visit(request_class.operation, request_class.share / total_share)
    return visits


def capacity_rps(topology: Topology) -> dict[str, float]:
    """Requests per second that use up what idle work leaves of one pod's CPU limit: what a load test would find."""
    visits = visits_per_operation(topology)
    cpu_ms: Mapping[str, float] = {o.name: o.cpu_ms for o in topology.operations}
    capacity: dict[str, float] = {}
    for service in topology.services:
        own = {name: count for name, count in visits.items() if name.partition(".")[0] == service.name}
        total = sum(own.values())
        work_ms = sum(count * cpu_ms[name] for name, count in own.items())
        cores = min(service.cpu_limit - service.cpu_idle, float(service.threads))
        capacity[service.name] = cores * 1000.0 * total / work_ms if work_ms > 0 else float("inf")
    return capacity


def callers(topology: Topology) -> dict[str, frozenset[str]]:
    """Every service whose trouble keeps requests from a service, directly or through others."""
    direct: dict[str, set[str]] = {s.name: set() for s in topology.services}
    for operation in topology.operations:
        caller = operation.name.partition(".")[0]
        for call in operation.calls:
            callee = call.to.partition(".")[0]
            if callee != caller:
                direct[callee].add(caller)

    def upstream(name: str, seen: frozenset[str]) -> frozenset[str]:
        found: frozenset[str] = frozenset()
        for caller in direct[name] - seen:
            found |= {caller} | upstream(caller, seen | {caller})
        return found

    return {name: upstream(name, frozenset({name})) for name in direct}
