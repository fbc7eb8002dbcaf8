"""Whether a workload's sums are complete: pods that used to report and still serve should still report.

A scrape that fails takes a pod's requests out of the sum without a trace, and the rest would read as falling demand.
"""

from __future__ import annotations

from foresail.prometheus.answers import Frame
from foresail.prometheus.joining import Joiner
from foresail.prometheus.settings import Reading


class Coverage:
    """Remembers which living pods have ever reported requests."""

    def __init__(self, reading: Reading) -> None:
        self._least = reading.least_coverage
        self._reported: set[str] = set()

    def lacking(self, pods: Frame | None, joiner: Joiner) -> set[str]:
        """Workloads of whose reporting pods too few are in the answer; nobody while there is no answer."""
        if pods is None:
            return set()
        now = {pod for labels in pods.labels if (pod := joiner.pod(labels)) is not None}
        living = joiner.index.pods
        self._reported = {pod for pod in self._reported | now if pod in living}
        expected: dict[str, list[bool]] = {}
        for pod in self._reported:
            if living[pod].serves:
                expected.setdefault(living[pod].workload, []).append(pod in now)
        return {workload for workload, there in expected.items() if sum(there) < self._least * len(there)}
