"""Which workloads have series of their own in /metrics: a bounded number, the same ones as long as they exist."""

from __future__ import annotations

from collections.abc import Iterable


class Roster:
    """First come, first served: a workload that has its series keeps them until it is gone."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._members: dict[str, None] = {}
        self.left_out = 0

    def update(self, workloads: Iterable[str]) -> frozenset[str]:
        """The workloads to export now; `left_out` counts the others."""
        present = dict.fromkeys(workloads)
        self._members = {name: None for name in self._members if name in present}
        for name in present:
            if len(self._members) >= self._most:
                break
            self._members[name] = None
        self.left_out = len(present) - len(self._members)
        return frozenset(self._members)
