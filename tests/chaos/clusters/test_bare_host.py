"""What clusters change on the machine is put back by the last of them, and nothing else is touched."""

from pathlib import Path

import pytest

from chaos.clusters.bare import host as host_module
from chaos.clusters.bare.host import Host

INSTANCES = "fs/inotify/max_user_instances"


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    """On a machine of files, whose kernel allows 128 inotify instances as Debian's does."""
    monkeypatch.setattr(host_module, "run", lambda *_: "")
    monkeypatch.setattr(host_module, "NAMESPACES", tmp_path / "netns")
    settings = tmp_path / "sys"
    for name in host_module._CHANGED:
        (settings / name).parent.mkdir(parents=True, exist_ok=True)
        (settings / name).write_text("128\n")
    (tmp_path / "clusters").mkdir()
    return Host(tmp_path / "clusters", settings, (tmp_path / "kubelet",))


def test_several_clusters_find_inotify_instances_enough(host: Host) -> None:
    host.prepare()

    assert int((host.settings / INSTANCES).read_text()) >= 4096


def test_a_machine_that_allows_more_keeps_what_it_has(host: Host) -> None:
    (host.settings / INSTANCES).write_text("65536\n")

    host.prepare()

    assert int((host.settings / INSTANCES).read_text()) == 65536


def test_the_last_cluster_puts_everything_back(host: Host) -> None:
    host.prepare()
    (host.settings / "vm/panic_on_oom").write_text("0")

    host.restore()

    assert {(host.settings / name).read_text() for name in host_module._CHANGED} == {"128"}
    assert not host.mount_points[0].exists()


def test_while_another_cluster_is_up_everything_stays(host: Host) -> None:
    host.prepare()
    (host.clusters / "other").mkdir()

    host.restore()

    assert int((host.settings / INSTANCES).read_text()) >= 4096
