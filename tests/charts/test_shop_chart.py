"""The demo shop's chart tells each process what it reads, and keeps the traffic label where it belongs."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from charts import ROOT, SHOP, Manifest, helm, manifests, named, needs_helm, of_kind, pod_templates, read, values_of
from demo_shop.settings import Role, Settings
from demo_shop.stores.patroni import FailoverSettings, server_parameters, shared_settings
from foresail.onboarding.onboard import onboarding
from foresail.onboarding.sources import from_manifests
from foresail.resources.spec import Spec

SIZES = ("shop", "shop-tiny", "shop-tiny-enforce", "shop-full", "shop-full-least")
SECRETS = Path("/etc/shop/secrets")


def container(profile: str, role: str) -> Manifest:
    return named(manifests(profile), "Deployment", f"it-{role}")["spec"]["template"]["spec"]["containers"][0]


def environment(profile: str, role: str, secrets: Path) -> dict[str, str]:
    """What a process would read, with its secrets in files of ours."""
    told = {}
    for variable in container(profile, role)["env"]:
        value = variable.get("value", "known-in-the-pod")
        if value.startswith(str(SECRETS)):
            secrets.joinpath(Path(value).name).write_text(f"{Path(value).name}-{'x' * 32}", encoding="utf-8")
            value = str(secrets / Path(value).name)
        told[variable["name"]] = value
    return told


@needs_helm
@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("profile", SIZES)
def test_every_role_starts_with_what_it_is_told(profile: str, role: Role, tmp_path: Path) -> None:
    settings = Settings.from_environment(environment(profile, role, tmp_path))

    ports = {port["name"]: port["containerPort"] for port in container(profile, role)["ports"]}
    assert settings.role is role
    assert (settings.port, settings.management_port) == (ports["http"], ports["management"])
    assert settings.host == "0.0.0.0"
    assert settings.control_token is not None
    assert settings.drain_s >= 5.0
    assert (settings.faults_token is not None) == values_of(profile)["shop"]["faults"]


@needs_helm
def test_only_the_gateway_can_sign_sessions(tmp_path: Path) -> None:
    signing = {role for role in Role if Settings.from_environment(environment("shop", role, tmp_path)).session_keys}

    assert signing == {Role.GATEWAY}


@needs_helm
@pytest.mark.parametrize("role", Role)
def test_a_role_is_told_of_the_stores_and_services_that_its_code_uses(role: Role) -> None:
    told = {variable["name"] for variable in container("shop", role)["env"]}
    code = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "demo_shop" / role.value).glob("*.py"))
    called = set(re.findall(r'frame\.upstream\("(\w+)"\)', code))
    called |= set(re.findall(r'reachable\("(\w+)"', code))

    assert ("SHOP_DATABASE_HOSTS" in told) == bool(re.search(r"frame\.(primary|replica|standby)\(", code))
    assert ("SHOP_REDIS_URL" in told) == ("frame.redis()" in code)
    assert {name.removeprefix("SHOP_UPSTREAM_").lower() for name in told if "UPSTREAM" in name} == called


@needs_helm
def test_addresses_are_those_of_services_that_stand(tmp_path: Path) -> None:
    rendered = manifests("shop")
    services = {m["metadata"]["name"]: m["spec"] for m in of_kind(rendered, "Service")}

    for role in Role:
        told = environment("shop", role, tmp_path)
        for name, value in told.items():
            if name.startswith(("SHOP_UPSTREAM_", "SHOP_REDIS_URL")):
                host, port = re.fullmatch(r"\w+://([^:/]+):(\d+)(/0)?", value).group(1, 2)  # type: ignore[union-attr]
                assert int(port) in [p["port"] for p in services[host]["ports"]], name
        for member in filter(None, told.get("SHOP_DATABASE_HOSTS", "").split(",")):
            pod, _, service = member.removesuffix(":5432").partition(".")
            stateful = named(rendered, "StatefulSet", pod.rpartition("-")[0])
            assert stateful["spec"]["serviceName"] == service and service in services


@needs_helm
@pytest.mark.parametrize("profile", SIZES)
def test_a_pod_can_leave_its_service_and_stay_its_replica_set_s(profile: str) -> None:
    rendered = manifests(profile)
    for role in Role:
        deployment = named(rendered, "Deployment", f"it-{role}")["spec"]
        service = named(rendered, "Service", f"it-{role}")["spec"]

        assert deployment["template"]["metadata"]["labels"]["foresail.dev/traffic"] == "on"
        assert "foresail.dev/traffic" not in deployment["selector"]["matchLabels"]
        assert service["selector"]["foresail.dev/traffic"] == "on"


@needs_helm
@pytest.mark.parametrize("profile", SIZES)
def test_governing_and_metrics_services_do_not_ask_for_the_traffic_label(profile: str) -> None:
    for service in of_kind(manifests(profile), "Service"):
        if service["metadata"]["name"].removeprefix("it-") not in set(Role):
            assert "foresail.dev/traffic" not in service["spec"]["selector"], service["metadata"]["name"]


@needs_helm
@pytest.mark.parametrize("profile", SIZES)
def test_a_leaving_pod_has_time_for_its_last_answers(profile: str) -> None:
    for role in Role:
        pod = named(manifests(profile), "Deployment", f"it-{role}")["spec"]["template"]["spec"]
        sleep_s = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
        drain_s = next(float(v["value"]) for v in pod["containers"][0]["env"] if v["name"] == "SHOP_DRAIN_S")

        # After the drain the process gives the last answers at most 15 s.
        assert sleep_s + drain_s + 15 < pod["terminationGracePeriodSeconds"]


@needs_helm
def test_probes_are_the_contracts() -> None:
    for role in Role:
        probes = container("shop", role)
        for probe, path in (("startupProbe", "startup"), ("livenessProbe", "live"), ("readinessProbe", "ready")):
            assert probes[probe]["httpGet"] == {"path": f"/-/{path}", "port": "management"}
        assert (probes["livenessProbe"]["periodSeconds"], probes["livenessProbe"]["timeoutSeconds"]) == (10, 3)
        assert (probes["readinessProbe"]["periodSeconds"], probes["readinessProbe"]["failureThreshold"]) == (2, 2)


@needs_helm
@pytest.mark.parametrize("profile", SIZES)
def test_pools_of_all_processes_fit_into_postgres(profile: str) -> None:
    values = values_of(profile)
    using = [role for role in Role if any(v["name"] == "SHOP_DATABASE_HOSTS" for v in container(profile, role)["env"])]
    pods = sum(values["roles"][role]["maxReplicas"] for role in using)

    # Some are kept for the superuser, Patroni and replication.
    assert pods * values["shop"]["databasePoolSize"] + 20 <= values["postgres"]["maxConnections"]


# -- Patroni -------------------------------------------------------------------------------------------------------


def patroni(profile: str) -> Any:
    return yaml.safe_load(named(manifests(profile), "ConfigMap", "it-postgres-files")["data"]["patroni.yml"])


@needs_helm
def test_members_keep_their_book_in_config_maps() -> None:
    rendered = manifests("shop")
    settings = patroni("shop")
    role = named(rendered, "Role", "it-postgres")
    named_maps = next(
        rule["resourceNames"]
        for rule in role["rules"]
        if "patch" in rule["verbs"] and rule["resources"] == ["configmaps"]
    )

    assert settings["kubernetes"]["use_endpoints"] is False
    assert settings["bootstrap"]["dcs"]["failsafe_mode"] is True
    # Patroni names them after its scope.
    assert named_maps == [f"it-postgres-{part}" for part in ("config", "leader", "sync", "failover")]
    assert "it-postgres-files" not in named_maps


@needs_helm
@pytest.mark.parametrize(("profile", "strict"), [("shop", False), ("shop-tiny-enforce", True)])
def test_failover_is_as_it_was_measured_on_one_machine(profile: str, strict: bool) -> None:
    measured = shared_settings(FailoverSettings())
    told = patroni(profile)["bootstrap"]["dcs"]

    for key in (
        "ttl",
        "loop_wait",
        "retry_timeout",
        "primary_start_timeout",
        "maximum_lag_on_failover",
        "synchronous_mode",
    ):
        assert told[key] == measured[key], key
    assert told["synchronous_mode_strict"] is strict


@needs_helm
def test_servers_are_set_as_on_one_machine_but_for_their_size() -> None:
    told, measured = patroni("shop")["postgresql"]["parameters"], server_parameters()
    sized = {"max_wal_size", "shared_buffers", "wal_buffers"}

    assert {k: v for k, v in told.items() if k not in sized} == {k: v for k, v in measured.items() if k not in sized}


@needs_helm
def test_members_find_each_other_by_the_labels_that_they_carry() -> None:
    labels = named(manifests("shop"), "StatefulSet", "it-postgres")["spec"]["template"]["metadata"]["labels"]
    settings = patroni("shop")["kubernetes"]

    assert settings["labels"].items() <= labels.items()
    assert labels[settings["scope_label"]] == "it-postgres"


# -- the policy ----------------------------------------------------------------------------------------------------


@needs_helm
@pytest.mark.parametrize(("profile", "mode"), [("shop-tiny", "Observe"), ("shop-tiny-enforce", "Enforce")])
def test_the_policy_is_one_that_the_operator_understands(profile: str, mode: str) -> None:
    policy = of_kind(manifests(profile), "ResiliencePolicy")[0]

    spec = Spec.model_validate_json(json.dumps(policy["spec"]))

    assert spec.mode == mode
    deployments = {m["metadata"]["name"] for m in of_kind(manifests(profile), "Deployment", "StatefulSet")}
    assert {t.workload.name for t in spec.targets if t.workload is not None} <= deployments
    assert {d.scope for d in spec.databases} == {"it-postgres"}


@needs_helm
def test_the_policy_is_rendered_only_where_it_is_known() -> None:
    assert of_kind(manifests("shop"), "ResiliencePolicy") == []
    assert of_kind(manifests("shop-full-least"), "ResiliencePolicy") == []


@needs_helm
def test_the_operator_gets_the_two_tokens_that_the_policy_names() -> None:
    rendered = manifests("shop-tiny-enforce")
    secret = named(rendered, "Secret", "it-operator")
    spec = of_kind(rendered, "ResiliencePolicy")[0]["spec"]

    assert secret["metadata"]["namespace"] == "foresail"
    assert set(secret["data"]) == {spec["drain"]["tokenFile"], spec["databases"][0]["credentialsFile"]}
    assert secret["data"]["control-token"] == named(rendered, "Secret", "it-secrets")["data"]["control-token"]


@needs_helm
def test_every_secret_that_is_mounted_is_made() -> None:
    rendered = manifests("shop-tiny-enforce")
    made = set(named(rendered, "Secret", "it-secrets")["data"])
    text = yaml.safe_dump_all(m for m in rendered if m["kind"] in ("Deployment", "StatefulSet", "Job"))

    assert set(re.findall(r"key: ([\w-]+)$", text, re.MULTILINE)) <= made


def test_the_stores_images_fit_what_the_chart_calls() -> None:
    recipe = (ROOT / "demo_shop" / "stores" / "Dockerfile").read_text(encoding="utf-8")

    assert "USER 10002:10002" in recipe
    assert "tini" in recipe and "patroni" in recipe and "redis-server" in recipe
    assert "USER 10001:10001" in (ROOT / "demo_shop" / "Dockerfile").read_text(encoding="utf-8")


def test_the_chart_has_every_role() -> None:
    assert set(read(SHOP / "values.yaml")["roles"]) == set(Role)


def test_the_chart_s_version_is_the_project_s() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

    for chart in ("foresail", "demo-shop"):
        assert read(ROOT / "charts" / chart / "Chart.yaml")["appVersion"] == project["version"]


@needs_helm
@pytest.mark.parametrize("profile", ["shop-tiny", "shop-tiny-enforce", "shop-full"])
def test_the_shop_needs_no_further_step_before_foresail_acts_on_it(profile: str) -> None:
    source = from_manifests([("rendered", yaml.safe_dump_all(manifests(profile)))], "here")

    found = onboarding(source.held, source.policies, now_s=0.0)

    assert found.workloads
    assert [report.workload for report in found.workloads if report.missing] == []
    assert found.problems == ()


@needs_helm
def test_redis_has_a_node_selector_of_its_own_beside_that_of_all_pods() -> None:
    done = helm(SHOP, "--set=nodeSelector.disk=fast", "--set=redis.nodeSelector.rack=seven")
    pods = dict(pod_templates([one for one in yaml.safe_load_all(done.stdout) if one]))
    selectors = {name: pod["spec"].get("nodeSelector") for name, pod in pods.items()}

    assert selectors.pop("StatefulSet/it-redis") == {"disk": "fast", "rack": "seven"}
    assert set(map(str, selectors.values())) == {"{'disk': 'fast'}"}
