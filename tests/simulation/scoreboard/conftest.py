"""Runs put together by hand: ten requests a second that are answered within SLO, unless a test says otherwise."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import pytest

from simulation.result import (
    Accounting,
    ClientSeconds,
    FaultTruth,
    ForecastRecord,
    OrderLedger,
    RunResult,
    ServiceSeconds,
)
from simulation.scenario import Scenario

EDGES_S = np.array([0.0, 0.1, 0.2, 1.0, 10.0])
SERVICES = ("gateway", "checkout")


def scenario_of(duration_s: float, faults: Iterable[Mapping[str, Any]] = (), name: str = "by-hand") -> Scenario:
    return Scenario.model_validate(
        {
            "name": name,
            "duration_s": duration_s,
            "topology": {
                "services": [
                    {"name": "gateway", "cpu_ms": 5.0, "hpa": {"max_replicas": 10}},
                    {"name": "checkout", "cpu_ms": 5.0},
                ]
            },
            "faults": list(faults),
        }
    )


def fault(start_s: float, end_s: float, kind: str = "pod_crash", index: int = 0, **other: Any) -> FaultTruth:
    values = {"label": f"{kind} {index}", "predictable": False, "targets": ("checkout", "checkout-1"), **other}
    return FaultTruth(index=index, kind=kind, start_s=start_s, end_s=end_s, **values)


def run_of(
    seconds: int = 100,
    arrived: Any = 10,
    failed: Mapping[int, int] | None = None,
    slow: Mapping[int, int] | None = None,
    scenario: Scenario | None = None,
    **other: Any,
) -> RunResult:
    came = np.broadcast_to(np.asarray(arrived, dtype=np.int64), (seconds,)).copy()
    bad, late = np.zeros(seconds, dtype=np.int64), np.zeros(seconds, dtype=np.int64)
    for second, count in (failed or {}).items():
        bad[second] = count
    for second, count in (slow or {}).items():
        late[second] = count
    ok = came - bad
    histogram = np.zeros((seconds, 4), dtype=np.int64)
    histogram[:, 0], histogram[:, 3] = ok - late, late
    client = ClientSeconds(("request",), came[None], ok[None], late[None], bad[None], bad[None] * 0, histogram, EDGES_S)
    flat = np.ones((2, seconds))
    services = ServiceSeconds(
        SERVICES, flat * came, flat * ok, flat * bad, 20 * flat, 90 * flat, 0.5 * flat, 3 * flat, 3 * flat, 3 * flat
    )
    bins = max(seconds // 15, 1)
    values: dict[str, Any] = {
        "arm": "foresail",
        "seed": 1,
        "jain_index": np.full((2, max(seconds // 30, 1)), np.nan),
        "pod_hours": 2.0,
        "orders": OrderLedger(np.zeros(0), np.zeros(0, dtype=np.bool_), np.zeros(0, dtype=np.int64)),
        "faults": (),
        "decisions": (),
        "resizes": (),
        "acts": (),
        "forecasts": (),
        "actual_demand_rps": np.full((2, bins), 10.0),
        "accounting": Accounting(int(came.sum()), int(ok.sum()), int(bad.sum()), 0),
        **other,
    }
    return RunResult(scenario=scenario or scenario_of(seconds), client=client, services=services, **values)


def forecast_of(issued_at_s: float, q05: float, q50: float, q95: float, workload: str = "gateway") -> ForecastRecord:
    times = issued_at_s + 15.0 * np.arange(1, 5)
    return ForecastRecord(
        issued_at_s, workload, times, np.full(4, q05), np.full(4, q50), np.full(4, q95), "seasonal_naive"
    )


@pytest.fixture
def made_run() -> Callable[..., RunResult]:
    return run_of


@pytest.fixture
def made_fault() -> Callable[..., FaultTruth]:
    return fault


@pytest.fixture
def made_scenario() -> Callable[..., Scenario]:
    return scenario_of


@pytest.fixture
def made_forecast() -> Callable[..., ForecastRecord]:
    return forecast_of
