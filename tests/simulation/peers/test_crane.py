"""Crane's periodic forecast on signals whose period is known."""

from __future__ import annotations

import numpy as np
import pytest

from simulation.hpa.values import AverageValue, SeriesReadings
from simulation.peers.crane import (
    CraneSettings,
    CraneState,
    Smoothing,
    forecast_cycle,
    is_periodic,
    metric,
    propose,
)

STEP_S = 60.0
DAY = 96  # steps of a short day
SETTINGS = CraneSettings(
    target_rps_per_pod=10.0, seasons_s=(DAY * STEP_S,), look_ahead_s=10 * STEP_S, refit_s=48 * STEP_S, margins=(0.1,)
)


def wave(days: float, level: float = 100.0, height: float = 50.0) -> np.ndarray:
    """Lowest at the start of the day, highest at noon."""
    steps = np.arange(round(days * DAY))
    return level - height * np.cos(2.0 * np.pi * steps / DAY)


def pulses_on_a_trend() -> np.ndarray:
    """Strong at half a day in the spectrum and alike a day later, but a day is no peak of that likeness."""
    history = np.linspace(0.0, 150.0, 12 * DAY)
    for start in range(0, 12 * DAY, 3 * DAY // 2):
        history[start : start + 6] += 200.0
    return history


def test_a_daily_wave_is_periodic_and_repeats_with_the_margin() -> None:
    forecast = forecast_cycle(SETTINGS, wave(3), STEP_S)

    assert forecast is not None
    np.testing.assert_allclose(forecast, 1.1 * wave(1), rtol=1e-6)


def test_the_forecast_continues_where_the_history_ends() -> None:
    forecast = forecast_cycle(SETTINGS, wave(3.25), STEP_S)

    # a quarter of a day later: the level itself, rising
    assert forecast is not None
    assert forecast[0] == pytest.approx(1.1 * 100.0, rel=0.001)
    assert forecast[DAY // 4] == pytest.approx(1.1 * 150.0, rel=0.001)


@pytest.mark.parametrize(
    "history",
    [
        pytest.param(np.random.default_rng(7).normal(100.0, 20.0, 4 * DAY), id="noise"),
        pytest.param(100.0 + np.cumsum(np.random.default_rng(2).normal(0.0, 1.0, 4 * DAY)), id="random-walk"),
        pytest.param(np.linspace(10.0, 200.0, 4 * DAY), id="trend"),
        pytest.param(pulses_on_a_trend(), id="pulses-every-36-hours-on-a-trend"),
        pytest.param(np.full(4 * DAY, 70.0), id="constant"),
        pytest.param(wave(1.9), id="less-than-two-days"),
        pytest.param(100.0 + 50.0 * np.sin(2 * np.pi * np.arange(4 * DAY) / (DAY * 0.73)), id="another-period"),
        pytest.param(np.full(4 * DAY, np.nan), id="unknown"),
        pytest.param(np.array([]), id="empty"),
    ],
)
def test_without_the_period_there_is_no_forecast(history: np.ndarray) -> None:
    assert forecast_cycle(SETTINGS, history, STEP_S) is None


def test_a_wave_is_found_under_noise() -> None:
    noisy = wave(5) + np.random.default_rng(3).normal(0.0, 25.0, 5 * DAY)

    assert is_periodic(SETTINGS, noisy, DAY)


def test_a_narrow_daily_peak_is_found_by_its_harmonics() -> None:
    day = np.full(DAY, 20.0)
    day[40:46] = 200.0

    assert is_periodic(SETTINGS, np.tile(day, 4), DAY)


def test_short_gaps_are_bridged_and_history_before_a_long_one_is_dropped() -> None:
    short = wave(3)
    short[100:105] = np.nan
    long = wave(4)
    long[: DAY // 2] = 9999.0
    long[DAY // 2 : DAY // 2 + 70] = np.nan  # 70 minutes, more than an hour: 2.7 days remain

    bridged, cut = forecast_cycle(SETTINGS, short, STEP_S), forecast_cycle(SETTINGS, long, STEP_S)

    assert bridged is not None and cut is not None
    np.testing.assert_allclose(bridged, 1.1 * wave(1), rtol=0.05)
    np.testing.assert_allclose(cut, 1.1 * wave(1), rtol=0.05)


def test_the_hpa_sees_the_largest_forecast_of_the_look_ahead() -> None:
    now_s = 3 * DAY * STEP_S  # midnight; the history ended one step ago
    reading, state = propose(SETTINGS, CraneState(), wave(3), STEP_S, now_s - STEP_S, now_s)
    later_s = now_s + 40 * STEP_S  # 8 steps before noon, which the look-ahead of 10 contains
    before_noon, state = propose(SETTINGS, state, wave(1), STEP_S, later_s - STEP_S, later_s)

    # rising from midnight: the value in 10 steps
    assert isinstance(reading, SeriesReadings) and isinstance(before_noon, SeriesReadings)
    assert reading.values_m[0] == pytest.approx(1100.0 * wave(1)[10], rel=1e-4)
    assert before_noon.values_m[0] == pytest.approx(1100.0 * 150.0, rel=1e-4)
    assert metric(SETTINGS).target == AverageValue(10_000)


def test_the_forecast_is_fitted_again_only_when_it_is_due() -> None:
    now_s = 3 * DAY * STEP_S
    _, state = propose(SETTINGS, CraneState(), wave(3), STEP_S, now_s - STEP_S, now_s)
    _, kept = propose(SETTINGS, state, wave(3) * 9.0, STEP_S, now_s + STEP_S, now_s + 47 * STEP_S)
    _, refitted = propose(SETTINGS, state, wave(3) * 9.0, STEP_S, now_s + STEP_S, now_s + 48 * STEP_S)

    assert kept is state
    assert refitted.fitted_at_s == now_s + 48 * STEP_S


def test_a_forecast_that_has_run_out_is_an_error_and_so_is_no_period() -> None:
    now_s = 3 * DAY * STEP_S
    patient = CraneSettings(10.0, seasons_s=(DAY * STEP_S,), refit_s=1e9, margins=(0.1,))
    _, state = propose(patient, CraneState(), wave(3), STEP_S, now_s - STEP_S, now_s)

    outdated, _ = propose(patient, state, wave(3), STEP_S, now_s, now_s + (DAY + 2) * STEP_S)
    aperiodic, state = propose(patient, CraneState(), np.full(3 * DAY, 5.0), STEP_S, now_s, now_s)

    assert outdated is None
    assert aperiodic is None
    assert state.fitted_at_s == now_s  # it looks again only when it is due


def test_unknown_newest_samples_do_not_shift_the_forecast() -> None:
    now_s = 3 * DAY * STEP_S
    history = np.append(wave(3), [np.nan] * 5)

    _, state = propose(SETTINGS, CraneState(), history, STEP_S, now_s + 4 * STEP_S, now_s + 5 * STEP_S)

    assert state.from_s == now_s  # the first step after the last known one


def test_the_margin_that_would_have_been_right_yesterday_is_taken() -> None:
    # every day 15 % higher than the one before: the repeated day falls short, so the largest margin wins
    growing = np.concatenate([wave(1) * 1.15**day for day in range(3)])
    settings = CraneSettings(
        10.0, seasons_s=(DAY * STEP_S,), margins=(0.0, 0.15), smoothings=(Smoothing(DAY, 0.0),), peak_share=1 / 6
    )

    forecast = forecast_cycle(settings, growing, STEP_S)

    assert forecast is not None
    np.testing.assert_allclose(forecast, growing[-DAY:] * 1.15, rtol=0.02)


def test_weak_fast_components_are_taken_for_noise() -> None:
    noisy = wave(5) + np.random.default_rng(4).normal(0.0, 5.0, 5 * DAY)
    settings = CraneSettings(10.0, seasons_s=(DAY * STEP_S,), margins=(0.0,), smoothings=(Smoothing(3, 1.0),))

    forecast = forecast_cycle(settings, noisy, STEP_S)

    # Up to 24 oscillations of 48 a day are kept: half of the noise's power, 0.7 of its spread.
    assert forecast is not None
    assert np.std(forecast - wave(1)) < 0.85 * np.std(noisy[-DAY:] - wave(1))
