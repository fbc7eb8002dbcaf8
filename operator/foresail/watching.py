"""What adapters are to look at, derived from policies and objects: metrics, databases, probes."""

from __future__ import annotations

from collections.abc import Mapping

from foresail.objects.fast_plan import (
    FastPlan,
    GatewayTarget,
    gateway_pods,
    is_off,
    operator_peers,
    own_zone,
    probed_pods,
)
from foresail.objects.object_state import ObjectState, WorkloadObjects
from foresail.objects.patroni_view import DatabaseTarget
from foresail.prometheus.watched import Expression, Figure, PodFacts, PodIndex, Preset, Watched
from foresail.resources.bindings import PatroniBinding, WorkloadBinding
from foresail.resources.mapping import Mapped
from foresail.resources.metric_sources import MetricPreset, MetricSignal
from foresail.settings import Settings
from policies.model import SignalKind, WorkloadPolicy

#: Labels of the operator's own pods, as the chart sets them: its replicas find each other by them.
OPERATOR_LABELS: Mapping[str, str] = {
    "app.kubernetes.io/name": "foresail",
    "app.kubernetes.io/component": "operator",
}
_MIB = 2.0**20
_MANAGEMENT_PORT = 9090
_FIGURES: Mapping[MetricSignal, Figure] = {
    MetricSignal.DEMAND: Figure.OFFERED,
    MetricSignal.FAILED: Figure.FAILED,
    MetricSignal.REJECTED: Figure.REJECTED,
    MetricSignal.LATENCY_P99: Figure.LATENCY_P99,
}


def watched(declared: Mapped) -> tuple[Watched, ...]:
    """The workloads whose metrics are wanted, by name."""
    policies = declared.policies.workloads
    return tuple(
        Watched(
            workload=name,
            preset=Preset(binding.preset.value),
            expressions=_expressions(binding),
            slo_latency_s=policies[name].slo_latency_s,
            queue_limit=binding.signal_limits.get(SignalKind.QUEUE),
            entry=policies[name].entry,
        )
        for name, binding in sorted(declared.bindings.items())
    )


def pod_index(state: ObjectState, declared: Mapped) -> PodIndex:
    """Pods and Services of the workloads under a policy."""
    pods: dict[str, PodFacts] = {}
    services: dict[str, str] = {}
    for name in declared.bindings:
        workload = state.workloads.get(name)
        if workload is None:
            continue
        limit_mib = _limit_mib(workload)
        for pod in workload.pods:
            # A pod out of rotation takes no demand along when it falls silent: it may well be on a dead node.
            serves = pod.ready_at_s is not None and not pod.deleting and not is_off(pod)
            pods[pod.meta.key] = PodFacts(name, limit_mib, serves)
        for service in workload.services:
            # A headless Service is no entrance; where several share one, requests to it belong to nobody alone.
            if not service.headless:
                services[service.meta.key] = name if services.get(service.meta.key, name) == name else ""
    return PodIndex(pods, {service: name for service, name in services.items() if name})


def databases(declared: Mapped) -> tuple[DatabaseTarget, ...]:
    """The Patroni clusters that policies name."""
    return tuple(
        _database(name, binding.database)
        for name, binding in sorted(declared.bindings.items())
        if binding.database is not None
    )


def fast_plan(state: ObjectState | None, declared: Mapped, settings: Settings) -> FastPlan:
    """What the fast lane looks at each second; before objects are known, nothing."""
    if state is None:
        return FastPlan(zone=settings.zone or settings.node or "unknown")
    policies = declared.policies.workloads
    gateways = [
        GatewayTarget(name, _metrics_port(binding))
        for name, binding in sorted(declared.bindings.items())
        if binding.preset is MetricPreset.OTEL_HTTP and _is_entry(policies[name])
    ]
    return FastPlan(
        zone=settings.zone or own_zone(state, settings.node),
        probed=probed_pods(state, sorted(declared.bindings)),
        gateways=gateway_pods(state, gateways),
        peers=operator_peers(state, settings.namespace, OPERATOR_LABELS, settings.replica, settings.http_port),
    )


def _expressions(binding: WorkloadBinding) -> tuple[Expression, ...]:
    found = []
    for signal, promql in binding.expressions.items():
        about = _FIGURES.get(signal) or signal.kind
        if about is not None:
            limit = None if signal.kind is None else binding.signal_limits.get(signal.kind)
            found.append(Expression(promql, about, limit))
    return tuple(found)


def _limit_mib(workload: WorkloadObjects) -> float | None:
    limit_bytes = workload.record.template.resources.memory_limit_bytes
    return None if limit_bytes is None else limit_bytes / _MIB


def _database(workload: str, database: PatroniBinding) -> DatabaseTarget:
    namespace = workload.partition("/")[0]
    url = None if database.service is None else f"http://{database.service}.{namespace}:{database.rest_port}"
    return DatabaseTarget(database.scope, workload, database.rest_port, url, database.members)


def _is_entry(policy: WorkloadPolicy) -> bool:
    return policy.stateless and policy.entry is None


def _metrics_port(binding: WorkloadBinding) -> int:
    """The management listener's: what drains and dims a pod also shows its metrics."""
    endpoint = binding.brownout or binding.drain
    return _MANAGEMENT_PORT if endpoint is None else endpoint.port
