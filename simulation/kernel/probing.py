"""What probes conclude: a pod is ready, is not, or must be restarted."""

from __future__ import annotations

import math

from simulation.kernel.compiled import inner
from simulation.kernel.tables import NOBODY, NOTICE, State

READINESS, LIVENESS = range(2)
READY, UNREADY, LIVENESS_FAILED = range(3)


@inner
def _notify(s: State, kind: int, pod: int) -> None:
    clock = s.clock[0]
    clock.notice_kind = kind
    clock.notice_pod = pod
    clock.stop = NOTICE


@inner
def judge(s: State, index: int, ok: int) -> None:
    """Takes a probe's result, and gives notice once enough of them in a row agree, as the kubelet does."""
    probe = s.probes[index]
    probe.awaited = 0
    probe.visit = NOBODY
    probe.deadline_s = math.inf
    pod, kind = index // 2, index % 2
    if ok:
        probe.failures = 0
        probe.successes += 1
        if kind == READINESS and not probe.passing and probe.successes >= probe.success_threshold:
            probe.passing = 1
            _notify(s, READY, pod)
        return
    probe.successes = 0
    probe.failures += 1
    if probe.failures < probe.failure_threshold:
        return
    if kind == LIVENESS:
        probe.failures = 0
        _notify(s, LIVENESS_FAILED, pod)
    elif probe.passing:
        probe.passing = 0
        _notify(s, UNREADY, pod)
