"""What is built, from what, and when it is built again."""

import os
from pathlib import Path

import pytest

from chaos.clusters.building import compile_command
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders, cache_folder
from chaos.clusters.programs import (
    PINS,
    PROGRAMS,
    missing_programs,
    module_version,
    pins_key,
    programs_folder,
    ready_programs,
)

GO_MOD = """module example

go 1.26.0

require k8s.io/kubernetes v1.36.3

require (
	github.com/prometheus/prometheus v0.314.0
	k8s.io/kubernetes-extra v0.1.0 // indirect
)
"""


def pins(folder: Path) -> Path:
    (folder / "pause").mkdir(parents=True)
    (folder / "pause" / "go.mod").write_text("module pause\n")
    (folder / "pause" / "main.go").write_text("package main\n")
    return folder


def program(name: str):
    return next(found for found in PROGRAMS if found.name == name)


def test_the_key_follows_the_content_of_the_pins(tmp_path: Path) -> None:
    folder = pins(tmp_path / "tools")
    before = pins_key(folder)

    (folder / "pause" / "README").write_text("nothing that is compiled")
    assert pins_key(folder) == before

    (folder / "pause" / "go.mod").write_text("module pause\n\ngo 1.26.0\n")
    assert pins_key(folder) != before


def test_the_key_is_the_same_wherever_the_pins_lie(tmp_path: Path) -> None:
    assert pins_key(pins(tmp_path / "here")) == pins_key(pins(tmp_path / "there"))


def test_every_program_has_its_module() -> None:
    for found in PROGRAMS:
        assert (PINS / found.folder / "go.mod").is_file(), found.name


def test_pins_name_no_proxy_and_no_other_machine() -> None:
    for file in PINS.rglob("go.*"):
        text = file.read_text(encoding="utf-8")
        assert "https://" not in text, file
        assert "PROXY" not in text, file


def test_versions_are_read_from_go_mod() -> None:
    assert module_version("k8s.io/kubernetes", GO_MOD) == "v1.36.3"
    assert module_version("github.com/prometheus/prometheus", GO_MOD) == "v0.314.0"
    with pytest.raises(ClusterFailed, match=r"does not require example\.org/x"):
        module_version("example.org/x", GO_MOD)


def test_kubernetes_is_told_its_version() -> None:
    command = compile_command(program("kubelet"), Path("/built"), "v1.36.3")

    flags = command[command.index("-ldflags") + 1]
    assert "k8s.io/component-base/version.gitVersion=v1.36.3" in flags
    assert "k8s.io/component-base/version.gitMinor=36" in flags
    assert command[-2:] == ("/built/kubelet", "k8s.io/kubernetes/cmd/kubelet")


def test_what_differs_from_machine_to_machine_stays_out_of_programs() -> None:
    command = compile_command(program("pause"), Path("/built"), "")

    assert "-trimpath" in command
    assert "-buildvcs=false" in command
    assert command[command.index("-ldflags") + 1] == "-s -w"


def test_prometheus_discovers_by_kubernetes_only() -> None:
    command = compile_command(program("prometheus"), Path("/built"), "v0.314.0")

    assert command[command.index("-tags") + 1] == "remove_all_sd,enable_kubernetes_sd,enable_dns_sd"
    assert "version.Version=0.314.0" in command[command.index("-ldflags") + 1]


def test_missing_programs_are_named_with_the_way_to_get_them(tmp_path: Path) -> None:
    folders = ClusterFolders(tmp_path)

    assert {"kubelet", "etcd", "prometheus"} <= set(missing_programs(folders, with_optional=True))
    assert "prometheus" not in missing_programs(folders, with_optional=False)
    with pytest.raises(ClusterFailed, match=r"missing: kube-apiserver, .*foresail cluster build"):
        ready_programs(folders, with_optional=False)


def test_a_program_that_is_there_is_not_missing(tmp_path: Path) -> None:
    folders = ClusterFolders(tmp_path)
    programs_folder(folders).mkdir(parents=True)
    (programs_folder(folders) / "kubelet").touch()

    assert "kubelet" not in missing_programs(folders, with_optional=True)


@pytest.mark.parametrize(
    ("environment", "folder"),
    [
        ({"XDG_CACHE_HOME": "/fast", "HOME": "/home/a"}, "/fast/foresail"),
        ({"XDG_CACHE_HOME": "", "HOME": "/home/a"}, "/home/a/.cache/foresail"),
        ({"XDG_CACHE_HOME": "relative", "HOME": "/home/a"}, "/home/a/.cache/foresail"),
        ({"HOME": "/home/a"}, "/home/a/.cache/foresail"),
    ],
)
def test_the_cache_is_where_its_standard_says(environment: dict[str, str], folder: str) -> None:
    assert cache_folder(environment) == Path(folder)


def test_a_killed_build_leaves_no_half_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The compiler is killed in the middle: the program's name must not be there."""
    import chaos.clusters.building as building

    fake = tmp_path / "go"
    fake.write_text('#!/bin/sh\nwhile [ "$1" != -o ]; do shift; done\necho half >"$2"\nkill -9 $$\n')
    fake.chmod(0o755)
    monkeypatch.setattr(building, "_install_packages", lambda say: None)
    folders = ClusterFolders(tmp_path / "cache")

    with pytest.raises(ClusterFailed, match="go build"):
        building.build_programs(folders, {"PATH": f"{tmp_path}:{os.environ['PATH']}"}, lambda _: None)

    assert "kube-apiserver" in missing_programs(folders, with_optional=False)
