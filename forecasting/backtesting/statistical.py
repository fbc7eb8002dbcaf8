"""AutoTheta, MSTL and AutoETS of the statsforecast library, imported when one of them is asked for."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from forecasting.backtesting.classical import Model, ModelFailed, Past, shortened, tried_in_turn
from forecasting.backtesting.errors import CandidateUnavailable
from forecasting.backtesting.naive import seasonal_naive
from forecasting.forecast import LEVELS, Floats

#: Points that are fitted: as many as the anchors saw, or three seasons where that is more.
FEWEST_FITTED, SEASONS_FITTED, MOST_FITTED = 512, 3, 2016
#: Seasons longer than this are beyond what these models fit in reasonable time.
LONGEST_SEASON = 672
#: Central intervals, in percent, whose ends are the quantiles of `LEVELS`.
INTERVALS: tuple[int, ...] = tuple(round(100.0 * (1.0 - 2.0 * level)) for level in LEVELS if level < 0.5)


def auto_theta() -> Model:
    """The best of four Theta methods."""
    models = _library()
    return _of_library(lambda season: models.AutoTheta(season_length=max(season, 1)))


def auto_ets() -> Model:
    """Exponential smoothing chosen by information criterion, without season (with one it takes minutes)."""
    models = _library()
    return _of_library(lambda season: models.AutoETS(season_length=1))


def mstl() -> Model:
    """Season by LOESS, trend by AutoETS; series without season by seasonal naive's random walk."""
    models = _library()

    def made(season: int) -> Any:
        if season < 2:
            raise ModelFailed("nothing repeats")
        return models.MSTL(season_length=season)

    return tried_in_turn([_of_library(made), seasonal_naive])


def _of_library(made: Callable[[int], Any]) -> Model:
    def model(past: Past, horizon: int) -> Floats:
        season = past.season if past.season <= LONGEST_SEASON else 0
        past = shortened(past, min(max(FEWEST_FITTED, SEASONS_FITTED * season), MOST_FITTED))
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            try:
                answer = made(season).forecast(y=past.values, h=horizon, level=list(INTERVALS))
            except (ValueError, ArithmeticError, IndexError, RuntimeError, np.linalg.LinAlgError) as error:
                raise ModelFailed(str(error)) from error
        quantiles = _quantiles(answer)
        if not np.isfinite(quantiles).all():
            raise ModelFailed("its intervals are not finite")
        return quantiles

    return model


def _quantiles(answer: dict[str, Floats]) -> Floats:
    lower = [answer[f"lo-{interval}"] for interval in INTERVALS]
    upper = [answer[f"hi-{interval}"] for interval in reversed(INTERVALS)]
    return np.stack([*lower, answer["mean"], *upper], axis=1).astype(np.float64)


def _library() -> Any:
    try:
        import statsforecast.models as models
    except ImportError as error:
        raise CandidateUnavailable(
            "needs statsforecast: pip install 'foresail[dev]', or leave this model out"
        ) from error
    return models
