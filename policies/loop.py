"""The control loop: observe, forecast, decide, act. The same object runs in the simulator, in tests and live."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.forecast import DeclaredEvent, Forecast, Forecaster, ForecastRequest, SeriesKind
from policies import arrays, planner
from policies import memory as memory_json
from policies.deciding import hold
from policies.decision import Action, Decision, Reason, ReasonCode
from policies.memory import Memory
from policies.model import DemandHistory, Observation, PolicySet, SignalHistory
from policies.ports import Cluster, Metrics, MetricsUnavailable

DEMAND_STEPS = 64  # × 15 s: 16 minutes
SIGNAL_STEPS = 60  # × 60 s: an hour
SIGNAL_PERIOD_S = 60.0
SAMPLES = 100
DEMAND_DRAWS, SIGNAL_DRAWS = 1, 2  # keeps the random streams of the two forecasts apart


@dataclass(frozen=True, slots=True)
class _SignalRun:
    """What made the last signal forecast: enough to make the very same one again after a restart."""

    request: ForecastRequest
    state_before: Any
    issued_at_s: float


class ControlLoop:
    """Owns nothing but state: memory, forecaster states and the last forecasts.

    `last_demand` and `last_signals` are for reports; `refused` holds the writes of the last tick that did not happen.
    """

    def __init__(
        self,
        metrics: Metrics,
        demand_forecaster: Forecaster,
        signal_forecaster: Forecaster,
        cluster: Cluster,
        policies: PolicySet,
        seed: int = 0,
    ) -> None:
        self.metrics = metrics
        self.demand_forecaster = demand_forecaster
        self.signal_forecaster = signal_forecaster
        self.cluster = cluster
        self.policies = policies
        self.seed = seed
        self.memory = Memory()
        self.last_demand: Forecast | None = None
        self.last_signals: Forecast | None = None
        self.refused: tuple[tuple[str, Action], ...] = ()
        self._demand_state: Any = None
        self._signal_state: Any = None
        self._signal_run: _SignalRun | None = None

    def tick(self, now_s: float) -> tuple[Decision, ...]:
        """One decision per workload, with its actions applied. Call every 15 s."""
        try:
            seen = self.metrics.observe(now_s)
        except MetricsUnavailable:
            self.refused = ()
            return hold(self.policies, Reason(ReasonCode.NO_METRICS), now_s)
        demand = self._forecast_demand(seen, now_s)
        signals = self._forecast_signals(seen, now_s)
        before = self.memory
        decisions, self.memory = planner.decide(seen, demand, signals, before, self.policies, now_s)
        self._apply(decisions, before, now_s)
        return decisions

    def fast_tick(self, now_s: float) -> tuple[Decision, ...]:
        """What the fast reactive lane did, with its actions applied. Call every second."""
        try:
            seen = self.metrics.observe_fast(now_s)
        except MetricsUnavailable:
            return ()
        before = self.memory
        decisions, self.memory = planner.decide_fast(seen, before, self.policies, now_s)
        if decisions:
            self._apply(decisions, before, now_s)
        return decisions

    def checkpoint(self) -> Any:
        """Everything a successor needs to decide exactly as this loop would, as a JSON value."""
        run = self._signal_run
        return {
            "memory": memory_json.dump(self.memory),
            "demand_state": _dumped(self.demand_forecaster, self._demand_state),
            "signal_state": _dumped(self.signal_forecaster, self._signal_state) if run is None else None,
            "signal_run": run
            and {
                "request": arrays.dump_request(run.request),
                "state_before": _dumped(self.signal_forecaster, run.state_before),
                "issued_at_s": run.issued_at_s,
            },
        }

    def restore(self, checkpoint: Any) -> None:
        """Takes over from `checkpoint`. The signal forecast in use is computed again from what had made it."""
        self.memory = memory_json.load(checkpoint["memory"])
        self._demand_state = _loaded(self.demand_forecaster, checkpoint["demand_state"])
        self.last_demand = None
        run = checkpoint["signal_run"]
        if run is None:
            self._signal_run = self.last_signals = None
            self._signal_state = _loaded(self.signal_forecaster, checkpoint["signal_state"])
            return
        request = arrays.load_request(run["request"])
        self._run_signals(request, _loaded(self.signal_forecaster, run["state_before"]), run["issued_at_s"])

    def _forecast_demand(self, seen: Observation, now_s: float) -> Forecast | None:
        history = seen.demand
        if history is None or not history.workloads or history.values_rps.size == 0:
            self.last_demand = None
            return None
        request = demand_request(history, self.policies)
        self.last_demand = None  # a forecast is large: the old one goes before the new one comes
        self.last_demand, self._demand_state = self.demand_forecaster.forecast(
            request, self._demand_state, now_s, self._rng(now_s, DEMAND_DRAWS)
        )
        return self.last_demand

    def _forecast_signals(self, seen: Observation, now_s: float) -> Forecast | None:
        """The signal forecast in use: a new one every minute, the last one in between, none without measurements."""
        history = seen.signals
        due = self._signal_run is None or now_s - self._signal_run.issued_at_s >= SIGNAL_PERIOD_S - 1e-6
        if not due:
            return self.last_signals
        if history is None or not history.targets or history.values.size == 0:
            self._signal_run = self.last_signals = None
            return None
        self._run_signals(signal_request(history), self._signal_state, now_s)
        return self.last_signals

    def _run_signals(self, request: ForecastRequest, state: Any, now_s: float) -> None:
        self._signal_run = _SignalRun(request, state, now_s)
        self.last_signals = None  # as above
        self.last_signals, self._signal_state = self.signal_forecaster.forecast(
            request, state, now_s, self._rng(now_s, SIGNAL_DRAWS)
        )

    def _rng(self, now_s: float, purpose: int) -> np.random.Generator:
        # Masked because seeds must not be negative and simulated time may be.
        return np.random.default_rng((self.seed, round(now_s * 1000) & 0xFFFF_FFFF_FFFF, purpose))

    def _apply(self, decisions: Sequence[Decision], before: Memory, now_s: float) -> None:
        refused: list[tuple[str, Action]] = []
        for decision in decisions:
            for action in decision.actions:
                if not self.cluster.apply(action, decision, now_s):
                    refused.append((decision.id, action))
                    self.memory = planner.not_done(self.memory, before, action)
        self.refused = tuple(refused)


def demand_request(history: DemandHistory, policies: PolicySet) -> ForecastRequest:
    """Demand of all workloads. Censored points are unknown where the entry's demand can stand in for them."""
    values = history.values_rps
    driven = [name in policies.workloads and policies.workloads[name].entry is not None for name in history.workloads]
    censored = (history.saturated > 0.0) & np.array(driven)[:, None]
    if censored.any():
        values = np.where(censored, np.nan, values)
    count = len(history.workloads)
    return ForecastRequest(
        series=history.workloads,
        values=values,
        step_s=history.step_s,
        last_at_s=history.last_at_s,
        horizon_steps=DEMAND_STEPS,
        kinds=(SeriesKind.DEMAND,) * count,
        lower_limit=np.zeros(count),
        upper_limit=np.full(count, np.inf),
        events=declared_events(policies),
        same_time_yesterday=history.same_time_yesterday,
        same_time_last_week=history.same_time_last_week,
        samples=SAMPLES,
        wall_clock=history.wall_clock,
    )


