"""What the operator's account may do on a real API server, and what the API server refuses of people and of it."""

import json
from typing import Any

import pytest
from e2e_light import Light, policy
from e2e_programs import Kubectl
from e2e_stage import LIGHT, OPERATOR, SHOP

from chaos.clusters.cluster import ClusterFailed

ACCOUNT = f"system:serviceaccount:{OPERATOR}:foresail"
#: May do nothing that somebody allowed: what it may, every account may.
NOBODY = f"system:serviceaccount:{LIGHT}:default"

LOOK = "get list watch"
#: The table of docs/charts.md, with the chart's defaults: verbs by group/resource, or group/resource/name.
IN_ITS_OWN = {
    "coordination.k8s.io/leases": "create",
    "coordination.k8s.io/leases/foresail": "get update patch",
    "/configmaps": "create list watch",
    **{f"/configmaps/foresail-checkpoint-{number}": "get update delete" for number in range(16)},
    "/configmaps/foresail-intents": "get update",
    "events.k8s.io/events": "create patch",
    "/pods": LOOK,
}
WHERE_IT_WATCHES = {
    "foresail.dev/resiliencepolicies": LOOK,
    "foresail.dev/resiliencepolicies/status": "get patch update",
    "/events": "create patch",
    "events.k8s.io/events": "create patch",
    "/services": LOOK,
    "/resourcequotas": LOOK,
    "/persistentvolumeclaims": "get",
    "apps/replicasets": LOOK,
    "discovery.k8s.io/endpointslices": LOOK,
    "policy/poddisruptionbudgets": LOOK,
    "keda.sh/scaledobjects": LOOK,
    "/pods": f"{LOOK} patch",
    "apps/deployments": f"{LOOK} patch",
    "apps/statefulsets": f"{LOOK} patch",
    "autoscaling/horizontalpodautoscalers": f"{LOOK} patch",
    "/pods/eviction": "create",
    "apps/deployments/scale": "get patch update",
    "apps/statefulsets/scale": "get patch update",
}
EVERYWHERE = {"/nodes": LOOK}


def rights(kubectl: Kubectl, account: str, namespace: str) -> set[tuple[str, str]]:
    """(verb, group/resource or group/resource/name) that the API server itself says the account has."""
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "metadata": {"name": "review"},
        "spec": {"namespace": namespace},
    }
    told = json.loads(
        kubectl("create", "--validate=false", f"--as={account}", "-o", "json", "-f", "-", given=json.dumps(review))
    )
    assert not told["status"].get("incomplete"), told["status"].get("evaluationError")
    return {
        (verb, f"{group}/{resource}" + (f"/{name}" if name else ""))
        for rule in told["status"]["resourceRules"]
        for group in rule.get("apiGroups", ())
        for resource in rule.get("resources", ())
        for name in rule.get("resourceNames") or ("",)
        for verb in rule["verbs"]
    }


def flat(*tables: dict[str, str]) -> set[tuple[str, str]]:
    return {(verb, what) for table in tables for what, verbs in table.items() for verb in verbs.split()}


def test_the_account_may_do_what_the_documentation_says_and_nothing_more(light: Light, kubectl: Kubectl) -> None:
    def own(namespace: str) -> set[tuple[str, str]]:
        return rights(kubectl, ACCOUNT, namespace) - rights(kubectl, NOBODY, namespace)

    assert own(OPERATOR) == flat(IN_ITS_OWN, EVERYWHERE)
    for namespace in (SHOP, LIGHT):
        itself = {f"/namespaces/{namespace}": "get"}
        assert own(namespace) == flat(WHERE_IT_WATCHES, itself, EVERYWHERE)
    assert own("kube-system") == flat(EVERYWHERE)


