"""Which fault an outage is put down to, when several run at once."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from simulation.result import FaultTruth, RunResult, ServiceSeconds
from simulation.scoring.detection import GRACE_S
from simulation.scoring.downtime import WINDOW_S, Spell
from simulation.topology import Topology

#: Faults of the control plane only make other trouble worse: an outage is theirs when nothing else runs.
CONTROL_PLANE = frozenset({"metrics_outage", "metrics_delay", "api_outage", "controller_crash"})

FAILING_RATIO = 0.01  # of a service's own answers
SLOWER = 2.0  # times the service's p99 before the fault
BEFORE_S = 120  # how long before the fault that is measured
ONSET_S = 20  # how far into the outage trouble may show


def blamed(spell: Spell, result: RunResult) -> FaultTruth | None:
    """The fault that an outage is put down to; None: it came by itself.

    Candidates ran, or ended less than the grace ago, when it began. One that hit the service where the trouble came
    from goes before one whose service only suffered, and that before one whose services were well; then those that
    still ran; then the last to start. A fault of the control plane is blamed only when no other ran.
    """
    candidates = [f for f in result.faults if f.start_s <= spell.start_s < f.end_s + GRACE_S]
    return max(
        candidates,
        key=lambda f: (f.kind not in CONTROL_PLANE, evidence(f, spell, result), spell.start_s < f.end_s, f.start_s),
        default=None,
    )


def evidence(fault: FaultTruth, spell: Spell, result: RunResult) -> int:
    """What speaks for the fault when the outage began: 2 a service that it hit was in trouble and none that it calls
    was, 1 it was in trouble as others were, 0 nothing. A fault that names no service gets the benefit of the doubt."""
    services = result.services
    if not set(services.services) & set(fault.targets):
        return 2
    onset = slice(max(spell.start_s - WINDOW_S + 1, 0), spell.start_s + ONSET_S)
    troubled = {
        name
        for row, name in enumerate(services.services)
        if _failing(services, row, onset) or _slower(services.p99_ms[row], fault, onset)
    }
    calls = _calls(result.scenario.topology)
    hit = troubled & set(fault.targets)
    return 2 if any(not calls.get(name, set()) & troubled for name in hit) else 1 if hit else 0


def _calls(topology: Topology) -> dict[str, set[str]]:
    """The other services that each service calls."""
    calls: dict[str, set[str]] = {}
    for operation in topology.operations:
        caller = operation.name.partition(".")[0]
        called = {call.to.partition(".")[0] for call in operation.calls}
        calls.setdefault(caller, set()).update(called - {caller})
    return calls


def _failing(services: ServiceSeconds, row: int, onset: slice) -> bool:
    failed, ok = np.nansum(services.failed_rps[row, onset]), np.nansum(services.ok_rps[row, onset])
    return bool(failed > FAILING_RATIO * (failed + ok))


def _slower(p99_ms: Floats, fault: FaultTruth, onset: slice) -> bool:
    start = int(fault.start_s)
    before = p99_ms[max(start - BEFORE_S, 0) : start] if start >= WINDOW_S else p99_ms[: onset.start]
    before, now = before[np.isfinite(before)], p99_ms[onset]
    now = now[np.isfinite(now)]
    return bool(before.size and now.size and np.median(now) > SLOWER * np.median(before))
