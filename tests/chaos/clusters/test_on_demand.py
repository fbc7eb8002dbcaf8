"""Programs that are compiled only when asked for: what, from what, and what happens while they are not there."""

import json
import os
from pathlib import Path

import pytest
from typer.testing import CliRunner

from chaos.clusters.building import compile_command
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.images.recipes import EXTRA_RECIPES, build_image
from chaos.clusters.on_demand import (
    KEDA,
    PINS_ON_DEMAND,
    SETS,
    build_set,
    folder_of_programs,
    ready_set,
    set_folder,
)
from chaos.clusters.programs import PINS, PROGRAMS, module_version, programs_folder
from foresail.cli import app

#: Stands for Go: `build` writes its last word to the file after -o, `list` tells where the module lies.
GO = """#!/bin/sh
echo "$* GOWORK=$GOWORK" >>"$TOLD"
[ "$1" = list ] && exec echo "$MODULE"
while [ "$1" != -o ]; do shift; done
echo "program" >"$2"
"""


@pytest.fixture
def folders(tmp_path: Path) -> ClusterFolders:
    return ClusterFolders(tmp_path / "cache")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """One with a stand-in for Go, and a module that only has manifests."""
    go = tmp_path / "bin" / "go"
    go.parent.mkdir()
    go.write_text(GO)
    go.chmod(0o755)
    manifests = tmp_path / "module" / "config" / "crd"
    manifests.mkdir(parents=True)
    (manifests / "kind.yaml").write_text("kind: CustomResourceDefinition\n")
    (manifests / "kind.yaml").chmod(0o444)
    return {
        "PATH": f"{go.parent}:{os.environ['PATH']}",
        "TOLD": str(tmp_path / "told"),
        "MODULE": str(tmp_path / "module"),
    }


def test_pins_repeat_what_kedas_own_module_replaces_and_excludes() -> None:
    go_mod = (PINS_ON_DEMAND / "keda" / "go.mod").read_text(encoding="utf-8")

    assert module_version(KEDA.module, go_mod).startswith("v2.21.")
    assert "replace github.com/nexus-rpc/nexus-proto-annotations v0.1.0 => " in go_mod
    assert "exclude github.com/go-chi/chi/v5 v5.2.3" in go_mod


def test_every_set_has_its_pins_which_name_no_other_machine() -> None:
    for which in SETS.values():
        for name in ("go.mod", "go.sum"):
            text = (PINS_ON_DEMAND / which.name / name).read_text(encoding="utf-8")
            assert "https://" not in text


def test_clusters_programs_are_not_built_again_for_a_set() -> None:
    assert PINS not in PINS_ON_DEMAND.parents and PINS_ON_DEMAND not in PINS.parents
    assert not {program.name for which in SETS.values() for program in which.programs} & {p.name for p in PROGRAMS}


def test_keda_is_told_its_version() -> None:
    command = compile_command(KEDA.programs[0], Path("/built"), "v2.21.0")

    assert "-X github.com/kedacore/keda/v2/version.Version=2.21.0" in command[command.index("-ldflags") + 1]
    assert command[-2:] == ("/built/keda", "github.com/kedacore/keda/v2/cmd/operator")


def test_a_set_is_compiled_once_by_its_own_pins(folders: ClusterFolders, environment: dict[str, str]) -> None:
    first = build_set(KEDA, folders, environment, lambda _: None)
    second = build_set(KEDA, folders, environment, lambda _: None)

    assert [built.name for built in first] == ["keda", "keda-adapter"]
    assert second == ()
    lines = Path(environment["TOLD"]).read_text().splitlines()
    assert len(lines) == 3 and all(line.endswith("GOWORK=off") for line in lines)
    assert ready_set(folders, KEDA) == set_folder(folders, KEDA)


def test_what_installs_it_is_kept_beside_it_and_can_be_deleted(
    folders: ClusterFolders, environment: dict[str, str]
) -> None:
    build_set(KEDA, folders, environment, lambda _: None)

    kept = set_folder(folders, KEDA) / "config" / "crd" / "kind.yaml"
    assert kept.read_text() == "kind: CustomResourceDefinition\n"
    assert os.stat(kept).st_mode & 0o200


def test_what_older_pins_made_goes(folders: ClusterFolders, environment: dict[str, str]) -> None:
    old = folders.on_demand / "keda-0123456789abcdef"
    old.mkdir(parents=True)

    build_set(KEDA, folders, environment, lambda _: None)

    assert [folder.name for folder in folders.on_demand.iterdir()] == [set_folder(folders, KEDA).name]


def test_half_a_set_is_none(folders: ClusterFolders, environment: dict[str, str]) -> None:
    build_set(KEDA, folders, environment, lambda _: None)
    (set_folder(folders, KEDA) / "keda-adapter").unlink()

    with pytest.raises(ClusterFailed, match="keda is not built: run `foresail cluster build --with keda`"):
        ready_set(folders, KEDA)


def test_images_take_programs_from_where_they_lie(folders: ClusterFolders, environment: dict[str, str]) -> None:
    build_set(KEDA, folders, environment, lambda _: None)

    assert folder_of_programs(("keda", "keda-adapter"), folders) == set_folder(folders, KEDA)
    assert folder_of_programs(("prometheus",), folders) == programs_folder(folders)
    assert folder_of_programs((), folders) == programs_folder(folders)


def test_kedas_image_holds_both_programs_and_runs_as_nobody_in_particular(
    folders: ClusterFolders, environment: dict[str, str], tmp_path: Path
) -> None:
    import tarfile

    build_set(KEDA, folders, environment, lambda _: None)
    archive = build_image(EXTRA_RECIPES["keda"], tmp_path, programs=set_folder(folders, KEDA))

    with tarfile.open(archive) as image:
        [layer] = [name for name in image.getnames() if name.endswith("layer.tar")]
        manifest = json.loads(image.extractfile("manifest.json").read())  # type: ignore[union-attr]
        config = json.loads(image.extractfile(manifest[0]["Config"]).read())["config"]  # type: ignore[union-attr]
        with tarfile.open(fileobj=image.extractfile(layer)) as contents:
            assert {"usr/local/bin/keda", "usr/local/bin/keda-adapter"} <= set(contents.getnames())
    assert config["User"] == "65532:65532"


def test_a_set_that_there_is_not_is_refused_before_anything_is_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    result = CliRunner().invoke(app, ["cluster", "build", "--with", "knative"])

    assert (result.exit_code, result.output) == (2, "foresail: --with knative: use keda\n")
    assert list(tmp_path.iterdir()) == []


def test_an_image_of_what_is_not_built_says_how_to_build_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    result = CliRunner().invoke(app, ["cluster", "image", "keda"])

    assert result.exit_code == 3
    assert "run `foresail cluster build --with keda`" in result.output
