"""Which forecaster an installation gets."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import ForecastRequest
from forecasting.persistence import PersistenceForecaster
from forecasting.serving import GenerativeForecaster
from foresail.forecasters import forecaster
from foresail.settings import Settings


def test_an_installation_forecasts_unless_told_otherwise() -> None:
    assert isinstance(forecaster(Settings.from_environment({})), GenerativeForecaster)


def test_for_comparisons_the_present_value_can_stand_for_the_future() -> None:
    chosen = forecaster(Settings.from_environment({"FORESAIL_OUTLOOK": "persistence"}))

    asked = ForecastRequest(("web",), np.array([[5.0, 7.0]]), 15.0, 30.0, 4)
    forecast, _ = chosen.forecast(asked, None, 30.0, np.random.default_rng(1))
    assert isinstance(chosen, PersistenceForecaster)
    assert forecast.quantile(0.95).tolist() == [[7.0, 7.0, 7.0, 7.0]]
