"""What tests on a real cluster need is made ahead of them, where a cluster can run at all."""

from pathlib import Path

import pytest

import chaos.clusters.preparing as preparing
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders


def test_nothing_is_compiled_for_a_cluster_that_cannot_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preparing, "why_not_bare", lambda: "needs root")
    monkeypatch.setattr(preparing, "build_programs", lambda *_: pytest.fail("it went on"))

    with pytest.raises(ClusterFailed, match="no cluster of processes on this machine: needs root"):
        preparing.prepare(ClusterFolders(tmp_path), {}, lambda _: None)


def test_programs_come_first_and_every_image_after_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []

    def image(recipe: preparing.Recipe, cache: Path) -> Path:
        made.append(recipe.name)
        (tmp_path / recipe.name).touch()
        return tmp_path / recipe.name

    monkeypatch.setattr(preparing, "why_not_bare", lambda: None)
    monkeypatch.setattr(preparing, "build_programs", lambda *_: made.append("programs"))
    monkeypatch.setattr(preparing, "current_image", image)

    preparing.prepare(ClusterFolders(tmp_path), {}, lambda _: None)

    assert made == ["programs", "foresail", "demo-shop", "demo-shop-stores"]
