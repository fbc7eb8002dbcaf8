"""Where programs, images and running clusters are kept between runs: the user's cache folder."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


def cache_folder(environment: Mapping[str, str]) -> Path:
    """`foresail` in XDG_CACHE_HOME, or in ~/.cache where that is unset or, against its standard, relative."""
    given = Path(environment.get("XDG_CACHE_HOME", ""))
    home = Path(environment.get("HOME", "") or Path.home())
    return (given if given.is_absolute() else home / ".cache") / "foresail"


@dataclass(frozen=True, slots=True)
class ClusterFolders:
    """What lies where below the cache folder."""

    cache: Path

    @property
    def programs(self) -> Path:
        """One folder for each content of the pins, so that two checkouts never take each other's programs."""
        return self.cache / "cluster-programs"

    @property
    def on_demand(self) -> Path:
        """One folder for each set of programs that is compiled only when asked for, and each content of its pins."""
        return self.cache / "programs-on-demand"

    @property
    def stores(self) -> Path:
        """Disks with images on them, one for each set of images."""
        return self.cache / "cluster-stores"

    @property
    def images(self) -> Path:
        return self.cache / "images"

    @property
    def clusters(self) -> Path:
        return self.cache / "clusters"

    def state(self, cluster: str) -> Path:
        return self.clusters / cluster

    def kind_state(self, cluster: str) -> Path:
        return self.cache / "kind-clusters" / cluster
