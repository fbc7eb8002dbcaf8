"""Processes of a pod's containers, as this machine numbers them, found by the pod's cgroup."""

from __future__ import annotations

import os
import re
import signal
from contextlib import suppress
from pathlib import Path

_SANDBOX = "/pause"


def container_processes(uid: str, processes: Path = Path("/proc")) -> tuple[int, ...]:
    """Of the pod with this uid, without the process that holds its namespaces. Empty where none runs."""
    found = []
    for folder in processes.iterdir():
        if folder.name.isdigit():
            with suppress(OSError):
                inside = belongs_to((folder / "cgroup").read_text(encoding="utf-8"), uid)
                if inside and (folder / "cmdline").read_bytes().split(b"\0")[0].decode(errors="replace") != _SANDBOX:
                    found.append(int(folder.name))
    return tuple(sorted(found))


def belongs_to(cgroups: str, uid: str) -> bool:
    """Whether a process with these lines in its `cgroup` file is one of the pod's."""
    return re.search(rf"/pod{re.escape(uid)}/", cgroups) is not None


def kill_containers(uid: str) -> int:
    """How many processes were ended, at once and unasked; the kubelet starts their containers again."""
    pids = container_processes(uid)
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(pids)
