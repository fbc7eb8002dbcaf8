from __future__ import annotations

import sys

import numpy as np
import pytest

from forecasting.backtesting.candidates import NAMES, REFERENCE, Training, candidate, candidates_named
from forecasting.backtesting.classical import ClassicalForecaster, ModelFailed, Past, spread_by_errors
from forecasting.backtesting.errors import CandidateUnavailable, CandidateUnknown
from forecasting.backtesting.holt_winters import holt_winters
from forecasting.backtesting.naive import random_walk, seasonal_naive
from forecasting.backtesting.path_makers import PATH_MAKERS, WithPaths
from forecasting.backtesting.predict_linear import predict_linear
from forecasting.backtesting.prophet_like import prophet_like
from forecasting.backtesting.seasonality import seasons_of
from forecasting.backtesting.trained import PerStep
from forecasting.forecast import LEVELS, ForecastRequest, NoForecastReason
from forecasting.quantiles import MEDIAN

CLASSICAL = {
    "seasonal-naive": seasonal_naive,
    "random-walk": random_walk,
    "predict-linear": predict_linear,
    "holt-winters": holt_winters,
    "prophet-like": prophet_like,
}


def _past(values, season=0, step_s=60.0):
    return Past(np.asarray(values, dtype=float), season, step_s)


def _request(values, step_s=60.0, steps=16, **more):
    values = np.atleast_2d(np.asarray(values, dtype=float))
    names = tuple(f"series-{row}" for row in range(values.shape[0]))
    return ForecastRequest(names, values, step_s, 0.0, steps, **more)


def _forecast(forecaster, request, seed=0):
    return forecaster.forecast(request, None, request.last_at_s, np.random.default_rng(seed))[0]


def _noisy_cycle(points, season=24, seed=0, trend=0.0):
    rng = np.random.default_rng(seed)
    time = np.arange(points)
    return 100.0 + 20.0 * np.sin(2 * np.pi * time / season) + trend * time + rng.normal(size=points)


def test_seasonal_naive_repeats_the_last_cycle():
    cycle = [3.0, 1.0, 4.0, 1.0, 5.0]

    quantiles = seasonal_naive(_past(cycle * 20, season=5), 7)

    assert quantiles[:, MEDIAN].tolist() == [3.0, 1.0, 4.0, 1.0, 5.0, 3.0, 1.0]
    assert np.ptp(quantiles, axis=1).max() == 0.0  # it was never wrong


def test_seasonal_naive_without_a_season_is_the_random_walk():
    values = np.random.default_rng(0).normal(size=200)

    assert seasonal_naive(_past(values), 8).tolist() == random_walk(_past(values), 8).tolist()


def test_random_walk_spreads_by_what_the_past_moved_at_that_lead():
    steps = np.random.default_rng(0).normal(size=4000)

    quantiles = random_walk(_past(np.cumsum(steps)), 16)

    # the 0.9 quantile of a walk of unit steps is 1.28 roots of the lead; at lead 16 a thousand errors hold few
    # independent ones
    spread = (quantiles[:, LEVELS.index(0.9)] - quantiles[:, LEVELS.index(0.1)]) / 2
    assert spread[0] == pytest.approx(1.28, rel=0.1)
    assert spread[15] == pytest.approx(1.28 * 4, rel=0.35)


def test_leads_without_enough_errors_widen_as_a_walk():
    spread = spread_by_errors(lambda lead: np.tile([-1.0, 1.0], 10) if lead == 1 else np.zeros(0), 16)

    assert spread[15] == pytest.approx(4.0 * spread[0])


@pytest.mark.parametrize("model", [predict_linear, holt_winters, prophet_like], ids=["line", "holt-winters", "prophet"])
def test_a_straight_line_is_carried_on(model):
    quantiles = model(_past(5.0 + 2.0 * np.arange(400)), 10)

    expected = 5.0 + 2.0 * np.arange(400, 410)
    # Holt-Winters damps its trend by 2 % a step: 10 steps of 2 become 18
    assert quantiles[:, MEDIAN] == pytest.approx(expected, abs=2.5)


