"""A real bare cluster: up, hurt, healed, down, and nothing left. Runs where its programs are built, as root."""

import json
import os
import signal
import ssl
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from chaos.clusters.bare.abandoned import take_down_abandoned
from chaos.clusters.bare.cluster import BareCluster
from chaos.clusters.bare.host import Host
from chaos.clusters.bare.teardown import leftovers
from chaos.clusters.cluster import ClusterFailed, MachineState
from chaos.clusters.images.archive import ImageSettings, write_image, write_layer
from chaos.clusters.plan import ClusterPlan
from chaos.clusters.processes import run, wait_until
from chaos.clusters.providers import bare_cluster, folders_here, why_no_bare_cluster

#: Of this run alone: several may go on at the same time.
NAME = f"live-{os.getpid()}"
HALF = f"half-{os.getpid()}"
LIMIT_S = 180.0  # for what takes seconds, on a machine that has much else to do


WHY_NOT = why_no_bare_cluster(os.environ, with_optional=False)

pytestmark = [
    pytest.mark.xdist_group("cluster"),
    # In CI they fail, saying the same.
    pytest.mark.skipif(WHY_NOT is not None and os.environ.get("CI") != "true", reason=str(WHY_NOT)),
]


def host_state() -> dict[str, object]:
    """What a cluster might change on this machine, but for what other tests do at the same time."""
    watched = ("vm/overcommit_memory", "vm/panic_on_oom", "kernel/panic", "kernel/panic_on_oops")
    folders = ("/var/lib/kubelet", "/var/lib/cni", "/usr/libexec/kubernetes", "/etc/cni/net.d", "/opt/containerd")
    return {
        "settings": {name: Path("/proc/sys", name).read_text() for name in watched},
        "folders": {folder: Path(folder).exists() for folder in folders},
        "routes": [line for line in run("ip", "route").splitlines() if "198.18" in line],
        "links": sorted(path.name for path in Path("/sys/class/net").iterdir()),
        "cgroups": sorted(str(path) for path in Path("/sys/fs/cgroup").glob("*/foresail-clusters*/*")),
    }


@pytest.fixture(scope="module")
def before() -> dict[str, object] | None:
    """None while another cluster is up: what both change is put back by the last of them."""
    return None if Host(folders_here(os.environ).clusters).others() else host_state()


@pytest.fixture(scope="module")
def cluster(before: dict[str, object] | None) -> Iterator[BareCluster]:
    made = bare_cluster(ClusterPlan(name=NAME, memory_mib=512), folders_here(os.environ), lambda _: None)
    take_down_abandoned(made.folders, ("live", "half"))
    try:
        made.up()
        yield made
    finally:
        made.down()


def kubectl(cluster: BareCluster, *words: str) -> str:
    flag = f"--kubeconfig={cluster.kubeconfig}"
    return run(cluster.site.programs / "kubectl", flag, *words, limit_s=LIMIT_S + 10)


def labels(cluster: BareCluster) -> dict[str, str]:
    nodes = json.loads(kubectl(cluster, "get", "nodes", "-o", "json"))["items"]
    return {node["metadata"]["name"]: node["metadata"]["labels"]["topology.kubernetes.io/zone"] for node in nodes}


def not_ready(cluster: BareCluster, *nodes: str) -> None:
    wait_until(f"{nodes} to be given up", lambda: not set(nodes) & cluster.ready_nodes(), LIMIT_S)


def test_three_nodes_in_two_zones_are_ready(cluster: BareCluster) -> None:
    assert cluster.ready_nodes() == {"node-1", "node-2", "node-3"}
    assert labels(cluster) == {"node-1": "zone-a", "node-2": "zone-b", "node-3": "zone-a"}


def test_up_again_changes_nothing_and_another_plan_is_refused(cluster: BareCluster) -> None:
    init = cluster.status()
    cluster.up()
    assert cluster.status() == init

    other = bare_cluster(ClusterPlan(name=NAME, zones=3), cluster.folders, lambda _: None)
    with pytest.raises(ClusterFailed, match="is up, and not as asked for now: take it down first"):
        other.up()


