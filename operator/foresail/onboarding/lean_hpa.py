"""The HPA that goes with a floor. Replicas are the larger of both, so a floor over a cautious HPA can only add cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foresail.actuators.api import Json
from foresail.objects.fields import at, entries, text, whole
from foresail.onboarding.findings import Change

#: As tuning found them together with Foresail's own settings; a test holds them equal to the simulator's arm.
TARGET_PERCENT = 90
DOWN_WINDOW_S = 60
_DEFAULT_TARGET_PERCENT = 80  # Kubernetes's, where an HPA names no metric
_DOWN: Mapping[str, Any] = {
    "stabilizationWindowSeconds": DOWN_WINDOW_S,
    "policies": [{"type": "Percent", "value": 100, "periodSeconds": 15}],
}


def leaner(hpa: Json) -> Change | None:
    """None: it is lean already, or does not scale by CPU utilization, for which no figures were measured."""
    metrics = entries(hpa, "spec", "metrics")
    by_cpu = [metric for metric in metrics if _cpu_target(metric) is not None]
    if metrics and not by_cpu:
        return None
    targets = [_cpu_target(metric) or 0 for metric in by_cpu] or [_DEFAULT_TARGET_PERCENT]
    window_s = whole(hpa, "spec", "behavior", "scaleDown", "stabilizationWindowSeconds")
    if min(targets) >= TARGET_PERCENT and window_s is not None and window_s <= DOWN_WINDOW_S:
        return None
    changed = [_lean(metric) for metric in metrics] or [_lean(_CPU)]
    patch = {"spec": {"metrics": changed, "behavior": {"scaleDown": dict(_DOWN)}}}
    return Change("HorizontalPodAutoscaler", hpa["metadata"]["namespace"], hpa["metadata"]["name"], patch)


_CPU: Mapping[str, Any] = {
    "type": "Resource",
    "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": _DEFAULT_TARGET_PERCENT}},
}


def _cpu_target(metric: Mapping[str, object]) -> int | None:
    if text(metric, "type") != "Resource" or at(metric, "resource", "name") != "cpu":
        return None
    return whole(metric, "resource", "target", "averageUtilization")


def _lean(metric: Mapping[str, Any]) -> Mapping[str, Any]:
    """The metric with a higher target; others than CPU utilization stay."""
    current = _cpu_target(metric)
    if current is None:
        return metric
    target = {**metric["resource"]["target"], "averageUtilization": max(current, TARGET_PERCENT)}
    return {**metric, "resource": {**metric["resource"], "target": target}}
