from __future__ import annotations

import pytest
import yaml
from onboarding_manifests import deployment, hpa, in_order, onboarded, service

from foresail.onboarding import gitops, lean_hpa
from simulation.arms import arm_settings

LEAN_DOWN = {"scaleDown": {"stabilizationWindowSeconds": 60}}


def test_the_lean_hpa_is_the_one_below_foresail_in_the_simulator():
    tuned = arm_settings("foresail")

    assert (tuned.hpa_target_pct, tuned.hpa_down_window_s) == (lean_hpa.TARGET_PERCENT, lean_hpa.DOWN_WINDOW_S)


def test_a_cautious_hpa_gets_a_higher_target_and_a_short_window():
    change = lean_hpa.leaner(hpa(percent=60))

    assert change is not None
    assert change.patch["spec"]["metrics"][0]["resource"]["target"]["averageUtilization"] == 90
    assert change.patch["spec"]["behavior"]["scaleDown"]["stabilizationWindowSeconds"] == 60


def test_other_metrics_of_the_hpa_stay():
    queue = {"type": "External", "external": {"metric": {"name": "queue"}}}
    cautious = hpa()
    cautious["spec"]["metrics"].append(queue)

    change = lean_hpa.leaner(cautious)

    assert change is not None
    assert change.patch["spec"]["metrics"][1] == queue


@pytest.mark.parametrize(
    "given",
    [
        pytest.param(hpa(percent=90, behavior=LEAN_DOWN), id="lean-already"),
        pytest.param(hpa(metrics=[{"type": "External"}]), id="not-by-cpu"),
    ],
)
def test_there_may_be_nothing_to_change(given):
    assert lean_hpa.leaner(given) is None


def test_rules_name_the_floors_field_of_the_hpa_and_no_other():
    (field,) = onboarded(*in_order()).written

    assert (field.group, field.kind, field.name, field.pointer, field.value) == (
        "autoscaling",
        "HorizontalPodAutoscaler",
        "web",
        "/spec/minReplicas",
        2,
    )


def test_without_an_hpa_the_rules_name_the_replicas():
    (field,) = onboarded(deployment(), service()).written

    assert (field.group, field.kind, field.pointer) == ("apps", "Deployment", "/spec/replicas")


def test_keda_gets_a_rule_for_its_own_object():
    target = {"name": "web"}
    scaled = hpa() | {"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject"}
    scaled["spec"] = {"scaleTargetRef": target, "minReplicaCount": 3}

    (field,) = onboarded(deployment(), service(), scaled).written

    assert (field.group, field.pointer, field.value) == ("keda.sh", "/spec/minReplicaCount", 3)


def test_a_standing_floor_is_not_taken_for_peoples_own_value():
    raised = hpa(least=4)
    mark = '{"original":2,"written":4,"epoch":1,"expires_at":9.0,"decision":"d"}'
    raised["metadata"]["annotations"] = {"foresail.dev/floor": mark}

    assert onboarded(deployment(), service(), raised).written[0].value == 2


def test_argo_is_told_to_respect_what_it_ignores():
    application = gitops.argo(onboarded(*in_order()).written)

    assert application["spec"]["syncPolicy"]["syncOptions"] == ["RespectIgnoreDifferences=true"]
    assert application["spec"]["ignoreDifferences"][0]["jsonPointers"] == ["/spec/minReplicas"]


def test_flux_gets_the_same_rule_for_both_of_its_controllers():
    written = onboarded(*in_order()).written

    rule = gitops.flux_kustomization(written)["spec"]["ignore"][0]

    assert rule["paths"] == ["/spec/minReplicas"]
    assert gitops.flux_helm_release(written)["spec"]["driftDetection"]["ignore"] == [rule]


def test_the_handover_applies_the_field_and_nothing_else():
    command, _, manifest = gitops.handover(onboarded(*in_order()).written[0]).partition("\n")

    applied = yaml.safe_load(manifest.removesuffix("EOF"))

    assert "--server-side" in command
    assert applied["spec"] == {"minReplicas": 2}
    assert applied["metadata"] == {"name": "web", "namespace": "shop"}
