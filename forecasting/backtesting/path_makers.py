"""Ways to turn the same marginal quantiles into samples, so that dependence over time is judged by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecasting.backtesting.classical import ranked_by_past
from forecasting.backtesting.seasonality import seasons_of
from forecasting.features import LONGEST_CONTEXT
from forecasting.forecast import Floats, Forecast, Forecaster, ForecastRequest
from forecasting.history import clean
from forecasting.quantiles import sampling_weights

PathMaker = Callable[[Floats, ForecastRequest, float, np.random.Generator], Floats]
"""Quantiles `(series, steps, levels)`, request, now and randomness → paths `(series, samples, steps)`."""


@dataclass(frozen=True, slots=True)
class WithPaths:
    """A forecaster whose samples are made anew from its quantiles; implements `Forecaster`."""

    forecaster: Forecaster
    made: PathMaker

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        forecast, state = self.forecaster.forecast(request, state, now_s, rng)
        return replace(forecast, paths=self.made(forecast.quantiles, request, now_s, rng)), state

    def dump(self, state: Any) -> Any:
        return self.forecaster.dump(state)

    def load(self, dumped: Any) -> Any:
        return self.forecaster.load(dumped)


def independent(quantiles: Floats, request: ForecastRequest, now_s: float, rng: np.random.Generator) -> Floats:
    """Every step drawn by itself, as block models of forecasting libraries do."""
    return rng.permuted(comonotone(quantiles, request, now_s, rng), axis=1)


def comonotone(quantiles: Floats, request: ForecastRequest, now_s: float, rng: np.random.Generator) -> Floats:
    """One quantile level for all steps of a sample: the other extreme."""
    return np.ascontiguousarray((quantiles @ sampling_weights(request.samples)).swapaxes(1, 2))


def schaake(quantiles: Floats, request: ForecastRequest, now_s: float, rng: np.random.Generator) -> Floats:
    """Ranks of past trajectories, the same for every model."""
    paths = np.full((len(request.series), request.samples, request.horizon_steps), np.nan)
    history = clean(request, now_s, LONGEST_CONTEXT)
    if history.rows.size:
        season = seasons_of(history.values, history.known, request.step_s)
        paths[history.rows] = ranked_by_past(quantiles[history.rows], history, season, request, rng)
    return paths


PATH_MAKERS: dict[str, PathMaker] = {"independent": independent, "comonotone": comonotone, "schaake": schaake}
