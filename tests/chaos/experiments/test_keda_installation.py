"""KEDA for a run of its arm: what is installed, in which order, and that nothing of it stays."""

from __future__ import annotations

import json

import pytest
import yaml

from chaos.clusters.cluster import ClusterFailed
from chaos.experiments.live.keda_installation import KedaInstallation
from chaos.experiments.live.keda_manifests import installable, is_adapter

MARKED = {"app.kubernetes.io/managed-by": "foresail-experiments"}


def deployment(name, *flags):
    container = {"name": name, "image": "elsewhere/keda:main", "imagePullPolicy": "Always", "command": ["/keda"]}
    container |= {"args": list(flags), "env": [{"name": "WATCH_NAMESPACE", "value": ""}]}
    spec = {"template": {"spec": {"serviceAccountName": "keda-operator", "containers": [container]}}}
    return {"kind": "Deployment", "metadata": {"name": name, "namespace": "keda"}, "spec": spec}


def rule(groups, resources, *verbs):
    return {"apiGroups": groups, "resources": resources, "verbs": list(verbs)}


#: As KEDA 2.21 tells them, shortened.
UPSTREAM = [
    {"kind": "Namespace", "metadata": {"name": "keda", "labels": {"app.kubernetes.io/name": "keda"}}},
    {"kind": "CustomResourceDefinition", "metadata": {"name": "scaledobjects.keda.sh"}},
    {
        "kind": "ClusterRole",
        "metadata": {"name": "keda-operator"},
        "rules": [
            rule([""], ["configmaps", "pods", "secrets"], "get", "list", "watch"),
            rule(["*"], ["*"], "get"),
            rule(["*"], ["*/scale"], "get", "patch", "update"),
            rule(["admissionregistration.k8s.io"], ["validatingwebhookconfigurations"], "get", "update"),
            rule(["keda.sh"], ["scaledobjects"], "get", "list", "watch"),
        ],
    },
    {
        "kind": "ClusterRole",
        "metadata": {"name": "keda-external-metrics-reader"},
        "rules": [rule(["external.metrics.k8s.io"], ["*"], "*")],
    },
    {"kind": "ClusterRole", "metadata": {"name": "keda:view"}, "rules": []},
    deployment("keda-metrics-apiserver", "--secure-port=6443"),
    deployment("keda-operator", "--leader-elect"),
    {"kind": "APIService", "metadata": {"name": "v1beta1.external.metrics.k8s.io"}},
]


class Cluster:
    """A kubectl that takes down what it was told, and answers by the words that a call begins with."""

    def __init__(self, **answers):
        self.told, self.given = [], []
        self.answers = {name.replace("_", " "): answer for name, answer in answers.items()}

    def kubectl(self, *words, given=None):
        line = " ".join(words)
        self.told.append(line)
        if given is not None:
            self.given.append(json.loads(given)["items"])
        if words[0] == "kustomize":
            return yaml.safe_dump_all(UPSTREAM)
        return next((answer for begin, answer in self.answers.items() if line.startswith(begin)), "")

    def verbs(self):
        return [" ".join(line.split()[:3]) for line in self.told]


def installation(cluster, built):
    return KedaInstallation(cluster.kubectl, "keda:1", built)


def made(kind, name):
    [found] = [one for one in installable(UPSTREAM, "keda:1") if (one["kind"], one["metadata"]["name"]) == (kind, name)]
    return found


# -- manifests --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "program"),
    [("keda-operator", "/usr/local/bin/keda"), ("keda-metrics-apiserver", "/usr/local/bin/keda-adapter")],
)
def test_both_programs_run_from_the_image_that_nodes_have(name, program):
    [container] = made("Deployment", name)["spec"]["template"]["spec"]["containers"]

    assert (container["image"], container["command"]) == ("keda:1", [program])
    assert container["imagePullPolicy"] == "IfNotPresent"
    assert {"name": "WATCH_NAMESPACE", "value": ""} in container["env"]


def test_the_operator_keeps_its_flags_and_looks_for_no_webhooks():
    [container] = made("Deployment", "keda-operator")["spec"]["template"]["spec"]["containers"]

    assert container["args"] == ["--leader-elect", "--enable-webhook-patching=false"]


def test_everything_is_marked_as_ours_and_keeps_its_labels():
    for one in installable(UPSTREAM, "keda:1"):
        assert MARKED.items() <= one["metadata"]["labels"].items()
    assert made("Namespace", "keda")["metadata"]["labels"]["app.kubernetes.io/name"] == "keda"


def test_the_operator_may_scale_deployments_and_read_no_secrets():
    assert made("ClusterRole", "keda-operator")["rules"] == [
        rule([""], ["configmaps", "pods"], "get", "list", "watch"),
        rule(["apps"], ["deployments"], "get"),
        rule(["apps"], ["deployments/scale"], "get", "patch", "update"),
        rule(["keda.sh"], ["scaledobjects"], "get", "list", "watch"),
    ]


