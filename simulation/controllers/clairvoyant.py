"""The oracle's outlook: the true future rate of clients and the true course of predictable faults.

It bounds what any forecaster could achieve with the same actuators. It knows rates, not single arrivals, and nothing of
faults that come without warning.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from forecasting.certain import certain_forecast
from forecasting.forecast import Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.persistence import PersistenceForecaster
from simulation.scenario import Fault, FaultKind

#: Unit of signal growth per second while a fault of size 1 stands at full level.
_RAMPS_PER_S: Mapping[FaultKind, tuple[str, float]] = {
    FaultKind.MEMORY_LEAK: ("memory", 1 / 60),
    FaultKind.POOL_CREEP: ("connection_pool", 1 / 60),
    FaultKind.DISK_FILL: ("disk", 1 / 60),
}
#: Signals that follow the fault's level itself.
_LEVELS: Mapping[FaultKind, str] = {
    FaultKind.LATENCY_CREEP: "latency",
    FaultKind.LOCK_CONTENTION: "latency",
    FaultKind.REPLICATION_LAG: "replication_lag",
}
_GRID_S = 15.0


class ClairvoyantDemand:
    """Knows what will be offered to every workload."""

    def __init__(self, rate_rps: Callable[[Floats], Floats], visits: Mapping[str, float]) -> None:
        """`rate_rps` is the true intensity at the gateway, `visits` the visits of each workload per client request."""
        self._rate_rps = rate_rps
        self._visits = visits

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        """Means over each step; unknown workloads have no forecast."""
        within_step = (np.arange(5) - 4) / 5  # five moments of each step
        ends = request.last_at_s + request.step_s * np.arange(1, request.horizon_steps + 1)
        moments = ends[:, None] + request.step_s * within_step[None, :]
        rate = self._rate_rps(moments.ravel()).reshape(moments.shape).mean(axis=1)
        factors = np.array([self._visits.get(name, np.nan) for name in request.series])
        unavailable = {name: NoForecastReason.MODEL_FAILED for name in request.series if name not in self._visits}
        expected = factors[:, None] * rate[None, :]
        return certain_forecast(request, expected, now_s, "oracle", unavailable), state

    def dump(self, state: Any) -> Any:
        return state

    def load(self, dumped: Any) -> Any:
        return dumped


class ClairvoyantSignals:
    """Knows how predictable faults will move the signals of the pods that they have hit."""

    def __init__(self, faults: tuple[Fault, ...], hit: Callable[[int], tuple[str, ...]]) -> None:
        """`hit(i)` names what the i-th fault of the scenario has hit so far."""
        self._faults = faults
        self._hit = hit
        self._persistence = PersistenceForecaster()

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        """The current value of each signal plus what the faults that run will add to it."""
        flat, _ = self._persistence.forecast(request, state, now_s, rng)
        expected = np.array(flat.paths[:, 0, :])
        times_s = flat.times_s
        for index, fault in enumerate(self._faults):
            if not fault.is_predictable or not fault.start_s <= now_s < fault.end_s:
                continue
            growth = _growth(fault, request.last_at_s, times_s)
            if growth is None:
                continue
            kind, added = growth
            targets = self._hit(index)
            for row, name in enumerate(request.series):
                signal, workload, member = name.split("/", 2)
                hits_all = fault.pods is None and workload == fault.service  # those born meanwhile too
                if signal == kind and (hits_all or member in targets):
                    expected[row] += added
        return certain_forecast(request, expected, now_s, "oracle", dict(flat.unavailable)), state

    def dump(self, state: Any) -> Any:
        return state

    def load(self, dumped: Any) -> Any:
        return dumped


def _growth(fault: Fault, from_s: float, times_s: Floats) -> tuple[str, Floats] | None:
    """(signal, what it gains between `from_s` and each time), None where the fault moves no signal."""
    if fault.kind in _LEVELS:
        level = np.array([fault.level(float(t)) for t in times_s])
        return _LEVELS[fault.kind], fault.size * (level - fault.level(from_s))
    if fault.kind not in _RAMPS_PER_S:
        return None
    kind, per_s = _RAMPS_PER_S[fault.kind]
    return kind, fault.size * per_s * (_exposure_s(fault, times_s) - _exposure_s(fault, np.array([from_s]))[0])


def _exposure_s(fault: Fault, times_s: Floats) -> Floats:
    """Integral of the fault's level up to each time."""
    run_s = np.clip(times_s - fault.start_s, 0.0, fault.duration_s)
    if fault.ramp_s == 0:
        return np.asarray(run_s)
    return np.asarray(np.where(run_s < fault.ramp_s, run_s**2 / (2 * fault.ramp_s), run_s - fault.ramp_s / 2))
