"""The parts of a machine of a bare cluster: scripts, cgroups, names, and what taking away looks for."""

import shutil
import subprocess
from pathlib import Path

import pytest

from chaos.clusters.bare.abandoned import abandoned
from chaos.clusters.bare.cgroups import make_cgroup, remove_cgroups, remove_if_empty
from chaos.clusters.bare.host import Host
from chaos.clusters.bare.image_store import clone_store, store_configuration, store_key
from chaos.clusters.bare.machine import Service, namespaced_ids
from chaos.clusters.bare.record import Record, read_record, stores_in_use
from chaos.clusters.bare.site import Site
from chaos.clusters.bare.teardown import machines_there, mounts_below
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.plan import PRODUCTION, ClusterPlan


def site(folder: Path, **plan) -> Site:
    return Site(ClusterPlan(**plan), folder / "clusters" / plan.get("name", "foresail"), folder / "programs")


def test_a_service_waits_for_its_condition_and_quotes_its_words() -> None:
    script = Service("app", ("app", "--name=two words"), wait="[ -e '/ready' ]").script(Path("/my programs"))

    assert script.splitlines() == [
        "#!/bin/bash",
        "export PATH='/my programs':/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "until [ -e '/ready' ]; do sleep 0.05; done",
        "exec app \\",
        "    '--name=two words'",
    ]


def test_the_script_of_a_machine_is_sound() -> None:
    script = Path(__file__).parents[3] / "chaos/clusters/bare/machine.sh"

    done = subprocess.run(["bash", "-n", str(script)], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stderr) == (0, "")


def test_an_init_is_known_by_its_number_in_its_own_namespace() -> None:
    assert namespaced_ids("Name:\tbash\nNSpid:\t4711\t1\nThreads:\t1\n")[1:] == (1,)
    assert namespaced_ids("NSpid:\t4720\t17\t1\n")[1:] == (17, 1)  # a pod in its machine's network
    assert namespaced_ids("Name:\tbash\n") == ()


def test_machines_are_found_by_the_names_of_their_namespaces() -> None:
    there = (
        "foresail.shop.node-2",
        "foresail.shop.control-plane",
        "foresail.shop-2.node-1",
        "docker0",
        "foresail.sh.x",
    )

    assert machines_there(there, "shop") == ("control-plane", "node-2")
    assert machines_there(there, "none") == ()


def test_mounts_at_and_below_a_folder_are_found_and_its_neighbours_are_not() -> None:
    mounts = "tmpfs /c/shop tmpfs rw 0 0\noverlay /c/shop/node-1/x overlay rw 0 0\next4 /c/shop-2 ext4 rw 0 0\n\n"

    assert mounts_below(mounts, Path("/c/shop")) == ("/c/shop", "/c/shop/node-1/x")


def hierarchies(root: Path) -> Path:
    for name in ("cpu", "cpuset", "memory", "unified"):
        (root / name).mkdir(parents=True)
    (root / "cpuset" / "cpuset.cpus").write_text("0-1")
    (root / "cpuset" / "cpuset.mems").write_text("0")
    return root


def test_a_group_is_made_in_every_hierarchy_and_its_cpuset_is_filled(tmp_path: Path) -> None:
    root = hierarchies(tmp_path)

    make_cgroup(root, "foresail-clusters/shop/node-1")

    assert (root / "memory/foresail-clusters/shop/node-1").is_dir()
    assert (root / "cpuset/foresail-clusters/cpuset.cpus").read_text() == "0-1"
    assert (root / "cpuset/foresail-clusters/shop/node-1/cpuset.mems").read_text() == "0"
    assert not (root / "unified/foresail-clusters").exists()


def test_pods_weigh_more_than_one_process_of_the_machine(tmp_path: Path) -> None:
    root = hierarchies(tmp_path)

    make_cgroup(root, "foresail-clusters/shop/node-1")

    assert int((root / "cpu/foresail-clusters/cpu.shares").read_text()) > 4 * 1024
    assert not (root / "cpu/foresail-clusters/shop/cpu.shares").exists()


def test_version_two_of_cgroups_is_refused_with_a_way_out(tmp_path: Path) -> None:
    (tmp_path / "cgroup.controllers").write_text("cpu memory")

    with pytest.raises(ClusterFailed, match="only cgroup version 1 is supported; use the provider kind"):
        make_cgroup(tmp_path, "group")


