"""CPU work of operations, from what services used for what they answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chaos.calibration.cpu_cost import LEAST_BINS, Cost, cores_of, cost
from chaos.calibration.draft import Draft
from chaos.calibration.expected import counted, implied
from chaos.calibration.fit import Fit, Measured
from chaos.calibration.observed import Observed
from simulation.topology import Service, Topology
from simulation.visits import visits_per_operation, visits_per_request

#: An idle use whose interval reaches no further than this share of the limit is known well enough.
SMALL_RATIO = 0.02
_MS_PER_S = 1000.0


def cost_fits(draft: Draft, runs: Sequence[Observed], rng: np.random.Generator) -> Iterator[Fit]:
    """By service: visits, work for each request of a client (used: its operations are scaled to it, in the proportions
    that they have), what an idle pod uses, and the capacity of a pod."""
    halves = [one for one in map(counted, runs) if one is not None]
    expected = implied(draft.topology)
    for service in draft.topology.services:
        found = cost(service, halves, expected, rng)
        name = f"services.{service.name}"
        if found.visits is not None:
            before = visits_per_request(draft.topology)[service.name]
            how = "services.csv, requests.csv; contained in the work"
            yield Fit(f"{name}.visits", "per client request", before, found.visits.scaled(before), how, told=True)
        yield _work(draft, service, found)
        yield _idle(draft, service, found)
        if service.kind == "deployment":
            yield _capacity(draft.topology.service(service.name), found)


def _work(draft: Draft, service: Service, found: Cost) -> Fit:
    """CPU of a service for one request of a client."""
    before_ms = _work_ms(draft.topology, service)
    how = "pods.csv: CPU against " + ("requests answered, times visits" if found.visits else "requests that came")
    left = _why_not(found, "" if before_ms > 0.0 else "no class comes to it")
    if not left and found.factor.value is not None:
        draft.scale_work(service.name, found.factor.value)
    measured, unit = found.factor.scaled(before_ms), "ms of CPU per client request"
    return Fit(f"operations.{service.name}.*.cpu_ms", unit, before_ms, measured, how, left)


def _why_not(found: Cost, otherwise: str) -> str:
    """Why work and idle use cannot be told."""
    slope, most = found.line.slope, found.with_idle.value
    bound = ""
    if most is not None:
        bound = (
            f"; idle use included it is {_MS_PER_S * most:.3g} ms a request"
            if found.visits
            else f"; idle use included it is {most:.3g} times what is implied"
        )
    if slope.samples < LEAST_BINS:
        return f"{slope.samples} half minutes of pods, at least {LEAST_BINS} are needed"
    if slope.value is None:
        return f"the load never changed: cost and idle use cannot be told apart{bound}"
    if slope.wide or slope.value <= 0.0:
        return f"the interval is wider than half the value: the load changed too little{bound}"
    return "its visits are unknown" if found.factor.value is None else otherwise


def _idle(draft: Draft, service: Service, found: Cost) -> Fit:
    """What a pod uses without requests, its probes taken off: the simulator counts them by themselves."""
    per_pod = found.line.idle if found.pods is None else found.line.idle.scaled(1.0 / found.pods)
    measured = _less(per_pod, _probes_cores(service))
    left = ""
    if measured.value is None or measured.low is None or measured.high is None:
        left = _why_not(found, "")
    elif measured.high - measured.low > 2.0 * max(abs(measured.value) / 2.0, SMALL_RATIO * service.cpu_limit):
        left = "the interval is wide: the load changed too little"
    elif measured.value >= service.cpu_limit:
        left = "at least cpu_limit: nothing would be left for requests"
    else:
        draft.set_service(service.name, cpu_idle=round(measured.value, 5))
    how = "pods.csv: CPU against requests, what is left without any"
    return Fit(f"services.{service.name}.cpu_idle", "cores", service.cpu_idle, measured, how, left)


def _probes_cores(service: Service) -> float:
    probes = [probe for probe in (service.readiness, service.liveness) if probe is not None]
    return sum(probe.cpu_ms / _MS_PER_S / probe.period_s for probe in probes)


def _less(measured: Measured, by: float) -> Measured:
    value, low, high = (
        None if one is None else max(0.0, one - by) for one in (measured.value, measured.low, measured.high)
    )
    return Measured(value, low, high, measured.samples)


def _capacity(service: Service, found: Cost) -> Fit:
    """Requests of its own that a pod answers with all the CPU that it can use, idle use taken off."""
    slope, cores = found.line.slope, cores_of(service) - service.cpu_idle
    measured = Measured(None, None, None, slope.samples)
    if slope.value is not None and slope.low is not None and slope.high is not None and slope.low > 0.0:
        measured = Measured(cores / slope.value, cores / slope.high, cores / slope.low, slope.samples)
    how = "CPU limit less idle, ÷ work"
    return Fit(f"services.{service.name}.capacity", "requests/s per pod", None, measured, how, told=True)


def _work_ms(topology: Topology, service: Service) -> float:
    visits = visits_per_operation(topology)
    own = [one for one in topology.operations if one.name.partition(".")[0] == service.name]
    return sum(visits[one.name] * one.cpu_ms for one in own)
