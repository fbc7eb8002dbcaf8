"""The policies that people would have written for a scenario's shop."""

from __future__ import annotations

from forecasting.forecast import DeclaredEvent
from policies.model import BrownoutPolicy, HealingPolicy, PolicySet, Rung, ScalingPolicy, WorkloadPolicy
from simulation.arms import ArmSettings
from simulation.scenario import Scenario
from simulation.topology import Service

#: Without an HPA a workload may grow to so many times its replicas.
_GROWTH_WITHOUT_HPA = 2


def policies_for(scenario: Scenario, settings: ArmSettings, declared: tuple[DeclaredEvent, ...] = ()) -> PolicySet:
    """One policy per service: bounds from its HPA, the gateway as entry of all others, declared crowds as events."""
    topology = scenario.topology
    entry = topology.entry_service
    dimmable = any(call.optional for operation in topology.operations for call in operation.calls)
    return PolicySet(
        {
            service.name: WorkloadPolicy(
                workload=service.name,
                slo_latency_s=scenario.slo.latency_s,
                slo_availability=scenario.slo.availability,
                scaling=_scaling(service, settings),
                healing=HealingPolicy(highest_rung=Rung.SHIFT_ZONE, act_probability=settings.act_probability),
                brownout=BrownoutPolicy(enabled=dimmable and service.name == entry),
                events=declared if service.name == entry else (),
                entry=None if service.name == entry else entry,
                stateless=service.kind == "deployment",
            )
            for service in topology.services
        }
    )


def _scaling(service: Service, settings: ArmSettings) -> ScalingPolicy:
    if service.hpa is not None:
        least, most, safe = service.hpa.min_replicas, service.hpa.max_replicas, None
    else:
        least, most, safe = service.replicas, _GROWTH_WITHOUT_HPA * service.replicas, service.replicas
    return ScalingPolicy(
        min_replicas=least,
        max_replicas=most,
        safe_replicas=safe,
        target_utilization=settings.target_utilization,
        violation_cost=settings.violation_cost,
        cvar_level=settings.cvar_level,
    )
