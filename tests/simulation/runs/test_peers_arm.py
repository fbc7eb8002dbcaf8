"""Peers in the simulated cluster do what they are known for."""

from __future__ import annotations

import pytest

from simulation.result import RunResult
from simulation.run import run
from simulation.scenario import Scenario


def replicas_at(result: RunResult, service: str, at_s: int) -> float:
    row = result.services.services.index(service)
    return float(result.services.replicas_desired[row, at_s])


@pytest.fixture
def step(small_shop: Scenario) -> Scenario:
    """From 30 to 120 requests/s within a second, without faults."""
    load = small_shop.load.model_copy(update={"knots": ((0.0, 1.0), (100.0, 1.0), (101.0, 4.0))})
    return small_shop.model_copy(update={"faults": (), "load": load})


def test_the_knative_autoscaler_panics_within_seconds_of_a_step(step: Scenario) -> None:
    """At 50 % of 50 requests/s per pod, 120 need 4.8 pods: more than twice the two that are ready."""
    result = run(step, "kpa", seed=3, settings={"target_ratio": 0.5})
    first = next(r for r in result.resizes if r.service == "gateway" and r.at_s > 100)

    assert first.by == "peer"
    assert first.at_s < 112
    assert replicas_at(result, "gateway", 115) >= 5


def test_the_schedule_holds_what_yesterday_needed_before_anybody_asks(small_shop: Scenario) -> None:
    """Yesterday knew the last knot's rate no more than the first one's: 30 requests/s, 12.5 per pod, 3 pods or so."""
    quiet = small_shop.model_copy(
        update={"faults": (), "load": small_shop.load.model_copy(update={"knots": (), "roughness": 0.0})}
    )

    result = run(quiet, "cron", seed=3, settings={"target_ratio": 0.25, "hpa_target_pct": 140})

    assert replicas_at(result, "gateway", 0) == 3  # ceil(30 / (0.25 × 50))
    assert replicas_at(result, "catalog", 0) == 3  # ceil(45 / (0.25 × 75))


def test_a_trend_in_demand_scales_before_cpu_does(small_shop: Scenario) -> None:
    load = small_shop.load.model_copy(update={"knots": ((0.0, 1.0), (240.0, 3.5)), "roughness": 0.0})
    ramp = small_shop.model_copy(update={"faults": (), "load": load})
    common = {"hpa_target_pct": 90}

    plain = run(ramp, "hpa-tuned", seed=3, settings=common)
    trend = run(
        ramp, "predict-linear", seed=3, settings={**common, "target_ratio": 0.5, "look_ahead_s": 180, "range_s": 60}
    )

    first_plain = min(r.at_s for r in plain.resizes if r.service == "gateway" and r.at_s > 0)
    first_trend = min(r.at_s for r in trend.resizes if r.service == "gateway" and r.at_s > 0)
    assert first_trend < first_plain


def test_a_periodic_forecast_needs_two_periods_and_then_scales_before_the_rise(small_shop: Scenario) -> None:
    """A day of 20 minutes, remembered for one real day: 72 periods."""
    diurnal = {"period_s": 1200.0, "amplitude": 0.8, "peak_at_s": 400.0}
    load = type(small_shop.load).model_validate({"rps": 40.0, "roughness": 0.0, "diurnal": diurnal})
    periodic = small_shop.model_copy(update={"faults": (), "load": load})
    common = {"hpa_target_pct": 90}

    plain = run(periodic, "hpa-tuned", seed=3, settings=common)
    crane = run(periodic, "crane-fft", seed=3, settings={**common, "target_ratio": 0.4, "look_ahead_s": 240})

    assert replicas_at(crane, "gateway", 120) > replicas_at(plain, "gateway", 120)


def test_a_prediction_over_replica_counts_is_never_below_the_hpas_own(step: Scenario) -> None:
    same_hpa = {"hpa_target_pct": 60, "hpa_up_window_s": 0, "hpa_up_pct": 200}
    plain = run(step, "hpa-tuned", seed=3, settings=same_hpa)
    linear = run(step, "phpa-linear", seed=3, settings=same_hpa)

    assert replicas_at(linear, "gateway", 235) >= replicas_at(plain, "gateway", 235)
    assert {r.by for r in linear.resizes} == {"peer"}