def test_a_group_goes_with_all_below_it_and_its_parent_only_when_empty(tmp_path: Path) -> None:
    for path in ("memory/top/shop/node-1/pods/x", "pids/top/shop", "pids/top/other"):
        (tmp_path / path).mkdir(parents=True)

    remove_cgroups(tmp_path, "top/shop")
    remove_if_empty(tmp_path, "top")

    assert not (tmp_path / "memory/top").exists()
    assert (tmp_path / "pids/top/other").is_dir()


def test_a_group_in_use_is_reported(tmp_path: Path) -> None:
    (tmp_path / "memory/top/shop").mkdir(parents=True)
    (tmp_path / "memory/top/shop/busy").touch()

    with pytest.raises(ClusterFailed, match="the cgroups top/shop to go: not within 0 s"):
        remove_cgroups(tmp_path, "top/shop", limit_s=0)


def test_a_cluster_remembers_its_plan(tmp_path: Path) -> None:
    plan = ClusterPlan(zones=3, timers=PRODUCTION, cpus=0.5, images=(Path("/a.tar"),))
    state = tmp_path / "shop"
    state.mkdir()

    Record(plan, Path("/programs"), "abc", complete=True).write(state)

    assert read_record(state) == Record(plan, Path("/programs"), "abc", complete=True)
    assert stores_in_use(tmp_path) == ("abc",)


def test_no_cluster_has_no_record_and_a_broken_one_is_named(tmp_path: Path) -> None:
    assert read_record(tmp_path) is None

    (tmp_path / "cluster.json").write_text('{"plan": {"timers": "short", "images": [], "colour": 1}}')
    with pytest.raises(ClusterFailed, match=r"cluster\.json: not as this version writes it .*take the cluster down"):
        read_record(tmp_path)

    (tmp_path / "cluster.json").write_text("{")
    with pytest.raises(ClusterFailed, match=r"cluster\.json: cannot be read"):
        read_record(tmp_path)


def test_a_store_is_known_by_the_files_it_holds(tmp_path: Path) -> None:
    archive = tmp_path / "a.tar"
    archive.write_text("one")
    before = store_key([archive])

    assert store_key([archive]) == before
    archive.write_text("another")
    assert store_key([archive]) != before


def test_nodes_share_the_content_of_a_store_and_keep_books_of_their_own(tmp_path: Path) -> None:
    store = tmp_path / "store"
    blobs, layers = "io.containerd.content.v1.content/blobs/sha256", "io.containerd.snapshotter.v1.overlayfs/snapshots"
    books = ("io.containerd.metadata.v1.bolt/meta.db", "io.containerd.snapshotter.v1.overlayfs/metadata.db")
    (store / blobs).mkdir(parents=True)
    (store / layers / "1").mkdir(parents=True)
    (store / blobs / "abc").write_text("blob")
    for book in books:
        (store / book).parent.mkdir(parents=True, exist_ok=True)
        (store / book).write_text("book")

    clone_store(store, tmp_path / "node")

    assert (tmp_path / "node" / blobs / "abc").resolve() == store / blobs / "abc"
    assert (tmp_path / "node" / layers / "1").is_symlink()
    assert not (tmp_path / "node" / books[0]).is_symlink()
    assert (tmp_path / "node" / books[1]).read_text() == "book"


def test_an_importing_containerd_touches_nothing_outside_its_folder() -> None:
    assert store_configuration(Path("/x")).count('"/x/') == 4


def test_only_clusters_with_a_folder_count_as_up(tmp_path: Path) -> None:
    host = Host(tmp_path / "clusters")
    assert host.others() == ()

    with host.alone():
        (tmp_path / "clusters" / "shop").mkdir()

    assert host.others() == ("shop",)


@pytest.mark.skipif(shutil.which("flock") is None, reason="needs flock")
def test_two_clusters_never_come_up_at_the_same_moment(tmp_path: Path) -> None:
    host = Host(tmp_path)

    with host.alone():
        tried = subprocess.run(["flock", "--nonblock", str(tmp_path / ".lock"), "true"], check=False)
    assert tried.returncode == 1

    assert subprocess.run(["flock", "--nonblock", str(tmp_path / ".lock"), "true"], check=False).returncode == 0


def test_only_clusters_of_test_runs_that_are_over_are_abandoned(tmp_path: Path) -> None:
    (tmp_path / "12").mkdir()

    assert abandoned(("live-11", "live-12", "shop", "live-x", "other-11"), ("live", "half"), tmp_path) == ("live-11",)
