"""What clients want: the rate over time, the arrivals drawn from it, and what monitoring remembers of earlier days."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, sqrt
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from forecasting.forecast import DeclaredEvent, Floats
from simulation.scenario import CROWDS, Fault, Load, Scenario
from simulation.streams import generator
from simulation.trace import TraceInvalid, read_trace

if TYPE_CHECKING:
    from simulation.kernel.engine import Engine  # compiled: who only asks for rates need not wait for it

CHUNK_S = 300.0  # arrivals are given to the engine in pieces of this length
_FIRST_MINUTE_S = 60.0
_DAY_S = 86_400.0
_ROUGHNESS_STEPS = 24  # of the noise's memory, between which it is interpolated


@dataclass(frozen=True, slots=True)
class Beside:
    """Requests of one class that come at even distances beside the load, from the start of the warm-up on. Latencies of
    that class are not kept."""

    class_index: int
    rate_rps: float


class Traffic:
    """Offered load at the gateway. Every stream is keyed by seed and purpose, so all arms see the same clients.

    Arrivals are Poisson within each second (each step of a finer trace), at the rate in its middle. `scale` multiplies
    every rate of the load, not what comes `beside` it. `noise_from_s` is where the slow noise is drawn from, when that
    is not where the warm-up begins: a scenario played with a shorter warm-up keeps its rates.
    """

    def __init__(
        self,
        scenario: Scenario,
        seed: int,
        *,
        scale: float = 1.0,
        noise_from_s: float | None = None,
        beside: Sequence[Beside] = (),
    ) -> None:
        self._scenario = scenario
        self._seed = seed
        self._start_s = -scenario.warm_up_s
        self._crowds = tuple(fault for fault in scenario.faults if fault.kind in CROWDS)
        shares = np.array([c.share for c in scenario.topology.classes])
        self._class_borders = np.cumsum(shares / shares.sum())[:-1]
        trace = scenario.load.trace
        self._trace = None if trace is None else read_trace(trace)
        if self._trace is not None and self._trace.duration_s < scenario.duration_s:
            raise TraceInvalid(
                f"{self._trace.source}: lasts {self._trace.duration_s:g} s, the scenario {scenario.duration_s:g} s: "
                "shorten duration_s or give a longer trace"
            )
        self._bin_s = 1.0 if self._trace is None else min(1.0, self._trace.step_s)
        self._scale = scale
        self._beside = tuple(beside)
        self._roughness = _Roughness(scenario.load, self._start_s if noise_from_s is None else noise_from_s, seed)
        self.given_until_s = self._start_s
        self._given = 0

    @property
    def beside(self) -> frozenset[int]:
        """The classes of what comes beside the load."""
        return frozenset(steady.class_index for steady in self._beside)

    def rate_rps(self, times_s: Floats) -> Floats:
        """The true intensity at the gateway, crowds included, before Poisson sampling."""
        rate = self._ordinary_rps(times_s)
        for crowd in self._crowds:
            rate = rate * (1.0 + (crowd.size - 1.0) * _levels(crowd, times_s))
        return rate

    def history_rps(self, times_s: Floats) -> Floats:
        """The intensity on other days and before the start, without crowds; NaN where nobody remembers it."""
        history = self._scenario.history
        known_s = self._start_s - max(history.hours * 3600.0, history.days_remembered * _DAY_S)
        return np.where(times_s >= known_s, self._ordinary_rps(times_s), np.nan)

    def measured_history_rps(self, first_s: float, step_s: float, steps: int) -> Floats:
        """What monitoring stored: arrivals counted in `steps` intervals that start at `first_s`, NaN where unknown.

        Sampling noise included. Another first interval draws other noise, so ask once for all that is needed.
        """
        middles: Floats = first_s + (np.arange(steps, dtype=np.float64) + 0.5) * step_s
        rate = self.history_rps(middles)
        known = ~np.isnan(rate)
        counts = generator(self._seed, "history", first_s, step_s).poisson(np.where(known, rate, 0.0) * step_s)
        return np.where(known, counts / step_s, np.nan)

    def declared_events(self) -> tuple[DeclaredEvent, ...]:
        """Crowds that people announced beforehand, as they announced them."""
        return tuple(
            DeclaredEvent(
                name=f"{crowd.kind.value}-{index}",
                starts_at_s=crowd.start_s,
                ends_at_s=crowd.end_s,
                multiplier=crowd.announced_multiplier or crowd.size,
                ramp_s=crowd.ramp_s,
            )
            for index, crowd in enumerate(self._scenario.faults)
            if crowd.kind in CROWDS and crowd.announced
        )

    def give(self, engine: Engine) -> None:
        """Hand the engine the next chunk of arrivals; none come after the scenario's end."""
        first_s = self.given_until_s
        last_s = min(first_s + CHUNK_S, self._scenario.duration_s)
        self.given_until_s = first_s + CHUNK_S
        if last_s <= first_s:
            return
        times_s, classes = self._arrivals(first_s, last_s)
        ids = np.arange(self._given, self._given + times_s.size, dtype=np.int64)
        self._given += times_s.size
        engine.add_arrivals(times_s, classes, ids)

    def _arrivals(self, first_s: float, last_s: float) -> tuple[Floats, NDArray[np.int16]]:
        rng = generator(self._seed, "arrivals", round(first_s * 1000.0))
        starts = np.arange(first_s, last_s, self._bin_s)
        lengths = np.minimum(self._bin_s, last_s - starts)
        counts = rng.poisson(self.rate_rps(starts + lengths / 2.0) * lengths)
        times_s = np.repeat(starts, counts) + rng.random(int(counts.sum())) * np.repeat(lengths, counts)
        times_s.sort()
        classes = np.searchsorted(self._class_borders, rng.random(times_s.size), side="right").astype(np.int16)
        return (times_s, classes) if not self._beside else self._with_those_beside(times_s, classes, first_s, last_s)

    def _with_those_beside(
        self, times_s: Floats, classes: NDArray[np.int16], first_s: float, last_s: float
    ) -> tuple[Floats, NDArray[np.int16]]:
        for steady in self._beside:
            numbers = (np.array([first_s, last_s]) - self._start_s) * steady.rate_rps
            further = self._start_s + np.arange(*np.ceil(numbers)) / steady.rate_rps
            times_s = np.concatenate((times_s, further))
            classes = np.concatenate((classes, np.full(further.size, steady.class_index, dtype=np.int16)))
        order = np.argsort(times_s, kind="stable")
        return times_s[order], classes[order]

    def _ordinary_rps(self, times_s: Floats) -> Floats:
        """Base rate × day × knots or staircase × roughness, or the trace."""
        if self._trace is not None:
            return self._traced_rps(times_s) * self._scale
        load = self._scenario.load
        rate = np.full(np.shape(times_s), load.rps * self._scale)
        if load.diurnal is not None:
            day = load.diurnal
            rate *= 1.0 + day.amplitude * np.cos(2.0 * np.pi * (times_s - day.peak_at_s) / day.period_s)
        if load.knots:
            knot_times, factors = np.array(load.knots).T
            rate *= np.interp(times_s, knot_times, factors)
        if load.staircase:
            step_s = self._scenario.duration_s / len(load.staircase)
            steps = np.clip(np.floor(times_s / step_s), 0, len(load.staircase) - 1).astype(np.int64)
            rate *= np.array(load.staircase)[steps]
        return rate * self._roughness.at(times_s)

    def _traced_rps(self, times_s: Floats) -> Floats:
        """Before the trace begins the load is the mean of its first minute: nothing else is known."""
        assert self._trace is not None
        rates, step_s = self._trace.rates_rps, self._trace.step_s
        before = rates[: max(1, round(_FIRST_MINUTE_S / step_s))].mean()
        steps = np.clip(np.floor(times_s / step_s), 0, rates.size - 1).astype(np.int64)
        return np.where(times_s < 0.0, before, rates[steps])


