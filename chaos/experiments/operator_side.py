"""What an arm tells Foresail: values of its chart, and what is patched into the shop's ResiliencePolicy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos.experiments.arms import LiveArm
from forecasting.forecast import DeclaredEvent

#: The operator reads this; without it, or with `forecast`, it forecasts.
OUTLOOK = "FORESAIL_OUTLOOK"

LEAST_EVENT_S = 60.0  # the policy allows no shorter one


def operator_values(arm: LiveArm, shop_namespace: str, credentials: str, prometheus_url: str) -> dict[str, Any] | None:
    """Values of the operator's chart; None: the arm runs without it. `credentials` names the Secret of its tokens."""
    if arm.operator == "none":
        return None
    extra = [{"name": OUTLOOK, "value": "persistence"}] if arm.operator == "persistence" else []
    return {
        "watchNamespaces": [shop_namespace],
        "prometheus": {"url": prometheus_url},
        "credentials": [{"namespace": shop_namespace, "existingSecret": credentials}],
        "operator": {"extraEnv": extra},
    }


def resilience_values(arm: LiveArm, operator_namespace: str) -> dict[str, Any]:
    """Values of the demo shop's chart: a policy that is only observed at first, or none that anybody could follow."""
    if arm.operator == "none":
        return {"resilience": {"enabled": False}}
    return {"resilience": {"enabled": True, "mode": "Observe", "operatorNamespace": operator_namespace}}


def policy_patch(arm: LiveArm, events: Sequence[DeclaredEvent], zero_at: datetime) -> dict[str, Any]:
    """A JSON merge patch of the ResiliencePolicy: the arm's planner, and the announcements that it knows.

    Events have clock times, which are known only when the load is about to begin; hence a patch and no chart value.
    `events` are in seconds of the scenario, of which `zero_at` is t = 0. Empty for an arm without an operator.
    """
    if arm.operator == "none":
        return {}
    settings = arm.settings
    declared = [_event(event, zero_at) for event in events] if arm.knows_events else []
    return {
        "spec": {
            "scaling": {
                "targetUtilizationRatio": settings.target_utilization,
                "violationCostPods": settings.violation_cost,
                "cvarLevel": settings.cvar_level,
            },
            "events": declared,
        }
    }


def enforcing_patch(arm: LiveArm) -> dict[str, Any]:
    """A JSON merge patch of the ResiliencePolicy. Empty for an arm without an operator."""
    return {} if arm.operator == "none" else {"spec": {"mode": "Enforce"}}


def _event(event: DeclaredEvent, zero_at: datetime) -> Mapping[str, Any]:
    starts_at = zero_at.astimezone(UTC) + timedelta(seconds=event.starts_at_s)
    return {
        "name": event.name.replace("_", "-"),
        "start": starts_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "durationSeconds": max(LEAST_EVENT_S, event.ends_at_s - event.starts_at_s),
        "rampSeconds": event.ramp_s,
        "multiplier": event.multiplier,
        "probability": event.probability,
    }