@pytest.mark.parametrize("namespace", [OPERATOR, SHOP, LIGHT, "kube-system"])
def test_nobody_runs_in_the_cluster_with_rights_to_secrets_deletions_or_wildcards(
    light: Light, kubectl: Kubectl, namespace: str
) -> None:
    for verb, what in rights(kubectl, ACCOUNT, namespace):
        assert verb != "*" and "*" not in what
        assert "secrets" not in what
        assert verb not in ("deletecollection", "impersonate", "escalate", "bind")
        assert verb != "delete" or what.startswith("/configmaps/foresail-checkpoint-")


def test_all_pods_of_the_operator_run_under_this_account(light: Light, kubectl: Kubectl) -> None:
    pods = kubectl.items(OPERATOR, "pods")
    assert {pod["spec"]["serviceAccountName"] for pod in pods} == {"foresail"}
    job = kubectl.get(OPERATOR, "cronjob", "foresail-revert")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert job["serviceAccountName"] == "foresail"


def changed(kubectl: Kubectl, kind: str, name: str, change: Any) -> str:
    """What the API server says of a change by the operator's account; nothing is stored."""
    words = ("patch", "-n", LIGHT, kind, name, "--type=merge", "--dry-run=server", f"--as={ACCOUNT}")
    return kubectl(*words, "-p", json.dumps(change))


def one_pod(kubectl: Kubectl) -> str:
    return str(kubectl.items(LIGHT, "pods", "app=idle")[0]["metadata"]["name"])


