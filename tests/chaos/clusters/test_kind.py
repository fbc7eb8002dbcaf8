"""The provider kind, by the configuration and the commands it gives; no engine is asked."""

import json
from pathlib import Path

import pytest
import yaml

from chaos.clusters.cluster import ClusterFailed, MachineState
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.kind.cluster import KindCluster, docker_answers
from chaos.clusters.kind.configuration import container_name, kind_configuration
from chaos.clusters.plan import PRODUCTION, ClusterPlan

NODES = {"shop-control-plane": "2", "shop-worker": "3", "shop-worker2": "4", "shop-worker3": "5"}


class Engine:
    """Answers as Docker and kind do, and remembers what it was told."""

    def __init__(self, *, up: bool = True) -> None:
        self.told: list[tuple[str, ...]] = []
        self.environments: list[dict[str, str] | None] = []
        self.api_server = 11
        self.states = dict.fromkeys(NODES, "running") if up else {}
        self.joined = set(self.states)
        self.networks = {"foresail-shop"} if up else set()

    def __call__(self, *words: object, limit_s: float = 0.0, environment: dict[str, str] | None = None) -> str:
        command = tuple(str(word) for word in words)
        self.told.append(command)
        self.environments.append(environment)
        match command:
            case ("docker", "ps", *_):
                return "".join(f"{name} {state}\n" for name, state in self.states.items())
            case ("docker", "network", "inspect", _):
                return json.dumps(
                    [{"Containers": {n: {"Name": n, "IPv4Address": f"172.31.248.{NODES[n]}/24"} for n in self.joined}}]
                )
            case ("docker", "network", "ls", *_):
                return "\n".join(self.networks)
            case ("kind", "create", *_):
                self.states = dict.fromkeys(NODES, "running")
                self.joined = set(NODES)
            case ("docker", "network", "disconnect", _, name):
                self.joined.discard(name)
            case ("docker", "kill", name):
                self.states[name] = "exited"
            case ("docker", "exec", _, "pgrep", *_):
                return f"{self.api_server}\n"
            case ("docker", "exec", _, "kill", "-KILL", pid) if pid == str(self.api_server):
                self.api_server += 1
            case ("docker", "exec", _, "kubectl", *_):
                return "ok"
        return ""

    def changes(self) -> list[tuple[str, ...]]:
        asking = {("docker", "ps"), ("docker", "network", "inspect"), ("docker", "network", "ls")}
        return [command for command in self.told if command[:2] not in asking and command[:3] not in asking]


def cluster(folder: Path, engine: Engine, **plan) -> KindCluster:
    return KindCluster(ClusterPlan(name="shop", **plan), ClusterFolders(folder), engine, lambda _: None)


def test_workers_stand_in_zones() -> None:
    told = yaml.safe_load(kind_configuration(ClusterPlan(name="shop", nodes=3, zones=2)))

    assert [node["role"] for node in told["nodes"]] == ["control-plane", "worker", "worker", "worker"]
    assert [node["labels"]["topology.kubernetes.io/zone"] for node in told["nodes"][1:]] == [
        "zone-a",
        "zone-b",
        "zone-a",
    ]


def test_timers_reach_either_version_of_kubeadm() -> None:
    told = yaml.safe_load(kind_configuration(ClusterPlan(timers=PRODUCTION)))
    old, new, kubelet = (yaml.safe_load(patch) for patch in told["kubeadmConfigPatches"])

    assert old["controllerManager"]["extraArgs"]["node-monitor-grace-period"] == "50s"
    assert {"name": "node-monitor-grace-period", "value": "50s"} in new["controllerManager"]["extraArgs"]
    assert {"name": "default-unreachable-toleration-seconds", "value": "300"} in new["apiServer"]["extraArgs"]
    assert kubelet["nodeLeaseDurationSeconds"] == 40


def test_nodes_have_the_names_that_kind_gives() -> None:
    plan = ClusterPlan(name="shop")

    assert [container_name(plan, place.name) for place in plan.places()] == [
        "shop-worker",
        "shop-worker2",
        "shop-worker3",
    ]


