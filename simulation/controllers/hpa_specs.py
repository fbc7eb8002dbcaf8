"""From a scenario's HPA and an arm's settings to the specification that the HPA runs with."""

from __future__ import annotations

from simulation import topology
from simulation.arms import ArmSettings
from simulation.hpa.values import (
    DEFAULT_UP_POLICIES,
    AverageValue,
    Behavior,
    ExternalMetric,
    HpaSpec,
    MetricSpec,
    ObjectMetric,
    PodsMetric,
    PolicyType,
    ResourceMetric,
    ScalingPolicy,
    ScalingRules,
    SelectPolicy,
    Utilization,
    Value,
)

_MIB_M = 1024 * 1024 * 1000  # one MiB in thousandths of a byte
_UP_PERIOD_S = 15
_DOWN_PERIOD_S = 60


def hpa_spec(hpa: topology.Hpa, settings: ArmSettings, extra: tuple[MetricSpec, ...] = ()) -> HpaSpec:
    """The scenario's own specification with what the arm tunes, and further metrics of the arm."""
    metrics = tuple(_metric(m, settings.hpa_target_pct) for m in hpa.metrics)
    return HpaSpec(hpa.min_replicas, hpa.max_replicas, (*metrics, *extra), _tuned(_behavior(hpa.behavior), settings))


def _metric(metric: topology.MetricSpec, target_pct: float | None) -> MetricSpec:
    if metric.type in ("Resource", "ContainerResource"):
        container = "main" if metric.type == "ContainerResource" else None
        if metric.target_type == "Utilization":
            tuned = metric.target if target_pct is None or metric.name != "cpu" else target_pct
            return ResourceMetric(Utilization(round(tuned)), metric.name, container)
        unit_m = _MIB_M if metric.name == "memory" else 1000
        return ResourceMetric(AverageValue(round(metric.target * unit_m)), metric.name, container)
    target_m = round(metric.target * 1000)
    if metric.type == "Pods":
        return PodsMetric(metric.name, AverageValue(target_m))
    target = Value(target_m) if metric.target_type == "Value" else AverageValue(target_m)
    return ObjectMetric(metric.name, target) if metric.type == "Object" else ExternalMetric(metric.name, target)


def _behavior(behavior: topology.Behavior | None) -> Behavior | None:
    return None if behavior is None else Behavior(_rules(behavior.scale_up), _rules(behavior.scale_down))


def _rules(rules: topology.ScalingRules | None) -> ScalingRules:
    if rules is None:
        return ScalingRules()
    policies = tuple(ScalingPolicy(PolicyType(p.type), p.value, p.period_s) for p in rules.policies)
    return ScalingRules(
        policies or None, SelectPolicy(rules.select_policy), rules.stabilization_window_s, rules.tolerance
    )


def _tuned(behavior: Behavior | None, settings: ArmSettings) -> Behavior | None:
    knobs = (settings.hpa_up_window_s, settings.hpa_up_pct, settings.hpa_down_window_s, settings.hpa_down_pct)
    if all(knob is None for knob in knobs):
        return behavior
    base = behavior or Behavior()
    up, down = base.scale_up, base.scale_down
    if settings.hpa_up_pct is not None:
        percent = ScalingPolicy(PolicyType.PERCENT, round(settings.hpa_up_pct), _UP_PERIOD_S)
        up = ScalingRules((DEFAULT_UP_POLICIES[0], percent), up.select, up.window_s, up.tolerance)
    if settings.hpa_up_window_s is not None:
        up = ScalingRules(up.policies, up.select, settings.hpa_up_window_s, up.tolerance)
    if settings.hpa_down_pct is not None:
        percent = ScalingPolicy(PolicyType.PERCENT, round(settings.hpa_down_pct), _DOWN_PERIOD_S)
        down = ScalingRules((percent,), down.select, down.window_s, down.tolerance)
    if settings.hpa_down_window_s is not None:
        down = ScalingRules(down.policies, down.select, settings.hpa_down_window_s, down.tolerance)
    return Behavior(up, down)