REFUSED = {
    "an HPA's ceiling": ("hpa", {"spec": {"maxReplicas": 9}}, "not spec.maxReplicas"),
    "an HPA's target": (
        "hpa",
        {"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "sale"}}},
        "not spec.scaleTargetRef",
    ),
    "an HPA's behaviour": (
        "hpa",
        {"spec": {"behavior": {"scaleDown": {"stabilizationWindowSeconds": 1}}}},
        "not spec.behavior",
    ),
    "others' annotations": ("hpa", {"metadata": {"annotations": {"team": "us"}}}, "only its own annotations"),
    "others' labels": ("hpa", {"metadata": {"labels": {"team": "us"}}}, "only the labels"),
    "finalizers": ("hpa", {"metadata": {"finalizers": ["foresail.dev/hold"]}}, "leave finalizers alone"),
    "a template": (
        "deployment",
        {"spec": {"template": {"metadata": {"annotations": {"a": "b"}}}}},
        "not spec.template",
    ),
    "a rollout's pause": ("deployment", {"spec": {"paused": True}}, "not spec.paused"),
    "a strategy": ("deployment", {"spec": {"strategy": {"type": "Recreate", "rollingUpdate": None}}}, "not spec.str"),
    "a pod's label": ("pod", {"metadata": {"labels": {"app": "sale"}}}, "only the labels"),
    "a pod's deadline": ("pod", {"spec": {"activeDeadlineSeconds": 60}}, "not their spec"),
    "a pod's owner": ("pod", {"metadata": {"ownerReferences": None}}, "leave owners alone"),
}
ALLOWED = {
    "an HPA's floor": ("hpa", {"spec": {"minReplicas": 2}}),
    "its marks": (
        "hpa",
        {"metadata": {"annotations": {"foresail.dev/floor": "{}"}, "labels": {"foresail.dev/managed": "true"}}},
    ),
    "a Deployment's replicas": ("deployment", {"spec": {"replicas": 2}}),
    "a pod's place in rotation": ("pod", {"metadata": {"labels": {"foresail.dev/traffic": "off"}}}),
    "a pod's price": ("pod", {"metadata": {"annotations": {"controller.kubernetes.io/pod-deletion-cost": "-1"}}}),
}


@pytest.mark.parametrize("what", REFUSED)
def test_the_api_server_refuses_the_account_every_other_field(light: Light, kubectl: Kubectl, what: str) -> None:
    kind, change, message = REFUSED[what]

    with pytest.raises(ClusterFailed, match=message):
        changed(kubectl, kind, one_pod(kubectl) if kind == "pod" else "idle", change)


@pytest.mark.parametrize("what", ALLOWED)
def test_it_lets_the_account_change_what_it_has_to(light: Light, kubectl: Kubectl, what: str) -> None:
    kind, change = ALLOWED[what]

    assert "patched" in changed(kubectl, kind, one_pod(kubectl) if kind == "pod" else "idle", change)


def test_people_are_not_bound_by_it(light: Light, kubectl: Kubectl) -> None:
    ceiling = json.dumps({"spec": {"maxReplicas": 9}})

    assert "patched" in kubectl("patch", "-n", LIGHT, "hpa", "idle", "--type=merge", "--dry-run=server", "-p", ceiling)


ENTRY = {"name": "entry", "workload": {"name": "idle"}}
#: What people get wrong, and what the API server's answer has to name.
BAD = {
    "no target": ({"targets": []}, "spec.targets"),
    "a mode that there is not": ({"mode": "Aggressive"}, "spec.mode"),
    "a misspelt field": ({"scalling": {"minReplicas": 2}}, "scalling"),
    "more at least than at most": ({"scaling": {"minReplicas": 5, "maxReplicas": 2}}, "lower minReplicas"),
    "a share above 1": ({"objectives": {"availability": 99.9}}, "spec.objectives.availability"),
    "a floor that hardly lasts": ({"scaling": {"floorTtlSeconds": 5}}, "spec.scaling.floorTtlSeconds"),
    "text for a number": ({"scaling": {"maxReplicas": "many"}}, "spec.scaling.maxReplicas"),
    "a preset that there is not": ({"metrics": {"preset": "statsd"}}, "spec.metrics.preset"),
    "custom metrics without any": ({"metrics": {"preset": "custom"}}, "preset custom needs its own expressions"),
    "both a name and a selector": (
        {"targets": [{**ENTRY, "selector": {"matchLabels": {"a": "b"}}}]},
        "a target needs workload or selector",
    ),
    "driven by nobody": (
        {"targets": [ENTRY, {"name": "b", "workload": {"name": "b"}, "role": "Driven", "drivenBy": "c"}]},
        "drivenBy names no target of role Entry",
    ),
    "a target twice": ({"targets": [ENTRY, ENTRY]}, "spec.targets"),
    "an event without a beginning": (
        {"events": [{"name": "sale", "durationSeconds": 600, "multiplier": 2}]},
        "an event needs start or recurrence",
    ),
    "an event on a day that nobody can read": (
        {"events": [{"name": "sale", "start": "friday", "durationSeconds": 600, "multiplier": 2}]},
        "spec.events",
    ),
    "a ramp longer than its event": (
        {
            "events": [
                {
                    "name": "sale",
                    "start": "2027-01-01T00:00:00Z",
                    "durationSeconds": 60,
                    "rampSeconds": 90,
                    "multiplier": 2,
                }
            ]
        },
        "rampSeconds is longer",
    ),
    "a switchover of no store": (
        {"databases": [{"target": "idle", "scope": "shop"}]},
        "database names no target of role Store",
    ),
    "calling off later than acting": (
        {"healing": {"actProbability": 0.4, "releaseProbability": 0.5}},
        "releaseProbability is not below actProbability",
    ),
    "zones against the ladder": (
        {"zones": {"shiftEnabled": True}, "healing": {"highestRung": "Drain"}},
        "zones.shiftEnabled goes further",
    ),
}


@pytest.mark.parametrize("what", BAD)
def test_the_api_server_refuses_a_mistaken_policy_and_names_the_field(
    light: Light, kubectl: Kubectl, what: str
) -> None:
    spec, named = BAD[what]
    scaling = spec.get("scaling")
    wrong = policy("mistaken", ["idle"], **spec)
    if scaling is not None:
        wrong["spec"]["scaling"] = scaling

    with pytest.raises(ClusterFailed) as refused:
        kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(wrong))
    assert named in str(refused.value)


def test_a_policy_without_mistakes_is_taken(light: Light, kubectl: Kubectl) -> None:
    assert "created" in kubectl("create", "--dry-run=server", "-f", "-", given=json.dumps(policy("right", ["idle"])))
