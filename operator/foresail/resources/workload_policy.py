"""One workload's policy in the decision core's terms."""

from __future__ import annotations

from typing import TypeVar

from forecasting.forecast import DeclaredEvent
from foresail.resources.acting import GuardrailsSpec, Healing, Scaling
from foresail.resources.endpoints import Brownout, Drain
from foresail.resources.spec import Spec
from foresail.resources.targets import ObjectivesOfTarget, Role, ScalingOfTarget, Target
from policies.model import BrownoutPolicy, Guardrails, HealingPolicy, Rung, ScalingPolicy, WorkloadPolicy

T = TypeVar("T")


def workload_policy(
    spec: Spec, target: Target, workload: str, entry: str | None, events: tuple[DeclaredEvent, ...], paused: bool
) -> WorkloadPolicy:
    """What the resource says of one workload, the target's own settings before the common ones."""
    own = target.objectives or ObjectivesOfTarget()
    return WorkloadPolicy(
        workload=workload,
        mode=spec.mode,
        slo_latency_s=_first(own.latency_seconds, spec.objectives.latency_seconds),
        slo_availability=_first(own.availability, spec.objectives.availability),
        scaling=_scaling(spec.scaling, target.scaling or ScalingOfTarget()),
        healing=_healing(spec.healing, spec.drain or Drain(), spec.zones.shift_enabled),
        brownout=_brownout(spec.brownout, target),
        guardrails=_guardrails(spec.guardrails, paused),
        events=events,
        entry=entry,
        stateless=target.role is not Role.STORE,
    )


def _scaling(common: Scaling, own: ScalingOfTarget) -> ScalingPolicy:
    return ScalingPolicy(
        min_replicas=_first(own.min_replicas, common.min_replicas),
        max_replicas=_first(own.max_replicas, common.max_replicas),
        safe_replicas=common.safe_replicas if own.safe_replicas is None else own.safe_replicas,
        target_utilization=common.target_utilization_ratio,
        saturation_utilization=common.saturation_utilization_ratio,
        capacity_prior_rps=common.capacity_prior_requests_per_second
        if own.capacity_prior_requests_per_second is None
        else own.capacity_prior_requests_per_second,
        lead_time_prior_s=_first(own.lead_time_prior_seconds, common.lead_time_prior_seconds),
        violation_cost=common.violation_cost_pods,
        cvar_level=common.cvar_level,
        floor_ttl_s=common.floor_ttl_seconds,
        descend_pods_per_min=common.descend_pods_per_minute,
        descend_ratio_per_min=common.descend_ratio_per_minute,
    )


def _healing(healing: Healing, drain: Drain, zone_shift: bool) -> HealingPolicy:
    return HealingPolicy(
        highest_rung=Rung.SHIFT_ZONE if zone_shift else healing.highest_rung.rung,
        act_probability=healing.act_probability,
        release_probability=healing.release_probability,
        margin_s=healing.margin_seconds,
        replace_allowed=healing.replace_allowed,
        act_ttl_s=healing.act_ttl_seconds,
        drain_limit_s=drain.timeout_seconds,
    )


def _brownout(brownout: Brownout | None, target: Target) -> BrownoutPolicy:
    if brownout is None or brownout.target != target.name:
        return BrownoutPolicy()
    return BrownoutPolicy(
        enabled=True,
        lowest_ceiling=brownout.lowest_ceiling,
        ttl_s=brownout.ttl_seconds,
        optional_cost_ratio=brownout.optional_cost_ratio,
    )


def _guardrails(brakes: GuardrailsSpec, paused: bool) -> Guardrails:
    return Guardrails(
        cluster_health_floor=brakes.cluster_health_floor_ratio,
        drain_cap_ratio=brakes.drain_cap_ratio,
        cooldown_s=brakes.cooldown_seconds,
        storm_window_s=brakes.storm_window_seconds,
        storm_acts=brakes.storm_acts,
        storm_ratio=brakes.storm_ratio,
        paused=paused,
        extra_pod_hours_per_day=brakes.extra_pod_hours_per_day,
    )


def _first(own: T | None, common: T) -> T:
    return common if own is None else own
