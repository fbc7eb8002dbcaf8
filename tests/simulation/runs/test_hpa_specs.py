"""From a scenario's HPA and an arm's settings to what the algorithm runs with."""

from __future__ import annotations

from simulation import topology
from simulation.arms import arm_settings
from simulation.controllers.hpa_specs import hpa_spec
from simulation.hpa.values import (
    AverageValue,
    ExternalMetric,
    PodsMetric,
    PolicyType,
    ResourceMetric,
    ScalingPolicy,
    Utilization,
    Value,
)


def test_default_arm_runs_the_scenarios_specification_without_behavior() -> None:
    spec = hpa_spec(topology.Hpa(min_replicas=2, max_replicas=9), arm_settings("hpa-default"))

    assert (spec.min_replicas, spec.max_replicas) == (2, 9)
    assert spec.metrics == (ResourceMetric(Utilization(80)),)
    assert spec.behavior is None


def test_every_metric_kind_keeps_its_unit() -> None:
    metrics = (
        topology.MetricSpec(type="Resource", name="memory", target_type="AverageValue", target=300),
        topology.MetricSpec(type="Resource", name="cpu", target_type="AverageValue", target=0.4),
        topology.MetricSpec(type="Pods", name="requests_per_second", target_type="AverageValue", target=12.5),
        topology.MetricSpec(type="External", name="requests_per_second", target_type="Value", target=90),
    )

    spec = hpa_spec(topology.Hpa(metrics=metrics), arm_settings("hpa-default"))

    assert spec.metrics == (
        ResourceMetric(AverageValue(300 * 1024 * 1024 * 1000), "memory"),
        ResourceMetric(AverageValue(400), "cpu"),
        PodsMetric("requests_per_second", AverageValue(12_500)),
        ExternalMetric("requests_per_second", Value(90_000)),
    )


def test_tuning_sets_the_cpu_target_and_the_pace_in_both_directions() -> None:
    tuned = arm_settings(
        "hpa-tuned",
        {
            "hpa_target_pct": 55,
            "hpa_up_window_s": 15,
            "hpa_up_pct": 150,
            "hpa_down_window_s": 240,
            "hpa_down_pct": 20,
        },
    )

    spec = hpa_spec(topology.Hpa(), tuned)

    assert spec.metrics == (ResourceMetric(Utilization(55)),)
    assert spec.behavior is not None
    assert spec.behavior.scale_up.window_s == 15
    assert spec.behavior.scale_up.policies == (
        ScalingPolicy(PolicyType.PODS, 4, 15),
        ScalingPolicy(PolicyType.PERCENT, 150, 15),
    )
    assert spec.behavior.scale_down.window_s == 240
    assert spec.behavior.scale_down.policies == (ScalingPolicy(PolicyType.PERCENT, 20, 60),)


def test_a_lean_hpa_keeps_upstreams_way_up() -> None:
    lean = arm_settings("foresail", {"hpa_down_window_s": 45})

    spec = hpa_spec(topology.Hpa(), lean)

    assert spec.behavior is not None
    assert spec.behavior.scale_up.policies is None
    assert spec.behavior.scale_down.window_s == 45


def test_the_scenarios_own_behavior_stays_where_tuning_says_nothing() -> None:
    slow = topology.ScalingRules(
        stabilization_window_s=600, policies=(topology.ScalingRule(type="Pods", value=1, period_s=60),)
    )

    spec = hpa_spec(topology.Hpa(behavior=topology.Behavior(scale_down=slow)), arm_settings("hpa-default"))

    assert spec.behavior is not None
    assert spec.behavior.scale_down.window_s == 600
    assert spec.behavior.scale_down.policies == (ScalingPolicy(PolicyType.PODS, 1, 60),)
