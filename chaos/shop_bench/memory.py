"""Memory of a running shop, its stores and its launcher, from /proc."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB. `proportional` divides what processes share (PSS); `resident` counts it for each of them (RSS)."""

    proportional_mib: float
    resident_mib: float
    by_command_mib: dict[str, float]


def memory_below(pid: int) -> Memory:
    """Of the process and all that came from it; those that ended meanwhile do not count."""
    proportional, resident = 0.0, 0.0
    by_command: dict[str, float] = {}
    for one in [pid, *descendants(pid)]:
        try:
            sizes = _sizes_kib(Path(f"/proc/{one}/smaps_rollup").read_text(encoding="utf-8"))
            command = Path(f"/proc/{one}/comm").read_text(encoding="utf-8").strip()
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue
        proportional += sizes.get("Pss", 0.0) / 1024.0
        resident += sizes.get("Rss", 0.0) / 1024.0
        by_command[command] = by_command.get(command, 0.0) + sizes.get("Pss", 0.0) / 1024.0
    return Memory(proportional, resident, by_command)


def descendants(pid: int) -> list[int]:
    """Children, their children and so on."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            try:
                children = [int(word) for word in task.read_text(encoding="utf-8").split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
            found += children
            waiting += children
    return found


def _sizes_kib(rollup: str) -> dict[str, float]:
    sizes = {}
    for line in rollup.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            sizes[name] = float(words[0])
    return sizes
