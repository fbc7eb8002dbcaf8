"""The operator's chart: its rights, its hooks, and what the admission policies let its account change."""

from __future__ import annotations

import copy
from typing import Any

import cel
import pytest
import yaml

from charts import FORESAIL, ROOT, Manifest, manifests, named, needs_helm, of_kind, read, script
from foresail.settings import Settings

CRD = FORESAIL / "files" / "crd.yaml"

pytestmark = needs_helm


def rules(role: Manifest) -> dict[tuple[str, str], set[str]]:
    """Verbs by (group, resource)."""
    found: dict[tuple[str, str], set[str]] = {}
    for rule in role["rules"]:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                found.setdefault((group, resource), set()).update(rule["verbs"])
    return found


def test_the_definition_is_the_file_and_kept() -> None:
    rendered = copy.deepcopy(of_kind(manifests("foresail"), "CustomResourceDefinition")[0])

    assert rendered["metadata"].pop("annotations")["helm.sh/resource-policy"] == "keep"
    expected = yaml.safe_load(CRD.read_text(encoding="utf-8"))
    expected["metadata"].pop("annotations", None)
    assert rendered == expected


def test_cluster_wide_it_reads_nodes_and_nothing_else() -> None:
    roles = of_kind(manifests("foresail"), "ClusterRole")

    assert [rules(role) for role in roles] == [{("", "nodes"): {"get", "list", "watch"}}]


def test_it_may_cordon_only_where_zone_shift_is_on() -> None:
    roles = of_kind(manifests("foresail-everything"), "ClusterRole")

    assert [rules(role) for role in roles] == [{("", "nodes"): {"get", "list", "watch", "patch"}}]


def test_each_watched_namespace_has_a_role_of_its_own() -> None:
    rendered = manifests("foresail-everything")

    watched = {r["metadata"]["namespace"] for r in of_kind(rendered, "Role") if r["metadata"]["name"] == "it-foresail"}

    assert watched == {"shop", "second"}


def test_it_deletes_nothing_of_anybody_else_s() -> None:
    for role in of_kind(manifests("foresail-everything"), "Role", "ClusterRole"):
        for rule in role["rules"]:
            if "delete" in rule["verbs"]:
                assert rule["resources"] == ["configmaps"]
                assert all(name.startswith("foresail-checkpoint-") for name in rule["resourceNames"])


def test_its_own_objects_are_written_by_name() -> None:
    own = next(r for r in of_kind(manifests("foresail"), "Role") if r["metadata"]["name"] == "it-foresail-own")
    for rule in own["rules"]:
        # The names of Events are not known before.
        if rule["resources"] != ["events"] and not set(rule["verbs"]) <= {"create", "get", "list", "watch"}:
            assert rule["resourceNames"], rule


def test_the_environment_is_what_the_operator_reads() -> None:
    deployment = of_kind(manifests("foresail-everything"), "Deployment")[0]
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    environment = {variable["name"]: variable.get("value", "known-in-the-pod") for variable in container["env"]}

    settings = Settings.from_environment(environment)

    assert settings.watch_namespaces == ("second", "shop")
    assert settings.prometheus_url == "http://prometheus.monitoring:9090"
    assert settings.zone_shift is True
    assert settings.weights is True
    assert settings.prometheus_matchers == 'cluster="one"'
    mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
    assert {
        str(file.parent) for file in (settings.prometheus_token_file, settings.prometheus_ca_file) if file
    } <= mounted
    assert str(settings.secrets_folder / "shop") in mounted if settings.secrets_folder else False
    assert settings.http_port == container["ports"][0]["containerPort"]
    assert settings.seed == 1


