"""Ablations: what is taken away is gone, and nothing else is."""

from __future__ import annotations

import numpy as np

from forecasting.fallback import FallbackForecaster
from forecasting.forecast import LEVELS, Forecast, Forecaster, ForecastRequest
from simulation.controllers.ablation import AblatedForecaster, Ablation


def walk(rows: int = 2) -> ForecastRequest:
    values = 100.0 + np.random.default_rng(1).normal(size=(rows, 200)).cumsum(axis=1)
    return ForecastRequest(tuple(f"series-{row}" for row in range(rows)), values, 15.0, 0.0, 32, samples=200)


def forecast(forecaster: Forecaster) -> Forecast:
    return forecaster.forecast(walk(), None, 0.0, np.random.default_rng(3))[0]


def ablated(ablation: Ablation) -> Forecast:
    return forecast(AblatedForecaster(FallbackForecaster(), ablation))


def neighbours_correlation(paths: np.ndarray) -> float:
    """Correlation over samples between step 20 and step 21 of the first series."""
    return float(np.corrcoef(paths[0, :, 19], paths[0, :, 20])[0, 1])


def test_independent_samples_keep_every_steps_distribution_and_lose_the_path() -> None:
    whole, less = forecast(FallbackForecaster()), ablated("independent")

    assert np.array_equal(less.quantiles, whole.quantiles)
    assert np.array_equal(np.sort(less.paths, axis=1), np.sort(whole.paths, axis=1))
    assert neighbours_correlation(whole.paths) > 0.8
    assert abs(neighbours_correlation(less.paths)) < 0.25  # three and a half deviations of 200 independent pairs


def test_independent_samples_reach_further_at_their_maximum() -> None:
    """The mean over samples of the highest step: one of 32 independent draws is higher than one of a smooth path."""
    whole, less = forecast(FallbackForecaster()), ablated("independent")

    assert less.paths.max(axis=2).mean() > whole.paths.max(axis=2).mean()


def test_a_point_is_the_median_and_certain_of_it() -> None:
    whole, less = forecast(FallbackForecaster()), ablated("point")

    median = whole.quantiles[:, :, LEVELS.index(0.50)]
    assert np.array_equal(less.quantiles, np.repeat(median[:, :, None], len(LEVELS), axis=2))
    assert np.array_equal(less.paths, np.repeat(median[:, None, :], 200, axis=1))


def test_the_model_says_what_was_taken_from_it() -> None:
    assert ablated("point").model == "fallback-point"
    assert ablated("independent").model == "fallback-independent"


def test_the_state_is_the_whole_forecasters() -> None:
    whole, less = FallbackForecaster(), AblatedForecaster(FallbackForecaster(), "point")

    _, state = whole.forecast(walk(), None, 0.0, np.random.default_rng(3))
    _, other = less.forecast(walk(), None, 0.0, np.random.default_rng(3))

    assert less.dump(other) == whole.dump(state)
    assert less.dump(less.load(less.dump(other))) == whole.dump(state)
