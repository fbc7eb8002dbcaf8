"""Outages of what Foresail leans on: programs of the control plane that hang."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from e2e_stage import Stage


@contextmanager
def prometheus_hangs(stage: Stage) -> Iterator[None]:
    """It takes connections and answers none, as a server that is out of memory; it goes on when the block ends."""
    pids = _running(stage, "prometheus")
    assert pids, "the cluster runs no Prometheus"
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _running(stage: Stage, program: str) -> list[int]:
    """Processes of this program that belong to the test's cluster: it is started with files of its folder."""
    folder = str(stage.cluster.kubeconfig.parent).encode()
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_it(entry, program.encode(), folder)
    ]


def _is_it(entry: Path, program: bytes, folder: bytes) -> bool:
    try:
        words = (entry / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return words[0].rpartition(b"/")[2] == program and any(folder in word for word in words)