def test_defaults_of_values_are_those_of_the_operator() -> None:
    container = of_kind(manifests("foresail"), "Deployment")[0]["spec"]["template"]["spec"]["containers"][0]
    environment = {variable["name"]: variable["value"] for variable in container["env"] if "value" in variable}
    told = Settings.from_environment({**environment, "FORESAIL_REPLICA": "a"})

    for name in (
        "prometheus_timeout_s",
        "tick_s",
        "fast_tick_s",
        "api_timeout_s",
        "lease_duration_s",
        "lease_renew_deadline_s",
        "lease_retry_s",
    ):
        assert getattr(told, name) == getattr(Settings(), name), name


def test_the_image_s_user_and_port_are_the_chart_s() -> None:
    recipe = (ROOT / "operator" / "Dockerfile").read_text(encoding="utf-8")
    pod = of_kind(manifests("foresail"), "Deployment")[0]["spec"]["template"]["spec"]

    assert f"USER {pod['securityContext']['runAsUser']}:{pod['securityContext']['runAsGroup']}" in recipe
    assert f"EXPOSE {pod['containers'][0]['ports'][0]['containerPort']}" in recipe


def test_it_watches_the_namespaces_that_it_has_rights_in() -> None:
    arguments = of_kind(manifests("foresail-everything"), "Deployment")[0]["spec"]["template"]["spec"]["containers"][0][
        "args"
    ]

    assert arguments == ["run", "-m", "foresail.handlers", "--standalone", "--namespace=shop", "--namespace=second"]


def test_an_upgrade_spreads_the_new_replicas_as_if_the_old_ones_were_gone() -> None:
    """Two replicas in one zone are one vantage point: the fast lane could prove nothing."""
    constraints = of_kind(manifests("foresail"), "Deployment")[0]["spec"]["template"]["spec"][
        "topologySpreadConstraints"
    ]

    assert [constraint["topologyKey"] for constraint in constraints] == [
        "topology.kubernetes.io/zone",
        "kubernetes.io/hostname",
    ]
    assert all(constraint["matchLabelKeys"] == ["pod-template-hash"] for constraint in constraints)


