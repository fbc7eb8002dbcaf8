"""What requests wait for without using CPU, from latencies at low load."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from chaos.calibration.draft import Draft
from chaos.calibration.fit import UNKNOWN, Fit, Measured
from chaos.calibration.latency import LEAST_FOR_P50, base_latencies_ms
from chaos.calibration.observed import Observed
from chaos.calibration.unloaded import unloaded_ms
from simulation.streams import generator

_NEVER_MS = 60_000.0
_NEAR_MS = 0.05


def latency_fits(draft: Draft, runs: Sequence[Observed], seed: int) -> Iterator[Fit]:
    """By operation of the load, for information; by class, used: the wait of its entry operation becomes what makes the
    simulated median at low load the measured one."""
    for name, (p50, p99) in base_latencies_ms(draft.topology, runs, by_entry=False).items():
        for level, measured in (("p50", p50), ("p99", p99)):
            yield Fit(f"latency.{name}.{level}", "ms at low load", None, measured, "requests.csv", told=True)
    by_entry = base_latencies_ms(draft.topology, runs, by_entry=True)
    for entry in dict.fromkeys(one.operation for one in draft.topology.classes):
        yield from _entry(draft, entry, *by_entry.get(entry, (UNKNOWN, UNKNOWN)), seed)


def _entry(draft: Draft, entry: str, p50: Measured, p99: Measured, seed: int) -> Iterator[Fit]:
    before_ms = next(one.wait_ms for one in draft.topology.operations if one.name == entry)
    wait = _wait_ms(draft, entry, p50, seed)
    left = ""
    if p50.value is None:
        left = f"{p50.samples} answers in quiet seconds, at least {LEAST_FOR_P50} are needed"
    elif wait.value is None:
        left = f"without any wait the simulated median is {_median_ms(draft, entry, 0.0, seed):.3g} ms already"
    elif wait.value > 0.0:
        draft.set_wait(entry, round(wait.value, 3))
    how = "requests.csv: median at low load, less simulated CPU work and calls"
    yield Fit(f"operations.{entry}.wait_ms", "ms", before_ms, wait, how, left)
    simulated = _latencies_ms(draft, entry, None, seed)
    for level, measured in ((0.5, p50), (0.99, p99)):
        name, how = f"latency.{entry}.p{round(100 * level)}", "before: what the simulator answers with the above"
        yield Fit(name, "ms at low load", float(np.quantile(simulated, level)), measured, how, told=True)


def _wait_ms(draft: Draft, entry: str, p50: Measured, seed: int) -> Measured:
    """None: the simulated median is above the measured one whatever the wait."""
    found = [None if one is None else _wait_for(draft, entry, one, seed) for one in (p50.value, p50.low, p50.high)]
    value, low, high = found
    return Measured(value, 0.0 if low is None and value is not None else low, high, p50.samples)


def _wait_for(draft: Draft, entry: str, median_ms: float, seed: int) -> float | None:
    """The mean wait that makes the median this, by bisection over the same draws."""
    low, high = 0.0, _NEVER_MS
    if _median_ms(draft, entry, low, seed) > median_ms:
        return None
    while high - low > _NEAR_MS:
        middle = (low + high) / 2.0
        low, high = (middle, high) if _median_ms(draft, entry, middle, seed) <= median_ms else (low, middle)
    return (low + high) / 2.0


def _median_ms(draft: Draft, entry: str, wait_ms: float, seed: int) -> float:
    return float(np.median(_latencies_ms(draft, entry, wait_ms, seed)))


def _latencies_ms(draft: Draft, entry: str, wait_ms: float | None, seed: int) -> np.ndarray:
    """`wait_ms` None: the draft's own."""
    tried = Draft(draft.topology)
    if wait_ms is not None:
        tried.set_wait(entry, wait_ms)
    return unloaded_ms(tried.topology, entry, generator(seed, "calibrate", "latency", entry))
