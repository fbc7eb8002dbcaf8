"""Start-up and shutdown of pods, from how long replicas take to follow what is desired."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chaos.calibration.draft import Draft
from chaos.calibration.fit import Fit, Measured
from chaos.calibration.intervals import median
from chaos.calibration.observed import Observed
from chaos.calibration.waits import Waits, waits
from simulation.topology import Service

LEAST_PODS = 8
LEAST_FOR_SPREAD = 30
#: More waits than this without an end, and those with one are the short ones.
MOST_UNENDED_RATIO = 0.25
#: Both counts are read once a second, each at a moment of its own.
_READING_VARIANCE_S2 = 2.0 / 12.0
_IQR_OF_NORMAL = 1.349


def wait_fits(draft: Draft, runs: Sequence[Observed], rng: np.random.Generator) -> Iterator[Fit]:
    for service in draft.topology.services:
        if service.hpa is None:
            continue
        up, down = waits(service.name, runs, "up"), waits(service.name, runs, "down")
        yield from _startup(draft, service, up, median(up.groups, LEAST_PODS, rng))
        yield _pre_stop(draft, service, down, median(down.groups, LEAST_PODS, rng))


def _startup(draft: Draft, service: Service, found: Waits, lead: Measured) -> Iterator[Fit]:
    """All of the lead time that the simulator does not spend on pulls and probes is the start itself. Which pod was the
    first on its node is not known, so both pulls are made alike and lead times are what they were."""
    startup, left = service.startup, _why_not(found, lead)
    beside_s = startup.cached_pull_s + service.readiness.initial_delay_s + service.readiness.period_s / 2.0
    name = f"services.{service.name}"
    how = "workloads.csv: from desired to ready"
    yield Fit(f"{name}.lead_time", "s", beside_s + startup.time_s, lead, how, left, told=not left)
    if left:
        return
    time_s, pull_s = _shifted(lead, -beside_s), Measured(startup.cached_pull_s, None, None, lead.samples)
    yield Fit(f"{name}.startup.time_s", "s", startup.time_s, time_s, "lead time less pull and probes")
    yield Fit(
        f"{name}.startup.image_pull_s", "s", startup.image_pull_s, pull_s, "lead times contain pulls as they came"
    )
    spread = _spread(found, service, time_s)
    few = "" if spread.value is not None else f"{found.count} pods, at least {LEAST_FOR_SPREAD} are needed"
    yield Fit(f"{name}.startup.spread", "", startup.spread, spread, "middle half of the lead times", few)
    measured = {"time_s": time_s.value, "image_pull_s": pull_s.value, "spread": spread.value}
    draft.set_startup(service.name, **{field: round(one, 3) for field, one in measured.items() if one is not None})


def _pre_stop(draft: Draft, service: Service, found: Waits, gone: Measured) -> Fit:
    left = _why_not(found, gone)
    if not left and gone.value is not None and gone.value > service.termination_grace_s:
        left = "longer than termination_grace_s: raise that first"
    if not left and gone.value is not None:
        draft.set_service(service.name, pre_stop_s=round(gone.value, 2))
    how = "workloads.csv: from desired to gone"
    return Fit(f"services.{service.name}.pre_stop_s", "s", service.pre_stop_s, gone, how, left)


def _why_not(found: Waits, measured: Measured) -> str:
    if measured.value is None:
        return f"{found.count} pods of {len(found.groups)} changes, at least {LEAST_PODS} of 2 are needed"
    if found.unended > MOST_UNENDED_RATIO * (found.count + found.unended):
        return f"{found.unended} more pods had not come to an end: those {found.count} that had are the quick ones"
    return "the interval is wider than half the value" if measured.wide else ""


def _shifted(measured: Measured, by_s: float) -> Measured:
    value, low, high = (
        None if one is None else max(0.0, one + by_s) for one in (measured.value, measured.low, measured.high)
    )
    return Measured(value, low, high, measured.samples)


def _spread(found: Waits, service: Service, time_s: Measured) -> Measured:
    """Sigma of the lognormal around the start-up time: what lead times vary by, less probes and readings."""
    if not time_s.value or found.count < LEAST_FOR_SPREAD:
        return Measured(None, None, None, found.count)
    values = np.concatenate([np.array(group) for group in found.groups])
    sigma_s = float(np.subtract(*np.quantile(values, [0.75, 0.25]))) / _IQR_OF_NORMAL
    own = max(0.0, sigma_s**2 - service.readiness.period_s**2 / 12.0 - _READING_VARIANCE_S2)
    return Measured(min(1.0, float(np.sqrt(np.log1p(own / time_s.value**2)))), None, None, found.count)
