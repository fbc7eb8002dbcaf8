"""A shop of two workloads for tests of the operator: what is seen, a forecast without a model, what was done."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecasting.forecast import Forecast, ForecastRequest
from policies.decision import Action, Decision
from policies.loop import ControlLoop
from policies.model import (
    DemandHistory,
    FastSeen,
    Mode,
    Observation,
    PodSeen,
    PolicySet,
    ScalingPolicy,
    SignalHistory,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
    WorkloadSeen,
)
from policies.ports import Cluster, Metrics, MetricsUnavailable

WEB, API = "shop/web", "shop/api"
LEVELS = (0.005, 0.05, 0.25, 0.5, 0.75, 0.95, 0.995)
START_S = 1_800_000_000.0  # a multiple of 15


def policies(mode: Mode = Mode.ENFORCE, *names: str) -> PolicySet:
    """A pod carries 10 requests/s until more is learned."""
    prior = ScalingPolicy(capacity_prior_rps=10.0)
    return PolicySet({name: WorkloadPolicy(name, mode=mode, scaling=prior) for name in names or (WEB, API)})


@dataclass
class SmallShop:
    """Answers the ports `Metrics` and `Cluster`. The web tier gets 63 requests/s on one pod: it needs nine."""

    web_rps: float = 63.0
    looks: int = 0
    fast_looks: int = 0
    blind: bool = False
    broken: bool = False  # raises what nobody foresaw
    refuses: bool = False
    applied: list[Action] = field(default_factory=list)

    def observe(self, now_s: float) -> Observation:
        self.looks += 1
        if self.broken:
            raise RuntimeError("broken")
        if self.blind:
            raise MetricsUnavailable
        rates_rps = {WEB: self.web_rps, API: 3.0}
        values = np.repeat(np.array(list(rates_rps.values()))[:, None], 240, axis=1)
        targets = (SignalTarget(SignalKind.MEMORY, WEB, "web-0"),)
        return Observation(
            now_s,
            tuple(_workload(name, rate_rps) for name, rate_rps in rates_rps.items()),
            demand=DemandHistory(tuple(rates_rps), values, np.zeros_like(values), 15.0, now_s),
            signals=SignalHistory(targets, np.full((1, 60), 200.0), np.array([512.0]), 60.0, now_s),
            metrics_age_s=3.0,
        )

    def observe_fast(self, now_s: float) -> FastSeen:
        self.fast_looks += 1
        if self.broken:
            raise RuntimeError("broken")
        return FastSeen(now_s, (), (), {})

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool:
        if self.refuses:
            return False
        self.applied.append(action)
        return True


class LastValue:
    """A `Forecaster` without a model: tomorrow is today. Its state counts its forecasts."""

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        last = request.values[:, -1]
        quantiles = np.broadcast_to(last[:, None, None], (len(last), request.horizon_steps, len(LEVELS))).copy()
        paths = np.broadcast_to(last[:, None, None], (len(last), 20, request.horizon_steps)).copy()
        coverage, skill = np.full(len(last), 0.8), np.full(len(last), np.nan)
        answer = Forecast(
            request.series, LEVELS, quantiles, paths, now_s, request.last_at_s, request.step_s, "last-value",
            coverage, skill,
        )  # fmt: skip
        return answer, (state or 0) + 1

    def dump(self, state: Any) -> Any:
        return state

    def load(self, dumped: Any) -> Any:
        return dumped


def make_loop(metrics: Metrics, cluster: Cluster, declared: PolicySet) -> ControlLoop:
    return ControlLoop(metrics, LastValue(), LastValue(), cluster, declared)


def _workload(name: str, rate_rps: float) -> WorkloadSeen:
    pod = PodSeen(f"{name.partition('/')[2]}-0", "node-a", "zone-a", created_at_s=-1e6, ready_at_s=-9e5)
    return WorkloadSeen(name, 1, (pod,), hpa_min=1, hpa_max=50, offered_rps=rate_rps)