@pytest.mark.parametrize(
    "model", [seasonal_naive, holt_winters, prophet_like], ids=["naive", "holt-winters", "prophet"]
)
def test_a_cycle_is_seen(model):
    values = _noisy_cycle(24 * 20)

    quantiles = model(_past(values, season=24), 24)

    expected = 100.0 + 20.0 * np.sin(2 * np.pi * np.arange(480, 504) / 24)
    # noise of deviation 1: seasonal naive carries it over once
    assert np.abs(quantiles[:, MEDIAN] - expected).mean() < 1.2
    # while the cycle swings by 20
    assert np.ptp(quantiles[:, MEDIAN]) > 30.0


@pytest.mark.parametrize("name", ["seasonal-naive", "random-walk", "predict-linear", "holt-winters", "prophet-like"])
def test_bands_of_a_noisy_cycle_hold_what_came(name):
    values = np.stack([_noisy_cycle(24 * 20 + 16, seed=seed, trend=0.01) for seed in range(40)])

    forecast = _forecast(ClassicalForecaster(name, CLASSICAL[name]), _request(values[:, :-16]))

    low, high = forecast.quantiles[:, :, LEVELS.index(0.1)], forecast.quantiles[:, :, LEVELS.index(0.9)]
    inside = np.mean((values[:, -16:] >= low) & (values[:, -16:] <= high))
    assert 0.65 < inside < 0.93


@pytest.mark.parametrize("name", list(CLASSICAL))
def test_short_constant_gappy_and_huge_series_get_finite_forecasts_within_limits(name):
    rng = np.random.default_rng(2)
    values = np.stack(
        [np.full(80, 7.0), np.zeros(80), rng.normal(size=80), 1e12 * rng.random(80), 1e-12 * rng.random(80)]
    )
    values[2, 10:20], values[3, -3:], values[4, :60] = np.nan, np.nan, np.nan
    request = _request(values, steps=64, lower_limit=np.zeros(5))

    forecast = _forecast(ClassicalForecaster(name, CLASSICAL[name]), request)

    assert not forecast.unavailable
    assert np.isfinite(forecast.quantiles).all()
    assert np.isfinite(forecast.paths).all()
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert (forecast.quantiles >= 0).all()
    assert (forecast.paths >= 0).all()
    assert forecast.quantiles[0, 0] == pytest.approx(np.full(25, 7.0))


def test_a_series_that_the_model_refuses_is_named_and_the_others_are_answered():
    def picky(past, horizon):
        if past.values[-1] == 0.0:
            raise ModelFailed("no zeros")
        return random_walk(past, horizon)

    forecast = _forecast(ClassicalForecaster("picky", picky), _request([np.arange(80.0), np.zeros(80)]))

    assert dict(forecast.unavailable) == {"series-1": NoForecastReason.MODEL_FAILED}
    assert np.isnan(forecast.quantiles[1]).all()
    assert np.isfinite(forecast.quantiles[0]).all()


def test_a_runaway_model_is_clamped_to_what_the_history_makes_believable():
    def runaway(past, horizon):
        return np.full((horizon, len(LEVELS)), 1e9)

    forecast = _forecast(ClassicalForecaster("runaway", runaway), _request([np.arange(80.0)]))

    assert forecast.quantiles.max() == 79.0 + 79.0  # the range once more


def test_the_day_is_the_season_where_two_of_them_are_known_else_what_repeats():
    values = np.stack([_noisy_cycle(600, season=20)])
    known = np.ones_like(values, dtype=bool)

    assert seasons_of(values, known, step_s=300.0).tolist() == [288]  # 5 minutes: 600 points are two days
    assert seasons_of(values[:, :500], known[:, :500], step_s=300.0).tolist() == [20]
    assert seasons_of(values, known, step_s=7.0).tolist() == [20]  # 7 s do not divide a day


