"""The last decisions of this replica, for /decisions."""

from __future__ import annotations

import threading
from collections import deque
from typing import Any

from foresail.explained import explained, outline, refused_of
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Decision

#: A day of a busy cluster's news; about 2 KB each as JSON.
KEPT = 500


class Journal:
    """News: acts, and decisions that differ from the workload's last one. An `Observer`; read from other threads."""

    def __init__(self, most: int = KEPT) -> None:
        self._lock = threading.Lock()
        self._news: deque[tuple[Decision, frozenset[str]]] = deque(maxlen=most)
        self._last: dict[str, tuple[Decision, frozenset[str]]] = {}

    def ticked(self, report: TickReport) -> None:
        with self._lock:
            self._last = {name: entry for name, entry in self._last.items() if name in report.policies.workloads}
            for decision in report.decisions:
                entry = (decision, refused_of(report, decision))
                before = self._last.get(decision.workload)
                if decision.actions or before is None or outline(before[0]) != outline(decision):
                    self._news.append(entry)
                self._last[decision.workload] = entry

    def took_over(self, event: TakeOver) -> None:
        """Terms are no decisions."""

    def newest_first(self, workload: str | None = None, most: int = KEPT) -> list[dict[str, Any]]:
        """News as JSON objects; of one workload, its very last decision first, whether it is news or not."""
        with self._lock:
            entries = list(reversed(self._news))
            last = None if workload is None else self._last.get(workload)
        if workload is not None:
            entries = [entry for entry in entries if entry[0].workload == workload]
            if last is not None and (not entries or entries[0][0].id != last[0].id):
                entries.insert(0, last)
        return [explained(decision, refused) for decision, refused in entries[:most]]