def _levels(crowd: Fault, times_s: Floats) -> Floats:
    """How far the crowd has come at each time, 0..1."""
    there = (times_s >= crowd.start_s) & (times_s < crowd.end_s)
    if crowd.ramp_s == 0.0:
        return there.astype(np.float64)
    return np.where(there, np.minimum(1.0, (times_s - crowd.start_s) / crowd.ramp_s), 0.0)


class _Roughness:
    """Slow lognormal noise of mean 1: an Ornstein–Uhlenbeck process on the logarithm, stationary and time-reversible.

    It is drawn forwards and backwards from the start, in blocks as far as it is asked for, so the run's noise does
    not depend on how much history anybody reads.
    """

    _BLOCK_STEPS = 4096

    def __init__(self, load: Load, start_s: float, seed: int) -> None:
        self._sigma = load.roughness
        self._start_s = start_s
        self._step_s = load.roughness_tau_s / _ROUGHNESS_STEPS
        self._seed = seed
        self._memory = exp(-1.0 / _ROUGHNESS_STEPS)
        first = generator(seed, "roughness", "start").standard_normal()
        self._later = np.array([first])
        self._earlier = np.array([first])

    def at(self, times_s: Floats) -> Floats:
        if self._sigma == 0.0 or np.size(times_s) == 0:
            return np.ones(np.shape(times_s))
        steps = (times_s - self._start_s) / self._step_s
        self._later = self._extended(self._later, float(np.max(steps)), "later")
        self._earlier = self._extended(self._earlier, -float(np.min(steps)), "earlier")
        noise = np.where(
            steps >= 0.0,
            np.interp(steps, np.arange(self._later.size), self._later),
            np.interp(-steps, np.arange(self._earlier.size), self._earlier),
        )
        return np.asarray(np.exp(self._sigma * noise - self._sigma**2 / 2.0))

    def _extended(self, noise: Floats, until_step: float, direction: str) -> Floats:
        while noise.size - 1 < until_step:
            block = (noise.size - 1) // self._BLOCK_STEPS
            shocks = generator(self._seed, "roughness", direction, block).standard_normal(self._BLOCK_STEPS)
            shocks *= sqrt(1.0 - self._memory**2)
            more, _ = lfilter([1.0], [1.0, -self._memory], shocks, zi=np.array([self._memory * noise[-1]]))
            noise = np.concatenate((noise, more))
        return noise
