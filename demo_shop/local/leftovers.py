"""What a shop left behind on this machine: its processes, found by their marker, and PostgreSQL's shared memory."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path

MARKER = "SHOP_LOCAL_ID"
# These write their title over their environment, so their working folder has to tell whose they are.
_TITLED = ("postgres", "redis-server")


def processes_of(marker: str, data_dir: Path) -> list[int]:
    """Process ids of the shop with this marker, this process excluded.

    A process tree would not do: a postmaster detaches itself from the Patroni that started it.
    """
    needle = f"{MARKER}={marker}".encode()
    folder = f"{data_dir.resolve()}{os.sep}"
    return [
        pid for pid in _all_processes() if pid != os.getpid() and (_carries(pid, needle) or _is_titled_in(pid, folder))
    ]


def end_all(marker: str, data_dir: Path, gently_s: float, by_force_s: float = 10.0) -> list[int]:
    """Ends every process of the shop: politely, and after `gently_s` seconds by force. Returns those that not even
    that has ended within `by_force_s` seconds more."""
    # A Patroni would start a stopped server again, and a stopping one would wait for its peers.
    _signal(_patronis(processes_of(marker, data_dir)), signal.SIGKILL)
    deadline = time.monotonic() + gently_s
    told: set[int] = set()
    while left := processes_of(marker, data_dir):
        # SIGINT is PostgreSQL's fast shutdown, which frees its shared memory; a clean end for the others as well.
        new = [pid for pid in left if pid not in told]
        postmasters = [pid for pid in new if _name(pid) == "postgres" and _name(_parent(pid)) != "postgres"]
        _signal(postmasters, signal.SIGINT)
        _signal((pid for pid in new if _name(pid) != "postgres"), signal.SIGTERM)
        told.update(left)
        if time.monotonic() >= deadline + by_force_s:
            return left
        if time.monotonic() >= deadline:
            _signal(left, signal.SIGCONT)
            _signal(left, signal.SIGKILL)
        time.sleep(0.02)
    return []


def free_shared_memory(data_dir: Path) -> None:
    """Removes the segments that killed postmasters left; call it when none of them runs any more."""
    for lock in data_dir.glob("*/data/postmaster.pid"):
        lines = lock.read_text(encoding="utf-8").splitlines()
        # Line 7 of postmaster.pid: key and id of the System V segment that guards the data folder.
        words = lines[6].split() if len(lines) > 6 else []
        if len(words) == 2 and words[1].isdigit() and shutil.which("ipcrm"):
            subprocess.run(["ipcrm", "-m", words[1]], capture_output=True, check=False)


def remove_folder(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)


def _all_processes() -> list[int]:
    proc = Path("/proc")
    return [int(entry.name) for entry in proc.iterdir() if entry.name.isdigit()] if proc.is_dir() else []


def _carries(pid: int, needle: bytes) -> bool:
    try:
        return needle in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # gone, or not ours


def _is_titled_in(pid: int, folder: str) -> bool:
    try:
        return _name(pid) in _TITLED and f"{os.readlink(f'/proc/{pid}/cwd')}{os.sep}".startswith(folder)
    except OSError:
        return False


def _patronis(pids: Iterable[int]) -> list[int]:
    return [pid for pid in pids if b"patroni" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _parent(pid: int) -> int:
    try:
        # The name, in brackets, may hold spaces; the parent is the second field after it.
        return int(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError, IndexError):
        return 0


def _signal(pids: Iterable[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except (ProcessLookupError, PermissionError):
            continue
