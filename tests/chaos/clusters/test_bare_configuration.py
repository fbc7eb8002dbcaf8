"""What the programs of a bare cluster are told: timers, zones, sizes and addresses."""

from pathlib import Path

import pytest
import yaml

from chaos.clusters.bare.addresses import node_address, pod_network
from chaos.clusters.bare.api import ready_node_names
from chaos.clusters.bare.certificates import kubeconfig_document
from chaos.clusters.bare.control_plane_services import audit_log, control_plane_services
from chaos.clusters.bare.node_services import kubelet_configuration, node_services, reserved
from chaos.clusters.bare.site import Site
from chaos.clusters.plan import PRODUCTION, ClusterPlan, NodePlace


def site(folder: Path, **plan) -> Site:
    return Site(ClusterPlan(**plan), folder / "state", folder / "programs")


def flags(folder: Path, service: str, **plan) -> tuple[str, ...]:
    services = control_plane_services(site(folder, **plan), folder)
    return next(found.command for found in services if found.name == service)


def test_production_timers_reach_the_controllers(tmp_path: Path) -> None:
    told = flags(tmp_path, "kube-controller-manager", timers=PRODUCTION)

    assert "--node-monitor-grace-period=50s" in told
    assert "--horizontal-pod-autoscaler-sync-period=15s" in told
    assert "--horizontal-pod-autoscaler-downscale-stabilization=300s" in told


def test_production_timers_reach_new_pods_tolerations(tmp_path: Path) -> None:
    told = flags(tmp_path, "kube-apiserver", timers=PRODUCTION)

    assert "--default-unreachable-toleration-seconds=300" in told
    assert "--default-not-ready-toleration-seconds=300" in told


def test_short_timers_give_up_on_a_node_after_ten_seconds(tmp_path: Path) -> None:
    assert "--node-monitor-grace-period=10s" in flags(tmp_path, "kube-controller-manager")
    assert "--default-unreachable-toleration-seconds=5" in flags(tmp_path, "kube-apiserver")


def test_prometheus_runs_only_when_asked_for(tmp_path: Path) -> None:
    def names(**plan) -> set[str]:
        return {service.name for service in control_plane_services(site(tmp_path, **plan), tmp_path)}

    assert "prometheus" not in names()
    assert "prometheus" in names(prometheus=True)


def test_files_of_the_control_plane_are_filled_in_and_read_as_yaml(tmp_path: Path) -> None:
    control_plane_services(site(tmp_path, prometheus=True), tmp_path)

    told = yaml.safe_load((tmp_path / "prometheus.yaml").read_text())
    jobs = {job["job_name"]: job for job in told["scrape_configs"]}
    assert jobs["cadvisor"]["tls_config"]["ca_file"] == f"{tmp_path}/state/pki/ca.crt"
    assert jobs["kubelet"]["kubernetes_sd_configs"] == jobs["cadvisor"]["kubernetes_sd_configs"]
    assert "@" not in (tmp_path / "Corefile").read_text()


def test_a_node_says_in_which_zone_it_stands(tmp_path: Path) -> None:
    services = node_services(site(tmp_path), NodePlace("node-2", "zone-b"), tmp_path, "198.18.0.12", "198.18.130.0/24")

    kubelet = next(service for service in services if service.name == "kubelet")
    assert "--node-labels=topology.kubernetes.io/zone=zone-b,topology.kubernetes.io/region=test" in kubelet.command
    assert "@" not in (tmp_path / "containerd.toml").read_text()


def test_kubelets_have_cgroups_and_folders_of_their_own(tmp_path: Path) -> None:
    told = kubelet_configuration(site(tmp_path), "node-1", Path("/machines/node-1"), "198.18.0.11", {})

    assert told["cgroupRoot"] == "/foresail-clusters/foresail/node-1"
    assert told["volumePluginDir"] == "/machines/node-1/volume-plugins"
    assert told["nodeStatusUpdateFrequency"] == "4s"


@pytest.mark.parametrize(
    ("plan", "held_back"),
    [
        ({"memory_mib": 2048}, {"cpu": "0m", "memory": "5852Mi"}),
        ({"memory_mib": 2048, "cpus": 0.5}, {"cpu": "1500m", "memory": "5852Mi"}),
        ({"memory_mib": 16384, "cpus": 8.0}, {"cpu": "0m", "memory": "0Mi"}),
    ],
)
def test_a_node_offers_what_the_plan_says(tmp_path: Path, plan: dict, held_back: dict[str, str]) -> None:
    """Of a machine with 8000 MiB and 2 processors; 100 MiB are kept free for evictions."""
    assert reserved(site(tmp_path, **plan), 8000, 2000) == held_back


def test_addresses_follow_the_node_number() -> None:
    assert (node_address(3), pod_network(3)) == ("198.18.0.13", "198.18.131.0/24")


def test_a_kubeconfig_carries_its_certificates() -> None:
    told = kubeconfig_document("shop", "admin", "https://127.0.0.1:1", authority=b"a", certificate=b"b", key=b"c")

    assert told["current-context"] == "shop"
    assert told["users"] == [{"name": "admin", "user": {"client-certificate-data": "Yg==", "client-key-data": "Yw=="}}]


def test_a_node_of_unknown_condition_is_not_ready() -> None:
    def node(name: str, *conditions: dict[str, str]) -> dict:
        return {"metadata": {"name": name}, "status": {"conditions": list(conditions)} if conditions else {}}

    listed = [
        node("node-1", {"type": "MemoryPressure", "status": "False"}, {"type": "Ready", "status": "True"}),
        node("node-2", {"type": "Ready", "status": "Unknown"}),
        node("node-3"),
    ]

    assert ready_node_names({"items": listed}) == {"node-1"}


def test_requests_of_workloads_are_written_down_and_those_of_the_cluster_itself_are_not(tmp_path: Path) -> None:
    log = next(flag for flag in flags(tmp_path, "kube-apiserver") if flag.startswith("--audit-log-path="))

    assert log == f"--audit-log-path={audit_log(tmp_path)}"
    rules = yaml.safe_load((tmp_path / "audit.yaml").read_text())["rules"]
    assert [rule["level"] for rule in rules] == ["None", "Metadata", "None"]
