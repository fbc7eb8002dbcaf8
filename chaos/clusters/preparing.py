"""Everything that tests on a real cluster need, made ahead of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

from chaos.clusters.building import build_programs
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.images.current import current_image
from chaos.clusters.images.recipes import RECIPES, Recipe
from chaos.clusters.providers import why_not_bare


def prepare(folders: ClusterFolders, environment: Mapping[str, str], say: Callable[[str], None]) -> None:
    """Programs and images, each made only where it is missing or what it is made of has changed.

    Raises `ClusterFailed`, before anything is made, on a machine where no bare cluster can run.
    """
    reason = why_not_bare()
    if reason is not None:
        raise ClusterFailed(f"no cluster of processes on this machine: {reason}")
    build_programs(folders, environment, say)
    for recipe in RECIPES.values():
        say(_image_made(recipe, folders))


def _image_made(recipe: Recipe, folders: ClusterFolders) -> str:
    begun_s = time.monotonic()
    archive = current_image(recipe, folders.images)
    return f"{archive.name:<24} {time.monotonic() - begun_s:6.0f} s {archive.stat().st_size / 1e6:5.0f} MB"
