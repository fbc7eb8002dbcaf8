"""What both charts make of every profile: hardened pods, rights without wildcards, selectors and ports that meet."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from charts import PROFILES, Manifest, manifests, named, needs_helm, of_kind, pod_templates

pytestmark = [needs_helm, pytest.mark.parametrize("profile", PROFILES)]


def containers(template: Manifest) -> Iterator[Manifest]:
    yield from template["spec"]["containers"]
    yield from template["spec"].get("initContainers", [])


def test_every_pod_meets_the_restricted_standard(profile: str) -> None:
    for label, template in pod_templates(manifests(profile)):
        security = template["spec"]["securityContext"]
        assert security["runAsNonRoot"] is True, label
        assert security["runAsUser"] >= 1000, label
        assert security["seccompProfile"] == {"type": "RuntimeDefault"}, label
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(template["spec"]), label
        assert not [volume for volume in template["spec"].get("volumes", []) if "hostPath" in volume], label
        for container in containers(template):
            own = container["securityContext"]
            assert own["allowPrivilegeEscalation"] is False, label
            assert own["readOnlyRootFilesystem"] is True, label
            assert own["capabilities"]["drop"] == ["ALL"], label


def test_every_container_says_what_it_needs(profile: str) -> None:
    for label, template in pod_templates(manifests(profile)):
        for container in containers(template):
            resources = container["resources"]
            assert {"cpu", "memory"} <= set(resources["requests"]), label
            assert "memory" in resources["limits"], label


def test_only_pods_that_ask_the_api_get_a_token(profile: str) -> None:
    asks = {"postgres", "prometheus", "operator", "revert", "revert-all", "test"}
    for label, template in pod_templates(manifests(profile)):
        if template["metadata"]["labels"]["app.kubernetes.io/component"] not in asks:
            assert template["spec"]["automountServiceAccountToken"] is False, label


def test_every_mount_has_its_volume(profile: str) -> None:
    claims = {
        m["metadata"]["name"]: {c["metadata"]["name"] for c in m["spec"].get("volumeClaimTemplates", [])}
        for m in of_kind(manifests(profile), "StatefulSet")
    }
    for label, template in pod_templates(manifests(profile)):
        volumes = {volume["name"] for volume in template["spec"].get("volumes", [])}
        volumes |= claims.get(label.partition("/")[2], set()) if label.startswith("StatefulSet/") else set()
        for container in containers(template):
            mounted = {mount["name"] for mount in container.get("volumeMounts", [])}
            assert mounted == volumes, label


def test_no_right_has_a_wildcard_and_none_reads_secrets(profile: str) -> None:
    for role in of_kind(manifests(profile), "Role", "ClusterRole"):
        for rule in role["rules"]:
            said = [*rule["apiGroups"], *rule["resources"], *rule["verbs"]]
            assert "*" not in said, role["metadata"]["name"]
            assert "secrets" not in rule["resources"], role["metadata"]["name"]
            assert not {"escalate", "bind", "impersonate"} & set(rule["verbs"]), role["metadata"]["name"]


def test_every_binding_meets_a_role_and_an_account(profile: str) -> None:
    rendered = manifests(profile)
    accounts = {m["metadata"]["name"] for m in of_kind(rendered, "ServiceAccount")}
    roles = {
        (m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"])
        for m in of_kind(rendered, "Role", "ClusterRole")
    }
    for binding in of_kind(rendered, "RoleBinding", "ClusterRoleBinding"):
        meant = binding["roleRef"]
        assert (meant["kind"], binding["metadata"].get("namespace"), meant["name"]) in roles
        assert {subject["name"] for subject in binding["subjects"]} <= accounts


def test_every_controller_selects_the_pods_that_it_makes(profile: str) -> None:
    for manifest in of_kind(manifests(profile), "Deployment", "StatefulSet"):
        wanted = manifest["spec"]["selector"]["matchLabels"].items()
        assert wanted <= manifest["spec"]["template"]["metadata"]["labels"].items(), manifest["metadata"]["name"]


def test_every_service_finds_pods_and_ports_that_they_have(profile: str) -> None:
    rendered = manifests(profile)
    templates = [template for _, template in pod_templates(of_kind(rendered, "Deployment", "StatefulSet"))]
    for service in of_kind(rendered, "Service"):
        name, selector = service["metadata"]["name"], service["spec"]["selector"]
        chosen = [t for t in templates if selector.items() <= t["metadata"]["labels"].items()]
        assert chosen, name
        for port in service["spec"]["ports"]:
            for template in chosen:
                offered = {p["name"]: p["containerPort"] for c in containers(template) for p in c.get("ports", [])}
                assert port["targetPort"] in offered, name


def test_every_budget_and_autoscaler_meets_its_workload(profile: str) -> None:
    rendered = manifests(profile)
    labels = [
        template["metadata"]["labels"] for _, template in pod_templates(of_kind(rendered, "Deployment", "StatefulSet"))
    ]
    for budget in of_kind(rendered, "PodDisruptionBudget"):
        wanted = budget["spec"]["selector"]["matchLabels"].items()
        assert any(wanted <= own.items() for own in labels), budget["metadata"]["name"]
        assert budget["spec"]["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    for hpa in of_kind(rendered, "HorizontalPodAutoscaler"):
        target = named(rendered, "Deployment", hpa["spec"]["scaleTargetRef"]["name"])
        assert "replicas" not in target["spec"], "an upgrade would undo what the autoscaler chose"
        assert hpa["spec"]["minReplicas"] <= hpa["spec"]["maxReplicas"]


def test_no_two_objects_share_a_name(profile: str) -> None:
    keys = [(m["kind"], m["metadata"].get("namespace"), m["metadata"]["name"]) for m in manifests(profile)]

    assert len(keys) == len(set(keys))


def test_probes_name_ports_that_are_there(profile: str) -> None:
    for label, template in pod_templates(manifests(profile)):
        for container in containers(template):
            offered = {port["name"] for port in container.get("ports", [])}
            for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
                asked = container.get(probe, {})
                for way in ("httpGet", "tcpSocket"):
                    if way in asked:
                        assert asked[way]["port"] in offered, f"{label} {probe}"