def test_what_expired_is_undone_every_minute_without_the_operator() -> None:
    cron = of_kind(manifests("foresail"), "CronJob")[0]
    container = cron["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]

    assert cron["spec"]["schedule"] == "* * * * *"
    assert cron["spec"]["concurrencyPolicy"] == "Forbid"
    assert container["command"] + container["args"] == ["foresail", "revert", "--expired"]


def test_deleting_the_release_undoes_everything_first_and_takes_the_lease() -> None:
    job = of_kind(manifests("foresail"), "Job")[0]
    container = job["spec"]["template"]["spec"]["containers"][0]

    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete"
    assert container["command"] + container["args"] == ["foresail", "revert", "--all", "--take-lease", "600"]


def test_monitoring_is_rendered_only_where_it_can_be_read() -> None:
    assert of_kind(manifests("foresail"), "ServiceMonitor", "PrometheusRule") == []

    rendered = of_kind(manifests("foresail-everything"), "ServiceMonitor", "PrometheusRule")

    assert [m["metadata"]["labels"]["release"] for m in rendered] == ["monitoring", "monitoring"]


def test_each_dashboard_has_a_config_map_of_its_own() -> None:
    boards = [m for m in of_kind(manifests("foresail"), "ConfigMap") if "grafana_dashboard" in m["metadata"]["labels"]]

    assert [list(board["data"]) for board in boards] == [
        [file.name] for file in sorted(FORESAIL.glob("dashboards/*.json"))
    ]
    assert all(len(text) < 262_144 for board in boards for text in board["data"].values())


# -- what the account may change -----------------------------------------------------------------------------------


def refusals(kind: str, before: Manifest, after: Manifest) -> list[str]:
    """Messages of the policy for one kind, as an API server would judge the change."""
    policy = named(manifests("foresail-everything"), "ValidatingAdmissionPolicy", f"here-it-foresail-{kind}")["spec"]
    known: dict[str, Any] = {"object": after, "oldObject": before}
    known["variables"] = {v["name"]: cel.evaluate(v["expression"], known) for v in policy["variables"]}
    return [v["message"] for v in policy["validations"] if not cel.evaluate(v["expression"], known)]


def thing(spec: Manifest, **metadata: Any) -> Manifest:
    return {"metadata": {"name": "x", **metadata}, "spec": spec}


def changed(before: Manifest, *path: str, to: Any) -> Manifest:
    after = copy.deepcopy(before)
    place = after
    for key in path[:-1]:
        place = place.setdefault(key, {})
    if to is None:
        place.pop(path[-1], None)
    else:
        place[path[-1]] = to
    return after


MARK, NOTES = "foresail.dev/floor", "annotations"
HPA = thing(
    {"minReplicas": 2, "maxReplicas": 9, "scaleTargetRef": {"kind": "Deployment", "name": "web"}, "metrics": []},
    labels={"team": "a"},
    annotations={"note": "theirs", "foresail.dev/floor": "{}"},
)
POD = thing({"containers": [{"name": "a", "image": "b"}]}, labels={"app": "web", "pod-template-hash": "1"})
NODE = thing({"podCIDR": "198.51.100.0/24", "taints": []}, labels={"topology.kubernetes.io/zone": "a"})
DEPLOYMENT = thing({"replicas": 2, "selector": {}, "template": {"spec": {}}})
ROUTE = thing(
    {
        "parentRefs": [{"name": "gateway"}],
        "rules": [
            {
                "matches": [{"path": "/"}],
                "backendRefs": [{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80, "weight": 1}],
            }
        ],
    }
)
WEIGHTS = [{"name": "a", "port": 80, "weight": 5}, {"name": "b", "port": 80, "weight": 5}]
ELSEWHERE = [{"name": "a", "port": 80, "weight": 9}, {"name": "c", "port": 80, "weight": 1}]


@pytest.mark.parametrize(
    ("kind", "before", "after"),
    [
        pytest.param("hpas", HPA, changed(HPA, "spec", "minReplicas", to=5), id="a floor"),
        pytest.param("hpas", HPA, changed(HPA, "spec", "minReplicas", to=None), id="a floor where none stood"),
        pytest.param(
            "hpas", HPA, changed(HPA, "metadata", "annotations", "foresail.dev/floor", to=None), id="mark gone"
        ),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "labels", "foresail.dev/managed", to="true"), id="managed"),
        pytest.param("pods", POD, changed(POD, "metadata", "labels", "foresail.dev/traffic", to="off"), id="drain"),
        pytest.param("pods", POD, changed(POD, "metadata", "labels", "pod-template-hash", to="2"), id="detach"),
        pytest.param(
            "pods",
            POD,
            changed(POD, "metadata", "annotations", "controller.kubernetes.io/pod-deletion-cost", to="-1000"),
            id="deletion cost on a pod without annotations",
        ),
        pytest.param("nodes", NODE, changed(NODE, "spec", "unschedulable", to=True), id="cordon"),
        pytest.param("deployments", DEPLOYMENT, changed(DEPLOYMENT, "spec", "replicas", to=3), id="scale"),
        pytest.param(
            "httproutes",
            ROUTE,
            changed(ROUTE, "spec", "rules", to=[{**ROUTE["spec"]["rules"][0], "backendRefs": WEIGHTS}]),
            id="weights",
        ),
    ],
)
def test_the_admission_policy_lets_its_acts_through(kind: str, before: Manifest, after: Manifest) -> None:
    assert refusals(kind, before, after) == []


