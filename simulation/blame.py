"""Which fault an outage is put down to, when several run at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from forecasting.forecast import Floats
from simulation.detection import GRACE_S
from simulation.downtime import WINDOW_S, Spell
from simulation.result import FaultTruth, ServiceSeconds

#: Faults of the control plane only make other trouble worse: an outage is theirs when nothing else runs.
CONTROL_PLANE = frozenset({"metrics_outage", "metrics_delay", "api_outage", "controller_crash"})

FAILING_RATIO = 0.01  # of a service's own answers
SLOWER = 2.0  # times the service's p99 before the fault
BEFORE_S = 120  # how long before the fault that is measured
ONSET_S = 20  # how far into the outage trouble may show


def blamed(spell: Spell, faults: Sequence[FaultTruth], services: ServiceSeconds) -> FaultTruth | None:
    """The fault that an outage is put down to; None: it came by itself.

    Of the faults that ran, or ended less than the grace ago, when it began: one whose own services were in trouble
    before one whose were not, then the last to start. A fault of the control plane only when no other ran.
    """
    running = [f for f in faults if f.start_s <= spell.start_s < f.end_s + GRACE_S]
    return max(
        running,
        key=lambda f: (f.kind not in CONTROL_PLANE, in_trouble(f, spell, services), f.start_s),
        default=None,
    )


def in_trouble(fault: FaultTruth, spell: Spell, services: ServiceSeconds) -> bool:
    """Whether a service that the fault hit failed, or was twice as slow as before the fault, when the outage began.

    True as well when the fault names no service: then nothing speaks against it.
    """
    rows = [i for i, service in enumerate(services.services) if service in fault.targets]
    if not rows:
        return True
    onset = slice(max(spell.start_s - WINDOW_S + 1, 0), spell.start_s + ONSET_S)
    return any(_failing(services, row, onset) or _slower(services.p99_ms[row], fault, onset) for row in rows)


def _failing(services: ServiceSeconds, row: int, onset: slice) -> bool:
    failed, ok = np.nansum(services.failed_rps[row, onset]), np.nansum(services.ok_rps[row, onset])
    return bool(failed > FAILING_RATIO * (failed + ok))


def _slower(p99_ms: Floats, fault: FaultTruth, onset: slice) -> bool:
    start = int(fault.start_s)
    before = p99_ms[max(start - BEFORE_S, 0) : start] if start >= WINDOW_S else p99_ms[: onset.start]
    before, now = before[np.isfinite(before)], p99_ms[onset]
    now = now[np.isfinite(now)]
    return bool(before.size and now.size and np.median(now) > SLOWER * np.median(before))
