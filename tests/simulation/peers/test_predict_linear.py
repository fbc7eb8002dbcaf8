"""`predict_linear` on demand and KEDA's fallback, worked out by hand: one pod carries 10 requests per second."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from simulation.hpa.controller import sync
from simulation.hpa.values import HpaSpec, HpaState, MetricSpec, Reading, Seen, SeriesReadings
from simulation.peers.predict_linear import (
    PredictLinearSettings,
    PredictLinearState,
    metric,
    predicted_rps,
    propose,
)

SETTINGS = PredictLinearSettings(target_rps_per_pod=10.0, range_s=60.0, look_ahead_s=30.0)
TIMES_S = np.array([0.0, 15.0, 30.0, 45.0])


def rates(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_the_trend_is_extrapolated_from_now() -> None:
    # 2 rps per second from 0: at 45 s 90, 30 s later 150
    assert predicted_rps(SETTINGS, TIMES_S, rates(0, 30, 60, 90), 45.0) == pytest.approx(150.0)
    # the same samples evaluated 10 s later reach 10 s further
    assert predicted_rps(SETTINGS, TIMES_S, rates(0, 30, 60, 90), 55.0) == pytest.approx(170.0)


def test_noise_is_fitted_by_least_squares() -> None:
    # mean 25 at 22.5 s; slope Σ dt·y / Σ dt² = (−22.5·10 − 7.5·30 + 7.5·20 + 22.5·40)/1125 = 600/1125 = 0.5333
    # at 75 s: 25 + 0.5333 · 52.5 = 53
    assert predicted_rps(SETTINGS, TIMES_S, rates(10, 30, 20, 40), 45.0) == pytest.approx(53.0)


def test_only_the_range_counts() -> None:
    # from 60 s the sample at 0 s lies outside (older or equal to 60 s): 10, 10, 10 stay 10
    assert predicted_rps(SETTINGS, TIMES_S, rates(1000, 10, 10, 10), 60.0) == pytest.approx(10.0)


def test_missing_samples_are_left_out_and_demand_is_never_negative() -> None:
    assert predicted_rps(SETTINGS, TIMES_S, rates(0, np.nan, 60, 90), 45.0) == pytest.approx(150.0)
    assert predicted_rps(SETTINGS, TIMES_S, rates(90, 60, 30, 0), 45.0) == 0.0


def test_one_sample_is_no_trend() -> None:
    assert predicted_rps(SETTINGS, TIMES_S, rates(np.nan, np.nan, np.nan, 90), 45.0) is None
    assert predicted_rps(SETTINGS, rates(), rates(), 45.0) is None


def test_the_hpa_takes_the_prediction_as_an_average_per_pod() -> None:
    reading, _ = propose(SETTINGS, PredictLinearState(), TIMES_S, rates(0, 30, 60, 90), 3, 45.0)
    extra: MetricSpec = metric(SETTINGS)

    decision, _ = sync(HpaSpec(1, 50, (extra,)), HpaState(()), Seen(8, 8, [], (reading,)), 45.0)

    assert reading == SeriesReadings((150_000,))
    assert decision.desired == 15


def ask_without_data(settings: PredictLinearSettings, times: int, replicas: int) -> Reading:
    state, reading = PredictLinearState(), None
    for i in range(times):
        reading, state = propose(settings, state, TIMES_S, rates(*[np.nan] * 4), replicas, 45.0 + 15.0 * i)
    return reading


def test_without_fallback_a_failing_query_stays_an_error() -> None:
    assert ask_without_data(SETTINGS, 9, 4) is None


@pytest.mark.parametrize(
    ("fallback", "replicas", "stand_in"),
    [
        ("static", 9, 6),
        ("currentReplicas", 9, 9),
        ("currentReplicasIfHigher", 9, 9),
        ("currentReplicasIfHigher", 4, 6),
        ("currentReplicasIfLower", 9, 6),
        ("currentReplicasIfLower", 4, 4),
    ],
)
def test_the_fallback_stands_in_after_three_failures(fallback: str, replicas: int, stand_in: int) -> None:
    settings = replace(SETTINGS, fallback_replicas=6, fallback=fallback)

    assert ask_without_data(settings, 2, replicas) is None
    assert ask_without_data(settings, 3, replicas) == SeriesReadings((stand_in * 10_000,))


def test_a_success_clears_the_failures() -> None:
    _, state = propose(SETTINGS, PredictLinearState(failures=2), TIMES_S, rates(1, 1, 1, 1), 4, 45.0)

    assert state == PredictLinearState()
