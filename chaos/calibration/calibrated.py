"""A topology with what live runs say about it in its place, and everything that was measured on the way."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from chaos.calibration.cost_fits import cost_fits
from chaos.calibration.draft import Draft
from chaos.calibration.fit import Fit
from chaos.calibration.latency_fits import latency_fits
from chaos.calibration.observed import Observed
from chaos.calibration.share_fits import share_fits
from chaos.calibration.wait_fits import wait_fits
from simulation.streams import generator
from simulation.topology import Topology

#: Parameters that matter and that rows cannot tell, and why.
UNTOLD: tuple[tuple[str, str], ...] = (
    ("nodes", "rows do not say what nodes there are, nor what else runs on them"),
    ("services.*.startup.cpu_cores, warm_up_s, cold_speed", "CPU of young pods is mixed with that of their requests"),
    ("services.*.memory_base_mib, memory_per_request_mib", "memory is not among the rows"),
    ("services.*.concurrency, queue, threads, hop_ms", "rows count requests, not where they wait"),
    ("services.*.readiness, liveness", "probes are not among the rows"),
    ("services.*.database", "failovers are seen by their effect on clients only"),
    ("operations.*.distribution, cv, calls", "one service's share of a request's latency is not among the rows"),
    ("classes.*.patience_s, retries", "clients' own, not the shop's"),
)


@dataclass(frozen=True, slots=True)
class Calibrated:
    """`fits` in the order of the topology; those not used say why."""

    topology: Topology
    fits: tuple[Fit, ...]

    @property
    def used(self) -> tuple[Fit, ...]:
        return tuple(fit for fit in self.fits if fit.used)


def calibrated(topology: Topology, runs: Sequence[Observed], seed: int = 1) -> Calibrated:
    """Shares first, since costs are per request of a client; latencies last, since work is part of them."""
    draft = Draft(topology)
    return Calibrated(fits=tuple(_fits(draft, runs, seed)), topology=draft.topology)


def _fits(draft: Draft, runs: Sequence[Observed], seed: int) -> Iterator[Fit]:
    yield from share_fits(draft, runs)
    yield from cost_fits(draft, runs, generator(seed, "calibrate", "cost"))
    yield from wait_fits(draft, runs, generator(seed, "calibrate", "waits"))
    yield from latency_fits(draft, runs, seed)
