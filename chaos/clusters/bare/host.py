"""The little that clusters change on the machine they run on, and how the last of them puts it back."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from chaos.clusters.bare.addresses import ALL
from chaos.clusters.bare.site import NAMESPACES
from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.processes import run

#: Kubelets set these for the whole kernel.
_CHANGED_BY_KUBELETS = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
#: Kernel's limits that a few clusters exhaust: each takes some thirty inotify instances of the user's 128, and the
#: kubelets of the next would never be Ready.
_AT_LEAST: Mapping[str, int] = {"fs/inotify/max_user_instances": 8192}
_CHANGED = (*_CHANGED_BY_KUBELETS, *_AT_LEAST)

#: Every machine of a cluster mounts its own over these, and for that they must be there.
_MOUNT_POINTS = (Path("/var/lib/kubelet"), Path("/var/lib/cni"))


@dataclass(frozen=True, slots=True)
class Before:
    """How the machine was before the first cluster came up."""

    settings: Mapping[str, str]  # files below /proc/sys and what was in them
    without_folders: tuple[str, ...]
    without_namespaces: bool  # whether the folder of named network namespaces was no mount of its own


@dataclass(frozen=True, slots=True)
class Host:
    """This machine; `clusters` is the folder with one folder for each cluster that is up."""

    clusters: Path
    settings: Path = Path("/proc/sys")
    mount_points: tuple[Path, ...] = _MOUNT_POINTS

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While one cluster comes up or goes down, no other does."""
        self.clusters.mkdir(parents=True, exist_ok=True)
        with (self.clusters / ".lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def prepare(self) -> None:
        """Remembers, once, how everything was, and shuts the clusters' addresses to clients on this machine.

        A client that uses such an address by mistake fails at once, instead of knocking at some other network.
        """
        if not self._memory.exists():
            self._remember()
        for folder in self.mount_points:
            folder.mkdir(exist_ok=True)
        for name, least in _AT_LEAST.items():
            if int((self.settings / name).read_text(encoding="ascii")) < least:
                (self.settings / name).write_text(str(least), encoding="ascii")
        run("ip", "route", "replace", "unreachable", ALL)

    def restore(self) -> None:
        """Everything as it was, unless another cluster is still up."""
        if self.others():
            return
        with suppress(ClusterFailed):  # there is none when no cluster was up
            run("ip", "route", "delete", "unreachable", ALL)
        if not self._memory.exists():
            return
        before = Before(**json.loads(self._memory.read_text(encoding="ascii")))
        for name, value in before.settings.items():
            (self.settings / name).write_text(value, encoding="ascii")
        for folder in before.without_folders:
            _remove_if_empty(Path(folder))
        if before.without_namespaces and NAMESPACES.exists() and not any(NAMESPACES.iterdir()):
            run("umount", "-n", NAMESPACES)
            _remove_if_empty(NAMESPACES)
        self._memory.unlink()

    def others(self) -> tuple[str, ...]:
        """Clusters with a folder, up or half up."""
        if not self.clusters.exists():
            return ()
        return tuple(sorted(path.name for path in self.clusters.iterdir() if path.is_dir()))

    @property
    def _memory(self) -> Path:
        return self.clusters / ".host-before.json"

    def _remember(self) -> None:
        before = Before(
            {name: (self.settings / name).read_text(encoding="ascii").strip() for name in _CHANGED},
            tuple(str(folder) for folder in self.mount_points if not folder.exists()),
            not NAMESPACES.is_mount(),
        )
        unfinished = self._memory.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(before)), encoding="ascii")
        unfinished.replace(self._memory)


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):  # somebody uses it, or it has gone
        folder.rmdir()