def test_a_loaded_image_runs_on_all_nodes(cluster: BareCluster, tmp_path: Path) -> None:
    layer, archive = tmp_path / "layer", tmp_path / "hold.tar"
    write_layer(layer, {"/hold": cluster.site.programs / "pause"})
    write_image(archive, "local/hold:1", (layer,), ImageSettings(entrypoint=("/hold",), user="10001:10001"))

    cluster.load_image(archive)
    for place in cluster.places():
        pod = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": f"hold-{place.name}"},
            "spec": {
                "nodeName": place.name,
                "terminationGracePeriodSeconds": 1,
                "containers": [{"name": "hold", "image": "local/hold:1", "imagePullPolicy": "Never"}],
            },
        }
        (tmp_path / "pod.json").write_text(json.dumps(pod))
        kubectl(cluster, "apply", "-f", str(tmp_path / "pod.json"))
    kubectl(cluster, "wait", "pod", "--all", "--for=condition=Ready", f"--timeout={LIMIT_S:g}s")
    kubectl(cluster, "delete", "pod", "--all", "--wait=true", f"--timeout={LIMIT_S:g}s")


def test_a_node_without_power_is_given_up_and_comes_back(cluster: BareCluster) -> None:
    cluster.kill_node("node-3")
    cluster.kill_node("node-3")
    assert cluster.status()[3] == MachineState("node-3", "zone-a", powered=False, connected=True)
    not_ready(cluster, "node-3")

    cluster.start_node("node-3")
    cluster.start_node("node-3")
    cluster.wait_ready(LIMIT_S)


def test_a_cut_zone_is_given_up_while_its_nodes_live_on(cluster: BareCluster) -> None:
    cluster.cut_zone("zone-a")
    cut = {state.name: (state.powered, state.connected) for state in cluster.status()}
    assert cut["node-1"] == cut["node-3"] == (True, False)
    assert cut["node-2"] == (True, True)
    not_ready(cluster, "node-1", "node-3")
    assert "node-2" in cluster.ready_nodes()

    cluster.heal_zone("zone-a")
    cluster.wait_ready(LIMIT_S)


def test_a_cut_node_is_given_up_and_heals(cluster: BareCluster) -> None:
    cluster.cut_node("node-2")
    not_ready(cluster, "node-2")

    cluster.heal_node("node-2")
    cluster.wait_ready(LIMIT_S)


def test_addresses_of_services_work_inside_and_through_a_forward(cluster: BareCluster) -> None:
    trust = ssl.create_default_context(cafile=str(cluster.site.pki / "ca.crt"))

    with cluster.forward("198.19.0.1:443") as forwarding:

        def says_ok() -> bool:
            try:
                with urllib.request.urlopen(
                    f"https://127.0.0.1:{forwarding.port}/readyz", context=trust, timeout=10
                ) as answer:
                    return bool(answer.read() == b"ok")
            except OSError:  # kube-proxy makes the services' addresses a moment after the nodes are Ready
                return False

        wait_until("the API server at its service address", says_ok)
        pid = forwarding.pid
    wait_until("the forwarder to be gone", lambda: not Path(f"/proc/{pid}").exists())

    assert cluster.execute(["kubectl", "version", "--output=json"]) == 0
    assert cluster.execute(["false"]) == 1


def test_there_is_no_way_out(cluster: BareCluster) -> None:
    routes = cluster._hub.machine.in_network("ip", "route")

    assert "default" not in routes


def test_a_killed_up_leaves_nothing_that_down_does_not_find(cluster: BareCluster) -> None:
    """Another cluster's `up` is killed in the middle; the first one does not notice."""
    half = bare_cluster(ClusterPlan(name=HALF, memory_mib=512), cluster.folders, lambda _: None)
    code = "from foresail.cli import main; main()"
    command = [sys.executable, "-c", code, "cluster", "up", "--provider", "bare", "--name", HALF]
    upping = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until("its control plane", lambda: (half.site.state / "control-plane" / "services" / "etcd").exists())
    finally:
        os.kill(upping.pid, signal.SIGKILL)
        upping.wait()
        found = leftovers(half.site)
        half.down()

    assert found
    assert leftovers(half.site) == ()
    assert cluster.ready_nodes() == {"node-1", "node-2", "node-3"}


def test_down_leaves_nothing(cluster: BareCluster, before: dict[str, object] | None) -> None:
    cluster.down()
    cluster.down()

    assert cluster.status() == ()
    assert leftovers(cluster.site) == ()
    if before is not None and not Host(cluster.folders.clusters).others():
        assert host_state() == before
    with suppress(ClusterFailed):
        cluster.kill_node("node-1")
        pytest.fail("a cluster that is down has no nodes to kill")
    cluster.up()
