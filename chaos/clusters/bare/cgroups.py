"""The cgroups of machines: made before one boots, gone after its processes."""

from __future__ import annotations

import os
from pathlib import Path

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import wait_until

#: What all clusters together weigh against single processes of the machine, which have 1,024 each: a group of the usual
#: weight would give all pods of all clusters as much as one other process gets.
_CPU_SHARES = 8 * 1024
_CPUSET_FILES = ("cpuset.cpus", "cpuset.mems")


def is_version_1(root: Path) -> bool:
    """Whether each controller has a hierarchy of its own below this folder."""
    return (root / "memory").is_dir() and not (root / "cgroup.controllers").exists()


def make_cgroup(root: Path, group: str) -> None:
    """The same group in every hierarchy of cgroup version 1. Raises `ClusterFailed` on a machine with version 2."""
    if not is_version_1(root):
        raise ClusterFailed(f"{root}: only cgroup version 1 is supported; use the provider kind on this machine")
    for hierarchy in (path for path in root.iterdir() if path.is_dir() and path.name != "unified"):
        (hierarchy / group).mkdir(parents=True, exist_ok=True)
        if hierarchy.name == "cpuset":
            _fill_cpuset(hierarchy, group)
        if "cpu" in hierarchy.name.split(","):
            top = hierarchy / Path(group).parts[0]
            (top / "cpu.shares").write_text(str(_CPU_SHARES), encoding="ascii")


def remove_cgroups(root: Path, group: str, limit_s: float = 60.0) -> None:
    """The group and all below it, in every hierarchy; the kernel needs a moment after the last process."""

    def all_gone() -> bool:
        left = [top for top in root.glob(f"*/{group}") if not _removed(top)]
        return not left

    wait_until(f"the cgroups {group} to go", all_gone, limit_s)


def remove_if_empty(root: Path, group: str) -> None:
    """Leaves it be where something else is still in it."""
    for top in root.glob(f"*/{group}"):
        try:
            top.rmdir()
        except OSError:
            continue


def _removed(top: Path) -> bool:
    gone = True
    for folder, _, _ in os.walk(top, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:
            gone = False
    return gone


def _fill_cpuset(hierarchy: Path, group: str) -> None:
    """A new cpuset is empty, and nothing can run in it: each level takes what the top has."""
    level = hierarchy
    for part in Path(group).parts:
        level = level / part
        for name in _CPUSET_FILES:
            (level / name).write_text((hierarchy / name).read_text(encoding="ascii"), encoding="ascii")