@pytest.mark.parametrize(
    ("kind", "before", "after", "said"),
    [
        pytest.param("hpas", HPA, changed(HPA, "spec", "maxReplicas", to=99), "not spec.maxReplicas", id="ceiling"),
        pytest.param("hpas", HPA, changed(HPA, "spec", "behavior", to={}), "not spec.behavior", id="new behaviour"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "labels", "team", to="b"), "labels", id="their label"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "labels", to=None), "labels", id="all labels gone"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "annotations", "note", to="x"), NOTES, id="their note"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "annotations", "other", to="x"), NOTES, id="a new note"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "finalizers", to=["x"]), "finalizers", id="finalizer"),
        pytest.param("hpas", HPA, changed(HPA, "metadata", "labels", "pod-template-hash", to="x"), "labels", id="hash"),
        pytest.param("pods", POD, changed(POD, "spec", "containers", to=[]), "not their spec", id="image"),
        pytest.param("pods", POD, changed(POD, "metadata", "labels", "app", to="x"), "labels", id="selector label"),
        pytest.param("pods", POD, changed(POD, "metadata", "ownerReferences", to=[{}]), "owners", id="owner"),
        pytest.param("nodes", NODE, changed(NODE, "spec", "taints", to=[{"key": "x"}]), "not spec.taints", id="taint"),
        pytest.param("nodes", NODE, changed(NODE, "metadata", "labels", "x", to="y"), "labels", id="node label"),
        pytest.param("deployments", DEPLOYMENT, changed(DEPLOYMENT, "spec", "template", to={}), "template", id="pods"),
        pytest.param(
            "httproutes",
            ROUTE,
            changed(ROUTE, "spec", "rules", to=[{**ROUTE["spec"]["rules"][0], "backendRefs": ELSEWHERE}]),
            "only the weights",
            id="another backend",
        ),
    ],
)
def test_the_admission_policy_refuses_everything_else(kind: str, before: Manifest, after: Manifest, said: str) -> None:
    assert any(said in message for message in refusals(kind, before, after))


def test_each_policy_is_about_this_account_only_and_bound() -> None:
    rendered = manifests("foresail-everything")
    bound = {
        b["spec"]["policyName"]: b["spec"]["validationActions"]
        for b in of_kind(rendered, "ValidatingAdmissionPolicyBinding")
    }

    for policy in of_kind(rendered, "ValidatingAdmissionPolicy"):
        assert bound[policy["metadata"]["name"]] == ["Deny"]
        condition = policy["spec"]["matchConditions"][0]["expression"]
        assert condition == "request.userInfo.username == 'system:serviceaccount:here:it-foresail'"
        assert policy["spec"]["failurePolicy"] == "Fail"


# -- helm test -----------------------------------------------------------------------------------------------------


def test_the_test_pod_runs_the_script_of_the_chart() -> None:
    held = named(manifests("foresail"), "ConfigMap", "it-foresail-test")["data"]["check_installation.py"]

    assert held.strip() == (FORESAIL / "files" / "check_installation.py").read_text(encoding="utf-8").strip()


def test_all_that_the_test_asks_for_is_granted() -> None:
    needed = script(FORESAIL / "files" / "check_installation.py").NEEDED
    granted = rules(next(r for r in of_kind(manifests("foresail"), "Role") if r["metadata"]["name"] == "it-foresail"))

    for verb, group, resource, subresource in needed:
        name = f"{resource}/{subresource}" if subresource else resource
        assert verb in granted[group, name], name


def test_the_alerts_reach_the_rule_with_their_runbook() -> None:
    groups = of_kind(manifests("foresail-everything"), "PrometheusRule")[0]["spec"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]

    assert len(alerts) == sum(
        "alert" in r for g in read(FORESAIL / "files" / "rules.yaml")["groups"] for r in g["rules"]
    )
    assert all(rule["annotations"]["runbook_url"] == f"runbook.md#{rule['alert']}" for rule in alerts)


def test_the_job_that_undoes_has_more_time_than_lies_between_two_runs_and_never_runs_twice_at_once() -> None:
    cron = of_kind(manifests("foresail"), "CronJob")[0]["spec"]

    assert cron["schedule"] == "* * * * *"
    assert cron["jobTemplate"]["spec"]["activeDeadlineSeconds"] > 60
    assert cron["concurrencyPolicy"] == "Forbid"