def test_the_autoscaler_may_only_read_metrics():
    assert made("ClusterRole", "keda-external-metrics-reader")["rules"] == [
        rule(["external.metrics.k8s.io"], ["*"], "get", "list")
    ]


def test_roles_for_people_are_left_out():
    assert "keda:view" not in {one["metadata"]["name"] for one in installable(UPSTREAM, "keda:1")}


# -- installing -------------------------------------------------------------------------------------------------


def test_what_is_not_built_is_refused_before_the_cluster_is_asked_anything():
    cluster = Cluster()

    with pytest.raises(ClusterFailed, match="run `foresail cluster build --with keda`"):
        installation(cluster, None).check()

    assert cluster.told == []


def test_a_keda_of_somebody_else_is_left_alone(tmp_path):
    theirs = json.dumps({"metadata": {"name": "scaledobjects.keda.sh", "labels": {"a": "b"}}})
    cluster = Cluster(get_customresourcedefinition=theirs)

    with pytest.raises(ClusterFailed, match=r"customresourcedefinition/scaledobjects\.keda\.sh of somebody else"):
        installation(cluster, tmp_path).check()


def test_one_of_ours_that_a_killed_run_left_is_no_hindrance(tmp_path):
    cluster = Cluster(get=json.dumps({"metadata": {"labels": MARKED}}))

    installation(cluster, tmp_path).check()


def test_the_adapter_comes_when_the_operator_has_made_certificates(tmp_path):
    cluster = Cluster()
    keda = installation(cluster, tmp_path)

    keda.begin()
    keda.finish()

    assert cluster.verbs() == [
        f"kustomize {tmp_path}/config/minimal",
        "apply --server-side --force-conflicts",
        "-n keda rollout",
        f"kustomize {tmp_path}/config/minimal",
        "apply --server-side --force-conflicts",
        "-n keda rollout",
        "wait apiservice/v1beta1.external.metrics.k8s.io --for=condition=Available",
    ]
    first, second = cluster.given
    assert not any(is_adapter(one) for one in first) and len(first) == 6
    assert [one["metadata"]["name"] for one in second] == ["keda-metrics-apiserver"]


def test_it_scales_when_the_autoscalers_have_its_metrics(tmp_path):
    cluster = Cluster()

    installation(cluster, tmp_path).until_it_scales("shop")

    assert [line.rpartition(" --timeout")[0] for line in cluster.told] == [
        "-n shop wait scaledobject --all --for=condition=Ready",
        "-n shop wait hpa --all --for=condition=ScalingActive",
    ]


# -- taking it away ---------------------------------------------------------------------------------------------


def test_where_nothing_of_ours_is_nothing_is_deleted(tmp_path):
    cluster = Cluster()

    installation(cluster, None).remove()

    [line] = cluster.told
    assert line.startswith("get ") and "-l app.kubernetes.io/managed-by=foresail-experiments" in line


def test_all_of_ours_goes_the_metrics_api_first_and_the_namespace_last():
    cluster = Cluster(get_apiservices="namespace/keda\n")

    installation(cluster, None).remove()

    deleted = [line.split()[1] for line in cluster.told if line.startswith("delete")]
    assert deleted == [
        "apiservices",
        "deployments",
        "customresourcedefinitions,clusterroles,clusterrolebindings",
        "rolebindings",
        "namespaces",
    ]
    marked = "-l app.kubernetes.io/managed-by=foresail-experiments"
    assert all(marked in line for line in cluster.told if line.startswith("delete"))


def test_scaled_objects_are_let_go_without_the_operator():
    objects = {"items": [{"metadata": {"namespace": "shop", "name": "shop-cart"}}]}
    cluster = Cluster(
        get_apiservices="namespace/keda\n",
        get_customresourcedefinition="scaledobjects.keda.sh",
        get_scaledobjects=json.dumps(objects),
    )

    installation(cluster, None).remove()

    after = cluster.told[1 + [line.startswith("delete deployments") for line in cluster.told].index(True) :]
    [patch] = [line for line in after if " patch " in line]
    assert patch == '-n shop patch scaledobjects.keda.sh shop-cart --type=merge -p {"metadata": {"finalizers": null}}'
    assert any(line.startswith("delete customresourcedefinitions") for line in after[after.index(patch) :])


def test_half_an_installation_without_its_kinds_goes_too():
    cluster = Cluster(get_apiservices="namespace/keda\n")

    installation(cluster, None).remove()

    assert not any("patch" in line for line in cluster.told)
    assert cluster.told[-1].startswith("delete namespaces")
