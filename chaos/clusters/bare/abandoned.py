"""Clusters that a killed test run left up."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from chaos.clusters.bare.cluster import BareCluster
from chaos.clusters.bare.host import Host
from chaos.clusters.bare.site import Site
from chaos.clusters.folders import ClusterFolders
from chaos.clusters.plan import ClusterPlan
from chaos.clusters.programs import programs_folder


def take_down_abandoned(folders: ClusterFolders, kinds: Collection[str], processes: Path = Path("/proc")) -> None:
    """Takes down what is named KIND-PID, of these kinds, where no such process is alive."""
    for name in abandoned(Host(folders.clusters).others(), kinds, processes):
        site = Site(ClusterPlan(name=name), folders.state(name), programs_folder(folders))
        BareCluster(site, folders, lambda _: None).down()


def abandoned(names: Collection[str], kinds: Collection[str], processes: Path) -> tuple[str, ...]:
    parts = ((name, *name.rpartition("-")[::2]) for name in names)
    return tuple(
        name for name, kind, pid in parts if kind in kinds and pid.isdigit() and not (processes / pid).exists()
    )