def test_ways_to_draw_samples_keep_the_marginals():
    request = _request([_noisy_cycle(300)], samples=50)
    base = ClassicalForecaster("walk", random_walk)

    for name, made in PATH_MAKERS.items():
        paths = _forecast(WithPaths(base, made), request).paths
        assert np.sort(paths, axis=1) == pytest.approx(np.sort(_forecast(base, request).paths, axis=1)), name


def test_independent_steps_peak_higher_than_comonotone_ones():
    request = _request([np.cumsum(np.random.default_rng(0).normal(size=400))], samples=200)
    base = ClassicalForecaster("walk", random_walk)

    peak = {
        name: _forecast(WithPaths(base, made), request).paths.max(axis=2).mean() for name, made in PATH_MAKERS.items()
    }

    assert peak["comonotone"] < peak["schaake"] < peak["independent"]


def test_the_reference_comes_first_and_every_candidate_once():
    assert [each.name for each in candidates_named("random-walk, seasonal-naive,random-walk")] == [
        REFERENCE,
        "random-walk",
    ]
    assert [each.name for each in candidates_named("all")] == list(NAMES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        pytest.param("magic", "no model is called 'magic'", id="name"),
        pytest.param(" , ", "no model is named", id="none"),
        pytest.param("random-walk@magic", "no way to draw samples is called 'magic'", id="paths"),
        pytest.param("onnx:nowhere", "nowhere is no folder", id="folder"),
    ],
)
def test_unknown_candidates_are_refused_with_what_there_is(text, message):
    with pytest.raises(CandidateUnknown, match=message):
        candidates_named(text)


def test_a_missing_library_is_named_with_its_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "statsforecast.models", None)

    with pytest.raises(CandidateUnavailable, match=r"foresail\[dev\]"):
        candidate("auto-theta").made("group", (), Training(1.0, 0, tmp_path))


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::FutureWarning")
@pytest.mark.parametrize("name", ["auto-theta", "mstl", "auto-ets"])
def test_library_models_have_rising_quantiles_around_their_mean(name, tmp_path):
    pytest.importorskip("statsforecast")
    forecaster = candidate(name).made("group", (), Training(1.0, 0, tmp_path))

    forecast = _forecast(forecaster, _request([_noisy_cycle(240)]))

    assert not forecast.unavailable
    assert (np.diff(forecast.quantiles, axis=2) >= 0).all()
    assert forecast.quantiles[0, 0, -1] - forecast.quantiles[0, 0, 0] > 1.0
    assert forecast.quantiles[0, :, MEDIAN] == pytest.approx(np.full(16, 100.0), abs=45.0)


def test_models_per_step_answer_for_their_step_only_and_start_anew_at_another():
    class Counting:
        def forecast(self, request, state, now_s, rng):
            forecast, _ = ClassicalForecaster("walk", random_walk).forecast(request, None, now_s, rng)
            return forecast, (state or 0) + 1

        def dump(self, state):
            return {"asked": state}

        def load(self, dumped):
            return dumped["asked"]

    models = PerStep({60.0: Counting(), 15.0: Counting()})
    rng = np.random.default_rng(0)
    minutes, quarters = _request([_noisy_cycle(100)]), _request([_noisy_cycle(100)], step_s=15.0)

    _, once = models.forecast(minutes, None, 0.0, rng)
    _, twice = models.forecast(minutes, models.load(models.dump(once)), 0.0, rng)
    _, anew = models.forecast(quarters, twice, 0.0, rng)
    unknown, _ = models.forecast(_request([_noisy_cycle(100)], step_s=7.0), anew, 0.0, rng)

    assert (once, twice, anew) == ((60.0, 1), (60.0, 2), (15.0, 1))
    assert dict(unknown.unavailable) == {"series-0": NoForecastReason.MODEL_FAILED}


def test_training_without_its_libraries_names_their_extra(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "forecasting.own_models.training", None)

    with pytest.raises(CandidateUnavailable, match=r"foresail\[train\]"):
        candidate("tide").made("group", (), Training(1.0, 0, tmp_path))