def test_up_makes_a_network_of_its_own_and_then_the_cluster(tmp_path: Path) -> None:
    engine = Engine(up=False)

    cluster(tmp_path, engine).up()

    network, create = engine.changes()
    assert network == ("docker", "network", "create", "--driver=bridge", "--subnet=172.31.248.0/24", "foresail-shop")
    assert create[:4] == ("kind", "create", "cluster", "--name=shop")
    environment = engine.environments[engine.told.index(create)]
    assert environment is not None
    assert environment["KIND_EXPERIMENTAL_DOCKER_NETWORK"] == "foresail-shop"


def test_up_of_a_cluster_that_is_up_changes_nothing(tmp_path: Path) -> None:
    engine = Engine()
    shop = cluster(tmp_path, engine)
    shop.kubeconfig.parent.mkdir(parents=True)
    shop.kubeconfig.touch()

    shop.up()

    assert engine.changes() == []


def test_down_takes_containers_network_and_files(tmp_path: Path) -> None:
    engine = Engine()
    shop = cluster(tmp_path, engine)
    shop.kubeconfig.parent.mkdir(parents=True)
    shop.kubeconfig.touch()

    shop.down()

    assert [command[:3] for command in engine.changes()] == [("kind", "delete", "cluster"), ("docker", "network", "rm")]
    assert not shop.kubeconfig.parent.exists()


def test_down_of_nothing_changes_nothing(tmp_path: Path) -> None:
    engine = Engine(up=False)

    cluster(tmp_path, engine).down()

    assert engine.changes() == []


def test_a_cut_node_gets_its_own_address_again(tmp_path: Path) -> None:
    engine = Engine(up=False)
    shop = cluster(tmp_path, engine)
    shop.up()
    engine.told.clear()

    shop.cut_node("node-2")
    shop.cut_node("node-2")
    shop.heal_node("node-2")

    assert engine.changes() == [
        ("docker", "network", "disconnect", "foresail-shop", "shop-worker2"),
        ("docker", "network", "connect", "--ip=172.31.248.4", "foresail-shop", "shop-worker2"),
    ]


def test_a_zone_dies_with_all_of_its_nodes_and_a_dead_node_stays_dead(tmp_path: Path) -> None:
    engine = Engine()
    shop = cluster(tmp_path, engine)

    shop.kill_zone("zone-a")
    shop.kill_node("node-1")

    assert engine.changes() == [("docker", "kill", "shop-worker"), ("docker", "kill", "shop-worker3")]


def test_the_cable_of_a_dead_node_is_unknown(tmp_path: Path) -> None:
    engine = Engine()
    shop = cluster(tmp_path, engine)
    shop.kill_node("node-1")
    shop.cut_node("node-2")

    assert shop.status()[1:3] == (
        MachineState("node-1", "zone-a", False, None),
        MachineState("node-2", "zone-b", True, False),
    )


def test_unknown_nodes_and_zones_are_named_with_those_that_are(tmp_path: Path) -> None:
    shop = cluster(tmp_path, Engine())

    with pytest.raises(ClusterFailed, match="no node is called 'node-9'; there are node-1, node-2, node-3"):
        shop.kill_node("node-9")
    with pytest.raises(ClusterFailed, match="no zone is called 'zone-x'; there are zone-a, zone-b"):
        shop.cut_zone("zone-x")


def test_without_kind_or_an_engine_docker_does_not_answer() -> None:
    def silent(*_: object, **__: object) -> str:
        raise ClusterFailed("docker is not installed")

    assert not docker_answers(silent)
    assert docker_answers(lambda *_, **__: "v1")


def test_the_api_server_is_killed_and_waited_for(tmp_path: Path) -> None:
    engine = Engine()

    cluster(tmp_path, engine).restart_api_server()

    assert ("docker", "exec", "shop-control-plane", "kill", "-KILL", "11") in engine.told
    assert engine.told[-1][:4] == ("docker", "exec", "shop-control-plane", "kubectl")


def test_a_program_of_the_control_plane_hangs_until_it_is_resumed(tmp_path: Path) -> None:
    engine = Engine()
    shop = cluster(tmp_path, engine)

    shop.hang_program("kube-apiserver")
    shop.resume_program("kube-apiserver")

    inside = ("docker", "exec", "shop-control-plane", "pkill")
    assert engine.told[-2:] == [(*inside, "-STOP", "-x", "kube-apiserver"), (*inside, "-CONT", "-x", "kube-apiserver")]
