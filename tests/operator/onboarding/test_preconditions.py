from __future__ import annotations

from typing import Any

import pytest
from onboarding_manifests import budget, deployment, hpa, in_order, onboarded, policy, service


def without(made: dict[str, Any], *path: str) -> dict[str, Any]:
    """The Deployment with a field of its container, or of its pod, taken away."""
    pod = made["spec"]["template"]["spec"]
    place = pod if path[0] in pod else pod["containers"][0]
    for key in path[:-1]:
        place = place[key]
    del place[path[-1]]
    return made


def grace(seconds: int) -> dict[str, Any]:
    made = deployment()
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = seconds
    return made


@pytest.mark.parametrize(
    ("objects", "weight", "said"),
    [
        pytest.param([without(deployment(), "readinessProbe")], "missing", "no readiness probe", id="readiness"),
        pytest.param([without(deployment(), "lifecycle")], "advice", "no preStop", id="pre-stop"),
        pytest.param([grace(5)], "missing", "preStop sleeps 5 s, but the pod is killed after 5 s", id="grace"),
        pytest.param([deployment(replicas=1)], "advice", "one pod at rest", id="one-replica"),
        pytest.param([deployment(replicas=0)], "advice", "switched off", id="no-replicas"),
        pytest.param([deployment()], "advice", "no PodDisruptionBudget", id="no-budget"),
        pytest.param([deployment(), budget(maxUnavailable=1)], "advice", "cannot count a detached pod", id="share"),
        pytest.param([deployment(), budget(minAvailable=2)], "advice", "wants 2 of 2 pods", id="tight-budget"),
        pytest.param([without(deployment(), "resources", "limits")], "advice", "leaks cannot be foreseen", id="memory"),
        pytest.param([without(deployment(), "resources", "requests")], "advice", "no CPU request", id="cpu"),
        pytest.param([deployment(), hpa(), hpa("second")], "missing", "several HPAs scale it: second, web", id="hpas"),
        pytest.param(
            [deployment(replicas=2), hpa()], "advice", "the manifest sets replicas beside an HPA", id="beside"
        ),
    ],
)
def test_what_is_not_in_order_is_told(objects, weight, said):
    report = onboarded(*objects, service()).workloads[0]

    assert [finding.weight.value for finding in report.findings if said in finding.said] == [weight]


def test_a_workload_in_order_gets_no_advice():
    assert onboarded(*in_order()).workloads[0].findings == ()


@pytest.mark.parametrize(
    ("drain", "said"),
    [
        pytest.param({"port": 7070}, "drains on port 7070, which no container declares", id="another-port"),
        pytest.param(None, "names no drain endpoint", id="none"),
    ],
)
def test_the_drain_endpoint_is_held_against_the_containers_ports(drain, said):
    under = policy()
    under["spec"]["drain"] = drain

    findings = onboarded(*in_order(), under=under).workloads[0].findings

    assert [said in finding.said for finding in findings] == [True]


@pytest.mark.parametrize(
    "spec",
    [
        pytest.param({"targets": [{"name": "web", "workload": {"name": "gone"}}]}, id="no-such-workload"),
        pytest.param({"targets": []}, id="invalid"),
    ],
)
def test_what_is_wrong_with_the_policy_counts_as_missing(spec):
    under = policy()
    under["spec"] = spec

    assert onboarded(*in_order(), under=under).missing >= 1
