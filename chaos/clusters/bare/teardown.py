"""Taking a cluster away in whatever state it is: nothing but its name is needed."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from chaos.clusters.bare.cgroups import remove_cgroups, remove_if_empty
from chaos.clusters.bare.machine import Machine
from chaos.clusters.bare.site import CGROUP_PARENT, CGROUPS, NAMESPACES, Site, namespace_prefix
from chaos.clusters.cluster import ClusterFailed


def remove_everything(site: Site) -> None:
    """Processes, mounts, namespaces, cgroups and files of the cluster. Raises `ClusterFailed` rather than leave some.

    Found by names, not by what the cluster remembers: a killed `up` may have remembered nothing.
    """
    machines = [Machine(site, name) for name in machines_there(namespace_names(), site.name)]
    if machines:
        with ThreadPoolExecutor(len(machines)) as workers:
            list(workers.map(Machine.remove, machines))
    remove_cgroups(CGROUPS, f"{CGROUP_PARENT}/{site.name}")
    remove_if_empty(CGROUPS, CGROUP_PARENT)
    still = mounts_below(Path("/proc/mounts").read_text(encoding="utf-8"), site.state)
    if still:
        raise ClusterFailed(f"still mounted: {', '.join(still)}; the files of the cluster stay where they are")
    if site.state.exists():
        shutil.rmtree(site.state)


def leftovers(site: Site) -> tuple[str, ...]:
    """What a cluster that is down should not have left, in words; empty when there is nothing."""
    found = [f"network namespace {name}" for name in machines_there(namespace_names(), site.name)]
    found += [f"cgroup {path}" for path in CGROUPS.glob(f"*/{CGROUP_PARENT}/{site.name}")]
    found += [f"mount {place}" for place in mounts_below(Path("/proc/mounts").read_text(encoding="utf-8"), site.state)]
    found += [f"process {pid}" for pid in _processes_naming(site.state)]
    if site.state.exists():
        found.append(f"folder {site.state}")
    return tuple(found)


def namespace_names() -> tuple[str, ...]:
    return tuple(path.name for path in NAMESPACES.iterdir()) if NAMESPACES.exists() else ()


def machines_there(namespaces: Iterable[str], cluster: str) -> tuple[str, ...]:
    """Names of the cluster's machines, by the names of all network namespaces."""
    prefix = namespace_prefix(cluster)
    return tuple(sorted(name.removeprefix(prefix) for name in namespaces if name.startswith(prefix)))


def mounts_below(mounts: str, folder: Path) -> tuple[str, ...]:
    """Of the lines of /proc/mounts, the places at or below the folder."""
    places = [line.split()[1] for line in mounts.splitlines() if len(line.split()) > 1]
    return tuple(place for place in places if Path(place) == folder or folder in Path(place).parents)


def _processes_naming(folder: Path) -> list[int]:
    naming = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                if f"{folder}/".encode() in (entry / "cmdline").read_bytes():
                    naming.append(int(entry.name))
    return naming