def declared_events(policies: PolicySet) -> tuple[DeclaredEvent, ...]:
    """Every declared event once. One that names no series concerns its workload and all that it drives."""
    driven: dict[str, list[str]] = {}
    for name, policy in policies.workloads.items():
        if policy.entry is not None:
            driven.setdefault(policy.entry, []).append(name)
    merged: dict[tuple[str, float, float, float, float, float], list[str]] = {}
    for name, policy in policies.workloads.items():
        for event in policy.events:
            key = (
                event.name,
                event.starts_at_s,
                event.ends_at_s,
                event.multiplier,
                event.probability,
                event.ramp_s,
            )
            concerned = merged.setdefault(key, [])
            concerned.extend(other for other in event.series or (name, *driven.get(name, ())) if other not in concerned)
    return tuple(DeclaredEvent(*key, series=tuple(series)) for key, series in merged.items())


def signal_request(history: SignalHistory) -> ForecastRequest:
    """Failure signals. Their limits are where things break, not where values end, so they bind no forecast."""
    return ForecastRequest(
        series=tuple(target.key for target in history.targets),
        values=history.values,
        step_s=history.step_s,
        last_at_s=history.last_at_s,
        horizon_steps=SIGNAL_STEPS,
        lower_limit=np.zeros(len(history.targets)),
        samples=SAMPLES,
        wall_clock=history.wall_clock,
    )


def _dumped(forecaster: Forecaster, state: Any) -> Any:
    return None if state is None else forecaster.dump(state)


def _loaded(forecaster: Forecaster, dumped: Any) -> Any:
    return None if dumped is None else forecaster.load(dumped)
