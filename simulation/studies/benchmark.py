"""The figures of `foresail bench`: simulated against real time, one control tick, one forecast; in CPU time."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from forecasting.fallback import FallbackForecaster
from forecasting.forecast import LEVELS, Floats, Forecast, Forecaster, ForecastRequest, SeriesKind
from forecasting.serving import default_forecaster
from policies import planner
from policies.memory import Memory
from policies.model import (
    DemandHistory,
    NodeSeen,
    Observation,
    PodSeen,
    PolicySet,
    SignalHistory,
    SignalKind,
    SignalTarget,
    WorkloadPolicy,
    WorkloadSeen,
)
from simulation.run import run
from simulation.scenario import Load, Scenario, topology_preset

SHOP_RPS = 200.0
SIMULATED_S = 3600.0
WORKLOADS, PODS_EACH, TICKS = 1000, 3, 8
POINTS, STEPS, SAMPLES, STEP_S = 512, 64, 100, 15.0
SIGNAL_STEPS, SIGNAL_POINTS, SIGNAL_STEP_S = 60, 120, 60.0

SERVED_SERIES = 300

Figures = dict[str, float]


def bench_sim() -> dict[str, Figures]:
    """The whole shop at 200 requests/s for an hour, fault-free, under the tuned HPA and under Foresail."""
    scenario = _busy_shop(SIMULATED_S)
    figures: Figures = {}
    for arm, name in (("hpa-tuned", "times_real_time"), ("foresail", "times_real_time_foresail")):
        run(_busy_shop(30.0), arm, seed=1)  # compiles what is not in the cache
        began_s = time.process_time()
        run(scenario, arm, seed=1)
        figures[name] = round((scenario.duration_s + scenario.warm_up_s) / (time.process_time() - began_s))
    return {"sim": {**figures, "requests_per_s": SHOP_RPS, "simulated_s": scenario.duration_s + scenario.warm_up_s}}


def bench_tick() -> dict[str, Figures]:
    """One decision for 1,000 workloads of three pods, everything observed and forecast already."""
    policies = PolicySet({name: WorkloadPolicy(name) for name in _names()})
    demand, signals = _demand_forecast(), _signal_forecast()
    memory = Memory()
    spent_ms = []
    for tick in range(TICKS):
        now_s = STEP_S * tick
        seen = _observation(now_s)
        began_s = time.process_time()
        _, memory = planner.decide(seen, demand, signals, memory, policies, now_s)
        spent_ms.append(1000.0 * (time.process_time() - began_s))
    figures = {"ms_per_1000_workloads": float(np.median(spent_ms)), "worst_ms": max(spent_ms)}
    return {"tick": {name: round(spent, 1) for name, spent in figures.items()}}


def bench_forecast() -> dict[str, Figures]:
    """The fallback forecaster over five minutes of ticks: the mean one, and the one that measures everything again."""
    figures: Figures = {}
    for count in (300, 1000):
        spent_ms = _forecast_ms(count, FallbackForecaster(), time.process_time)
        figures[f"ms_per_{count}_series"] = round(float(np.mean(spent_ms)), 1)
        figures[f"first_ms_per_{count}_series"] = round(spent_ms[0], 1)
    return {"forecast": figures}


def bench_serving() -> dict[str, Figures]:
    """The default forecaster: 300 series × 512 points on two cores (wall time), and how it starts in a new process."""
    spent_ms = _forecast_ms(SERVED_SERIES, default_forecaster(threads=2), time.perf_counter)
    began_s = time.perf_counter()
    started = subprocess.run([sys.executable, "-c", _COLD_START], capture_output=True, text=True, check=True)
    figures = {
        "ms_per_300_series": round(float(np.median(spent_ms)), 1),
        "first_ms_per_300_series": round(spent_ms[0], 1),
        "process_s": round(time.perf_counter() - began_s, 2),
        **json.loads(started.stdout),
    }
    return {"serving": figures}


#: From an empty process to the first forecast: seconds, and the most memory that was held.
_COLD_START = """
import time
began = time.perf_counter()
import json
import numpy as np
from forecasting.forecast import ForecastRequest
from forecasting.serving import default_forecaster
values = np.random.default_rng(0).random((1, 512))
asked = ForecastRequest(("a",), values, 15.0, 1e9, 64)
default_forecaster().forecast(asked, None, 1e9, np.random.default_rng(0))
peak = next((line for line in open("/proc/self/status") if line.startswith("VmHWM")), "VmHWM: 0 kB")
mib = int(peak.split()[1]) / 1024
print(json.dumps({"cold_start_s": round(time.perf_counter() - began, 2), "memory_mib": round(mib)}))
"""


BENCHES: dict[str, Callable[[], dict[str, Figures]]] = {
    "sim": bench_sim,
    "tick": bench_tick,
    "forecast": bench_forecast,
    "serving": bench_serving,
}


def _busy_shop(duration_s: float) -> Scenario:
    return Scenario(
        name="bench-shop",
        duration_s=duration_s,
        warm_up_s=600.0 if duration_s >= 600.0 else 30.0,
        topology=topology_preset("shop"),
        load=Load(rps=SHOP_RPS),
    )


def _forecast_ms(count: int, forecaster: Forecaster, clock_s: Callable[[], float]) -> list[float]:
    rng = np.random.default_rng(1)
    ticks = 20
    series = _busy_series(count, POINTS + ticks, rng)
    names = tuple(f"series-{i}" for i in range(count))
    state = None
    spent_ms = []
    for tick in range(ticks):
        now_s = STEP_S * (POINTS + tick)
        request = ForecastRequest(
            series=names,
            values=series[:, tick : tick + POINTS],
            step_s=STEP_S,
            last_at_s=now_s,
            horizon_steps=STEPS,
            kinds=(SeriesKind.DEMAND,) * count,
            samples=SAMPLES,
        )
        began_s = clock_s()
        _, state = forecaster.forecast(request, state, now_s, rng)
        spent_ms.append(1000.0 * (clock_s() - began_s))
    return spent_ms


def _busy_series(count: int, points: int, rng: np.random.Generator) -> Floats:
    """Demand that swings, drifts and is counted one client at a time, `(count, points)`."""
    times = np.arange(points)[None, :]
    level = rng.uniform(5.0, 200.0, size=(count, 1))
    swing = 1.0 + 0.4 * np.sin(2 * np.pi * (times / rng.uniform(60, 400, size=(count, 1)) + rng.random((count, 1))))
    return np.asarray(rng.poisson(level * swing * STEP_S) / STEP_S)


def _names() -> tuple[str, ...]:
    return tuple(f"shop/w{i:04d}" for i in range(WORKLOADS))


def _observation(now_s: float) -> Observation:
    names = _names()
    rng = np.random.default_rng(round(now_s))
    history = DemandHistory(
        names, _busy_series(WORKLOADS, POINTS, rng), np.zeros((WORKLOADS, POINTS)), STEP_S, last_at_s=now_s - 2.0
    )
    return Observation(
        now_s,
        tuple(_workload(name, float(history.values_rps[row, -1])) for row, name in enumerate(names)),
        tuple(NodeSeen(f"node-{i}", f"zone-{i % 3}", ready=True) for i in range(60)),
        demand=history,
        signals=_signals(now_s),
        metrics_age_s=2.0,
    )


def _workload(name: str, offered_rps: float) -> WorkloadSeen:
    rate_rps = offered_rps / PODS_EACH
    pods = tuple(
        PodSeen(
            name=f"{name}-{i}",
            node=f"node-{i}",
            zone=f"zone-{i % 3}",
            created_at_s=-4000.0,
            ready_at_s=-3960.0,
            rate_rps=rate_rps,
            error_ratio=0.0,
            latency_mean_s=0.05,
            latency_p99_s=0.2,
            cpu_cores=0.01 * rate_rps,
        )
        for i in range(PODS_EACH)
    )
    return WorkloadSeen(
        name=name,
        replicas=PODS_EACH,
        pods=pods,
        hpa_min=2,
        hpa_max=20,
        cpu_limit_cores=1.0,
        cpu_request_cores=0.5,
        room_pods=50,
        disruptions_allowed=1,
        offered_rps=offered_rps,
        error_ratio=0.0,
        latency_p99_s=0.2,
    )


def _targets() -> tuple[SignalTarget, ...]:
    return tuple(
        SignalTarget(kind, name, f"{name}-0")
        for name in _names()
        for kind in (SignalKind.MEMORY, SignalKind.CONNECTION_POOL)
    )


def _signals(now_s: float) -> SignalHistory:
    targets = _targets()
    values = np.full((len(targets), SIGNAL_POINTS), 200.0)
    return SignalHistory(targets, values, np.full(len(targets), 512.0), SIGNAL_STEP_S, now_s - 2.0)


def _demand_forecast() -> Forecast:
    rng = np.random.default_rng(2)
    means = rng.uniform(20.0, 80.0, size=(WORKLOADS, 1, 1))
    walks = np.cumsum(rng.normal(0.0, 0.5, size=(WORKLOADS, SAMPLES, STEPS)), axis=2)
    return _forecast(_names(), np.maximum(means + walks, 0.0), STEP_S)


def _signal_forecast() -> Forecast:
    targets = _targets()
    rng = np.random.default_rng(3)
    walks = 200.0 + np.cumsum(rng.normal(0.0, 1.0, size=(len(targets), SAMPLES, SIGNAL_STEPS)), axis=2)
    return _forecast(tuple(target.key for target in targets), walks, SIGNAL_STEP_S)


def _forecast(series: tuple[str, ...], paths: Floats, step_s: float) -> Forecast:
    quantiles = np.moveaxis(np.quantile(paths, LEVELS, axis=1), 0, 2)
    measured = np.full(len(series), 0.8)
    return Forecast(series, LEVELS, quantiles, paths, 0.0, -2.0, step_s, "bench", measured, measured - 0.6)
