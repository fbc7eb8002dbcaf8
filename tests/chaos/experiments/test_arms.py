from datetime import UTC, datetime

import pytest

from chaos.experiments.arms import ARM_NAMES, PROFILE, hpa_values, live_arm, own_pods
from chaos.experiments.keda import scaled_objects
from chaos.experiments.operator_side import enforcing_patch, operator_values, policy_patch, resilience_values
from chaos.experiments.problems import ArmUnknown, PlanRefused
from forecasting.forecast import DeclaredEvent
from simulation.scenario import scenario_of

SALE = DeclaredEvent("flash_sale-0", 120.0, 240.0, 3.0, 0.9, ramp_s=30.0)
ZERO = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)


def profile(arm, topology):
    return hpa_values(live_arm(arm), topology)["hpa"]["profiles"][PROFILE]


def test_the_default_arm_has_the_topologys_own_hpa(scenario):
    # The shop's HPAs say nothing but the default target of 80 %.
    assert profile("hpa-default", scenario().topology) == {"targetCPUUtilizationPercentage": 80}


def test_the_tuned_arm_has_what_tuning_found(scenario):
    # tuned.yaml: target 60, up at once by 200 % or 4 pods, down after 300 s by 50 % a minute.
    assert profile("hpa-tuned", scenario().topology) == {
        "targetCPUUtilizationPercentage": 60,
        "behavior": {
            "scaleUp": {
                "stabilizationWindowSeconds": 0,
                "policies": [
                    {"type": "Pods", "value": 4, "periodSeconds": 15},
                    {"type": "Percent", "value": 200, "periodSeconds": 15},
                ],
            },
            "scaleDown": {
                "stabilizationWindowSeconds": 300,
                "policies": [{"type": "Percent", "value": 50, "periodSeconds": 60}],
            },
        },
    }


def test_services_with_different_hpas_are_refused(scenario):
    raw = scenario().model_dump(mode="json", exclude_unset=True)
    raw["topology"]["services"][0]["hpa"]["metrics"] = [{"target": 50}]
    topology = scenario_of(raw, "test").topology

    with pytest.raises(PlanRefused, match="the HPAs of gateway and catalog differ"):
        hpa_values(live_arm("hpa-tuned"), topology)


def test_an_hpa_on_requests_is_refused(scenario):
    raw = scenario().model_dump(mode="json", exclude_unset=True)
    raw["topology"]["services"][0]["hpa"]["metrics"] = [{"type": "Pods", "target": 20}]
    topology = scenario_of(raw, "test").topology

    with pytest.raises(PlanRefused, match="gateway scales on more than CPU"):
        hpa_values(live_arm("hpa-tuned"), topology)


def test_only_foresails_arms_run_the_operator():
    with_operator = {name for name in ARM_NAMES if operator_values(live_arm(name), "shop", "tokens", "http://p:9090")}

    assert with_operator == {"foresail", "hpa-tuned-fast-lane"}


def test_the_fast_lane_is_told_not_to_forecast():
    values = operator_values(live_arm("hpa-tuned-fast-lane"), "shop", "tokens", "http://p:9090")

    assert values["operator"]["extraEnv"] == [{"name": "FORESAIL_OUTLOOK", "value": "persistence"}]
    assert operator_values(live_arm("foresail"), "shop", "tokens", "http://p:9090")["operator"]["extraEnv"] == []


def test_announcements_reach_the_policy_of_the_arm_that_forecasts():
    events = policy_patch(live_arm("foresail"), (SALE,), ZERO)["spec"]["events"]

    # 120 s after t = 0, for two minutes.
    assert events == [
        {
            "name": "flash-sale-0",
            "start": "2026-05-01T12:02:00Z",
            "durationSeconds": 120.0,
            "rampSeconds": 30.0,
            "multiplier": 3.0,
            "probability": 0.9,
        }
    ]


def test_announcements_do_not_reach_who_knows_current_values_only():
    assert policy_patch(live_arm("hpa-tuned-fast-lane"), (SALE,), ZERO)["spec"]["events"] == []
    assert policy_patch(live_arm("hpa-tuned"), (SALE,), ZERO) == {}


def test_a_policy_is_observed_until_it_is_enforced_or_absent():
    assert resilience_values(live_arm("foresail"), "foresail")["resilience"]["mode"] == "Observe"
    assert enforcing_patch(live_arm("foresail")) == {"spec": {"mode": "Enforce"}}
    assert enforcing_patch(live_arm("hpa-tuned")) == {}
    assert resilience_values(live_arm("hpa-tuned"), "foresail") == {"resilience": {"enabled": False}}


def test_keda_scales_every_role_by_its_requests(scenario):
    arm, topology = live_arm("keda"), scenario().topology

    objects = scaled_objects(arm, topology, "shop", "shop", "http://prometheus:9090")

    by_name = {one["metadata"]["name"]: one["spec"] for one in objects}
    assert len(by_name) == 8 and "shop-postgres" not in by_name
    gateway = by_name["shop-gateway"]
    assert (gateway["minReplicaCount"], gateway["maxReplicaCount"]) == (2, 24)
    [trigger] = gateway["triggers"]
    assert 'component="gateway"' in trigger["metadata"]["query"]
    # A gateway request costs 0.62·14 + 0.2·16 + 0.12·14 + 0.06·20 = 14.76 ms: 67.75/s of one core, of which 0.6538.
    assert float(trigger["metadata"]["threshold"]) == pytest.approx(67.75 * 0.6538, rel=0.005)


def test_kedas_autoscalers_can_be_told_by_their_role(scenario):
    objects = scaled_objects(live_arm("keda"), scenario().topology, "shop", "shop", "http://prometheus:9090")

    roles = {one["metadata"]["name"]: one["metadata"]["labels"]["app.kubernetes.io/component"] for one in objects}
    assert all(name == f"shop-{role}" for name, role in roles.items())


def test_kedas_own_pods_are_charged(scenario):
    assert own_pods(live_arm("keda"), scenario().topology) == pytest.approx(0.2 / 0.52)


def test_only_kedas_arm_goes_without_hpas(scenario):
    topology = scenario().topology

    assert hpa_values(live_arm("keda"), topology) == {"hpa": {"enabled": False}}
    assert scaled_objects(live_arm("hpa-tuned"), topology, "shop", "shop", "http://prometheus:9090") == []


def test_controllers_cost_their_arm_pods(scenario):
    topology = scenario().topology

    # Ten services ask for 5.2 cores in all, 0.52 on average; two operator pods ask for 0.2.
    assert own_pods(live_arm("foresail"), topology) == pytest.approx(0.2 / 0.52)
    assert own_pods(live_arm("hpa-tuned"), topology) == 0.0


def test_an_unknown_arm_is_named_with_those_that_exist():
    with pytest.raises(ArmUnknown, match="use one of hpa-default, hpa-tuned"):
        live_arm("oracle")
