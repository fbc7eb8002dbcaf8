"""Processor time of the machine under a cluster, and what its host took of it: beside that, nothing can be measured."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

_STOLEN = 7  # of user, nice, system, idle, iowait, irq, softirq, steal; guests' are in the first two already


@dataclass(frozen=True, slots=True)
class CpuTimes:
    """Of all processors since the machine's start, in ticks of the kernel's clock."""

    total: float
    stolen: float

    def stolen_since(self, before: CpuTimes) -> float:
        """The share of the time in between that the host gave to others; 0.0 where no time went by."""
        passed = self.total - before.total
        return (self.stolen - before.stolen) / passed if passed > 0.0 else 0.0


def cpu_times(path: Path = Path("/proc/stat")) -> CpuTimes | None:
    """None: this system does not tell."""
    try:
        first = path.read_text(encoding="ascii").split("\n", 1)[0].split()
        ticks = [float(word) for word in first[1 : _STOLEN + 2]]
    except (OSError, ValueError):
        return None
    return CpuTimes(sum(ticks), ticks[_STOLEN]) if first[:1] == ["cpu"] and len(ticks) > _STOLEN else None
