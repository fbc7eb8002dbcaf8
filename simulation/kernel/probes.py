"""Probes as the kubelet sends them: small requests through the pod's own queue and CPU, on a fixed beat."""

from __future__ import annotations

import math

from simulation.kernel.compiled import inner
from simulation.kernel.probing import judge
from simulation.kernel.queues import new_visit
from simulation.kernel.serving import admit
from simulation.kernel.tables import BAD, DARK, NO_STOP, NOBODY, PROBE, PROBER, SERVING, State


@inner
def _send_probe(s: State, index: int, now_s: float) -> None:
    probe = s.probes[index]
    p = index // 2
    pod = s.pods[p]
    if pod.state == DARK:
        probe.awaited = 1
        probe.deadline_s = now_s + probe.timeout_s
        return
    w = new_visit(s) if pod.state == SERVING else NOBODY
    if w < 0:
        judge(s, index, BAD)
        return
    visit = s.visits[w]
    visit.kind = PROBE
    visit.parent = PROBER
    visit.pod = p
    visit.pod_generation = pod.generation
    visit.call = index
    visit.work_s = probe.cpu_s
    probe.visit = w
    probe.awaited = 1
    probe.deadline_s = now_s + probe.timeout_s
    admit(s, w, now_s)


@inner
def attend_to_probes(s: State, now_s: float) -> None:
    """Gives up on probes that are overdue and sends those that are due; stops early when there is a notice.

    A beat that comes while the last probe is still awaited is skipped.
    """
    clock = s.clock[0]
    next_s = math.inf
    for index in range(2 * clock.pods_high):
        probe = s.probes[index]
        if not probe.active:
            continue
        if probe.awaited and probe.deadline_s <= now_s:
            if probe.visit >= 0:
                s.visits[probe.visit].parent = NOBODY
            judge(s, index, BAD)
        elif probe.next_s <= now_s:
            probe.next_s += probe.period_s
            if not probe.awaited:
                _send_probe(s, index, now_s)
        if clock.stop != NO_STOP:
            next_s = now_s  # the rest are still to be seen
            break
        next_s = min(next_s, probe.next_s, probe.deadline_s)
    clock.next_probe_s = next_s
