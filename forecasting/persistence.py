"""Current values persist: the outlook of one that has every actuator but no forecast."""

from __future__ import annotations

from typing import Any

import numpy as np

from forecasting.certain import certain_forecast
from forecasting.forecast import Forecast, ForecastRequest, NoForecastReason


class PersistenceForecaster:
    """Answers with the last known value of each series; declared events mean nothing to it."""

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        """Series without any finite value have no forecast. Draws nothing from `rng` and keeps no state."""
        known = np.isfinite(request.values)
        points = known.shape[1]
        rows = np.arange(known.shape[0])
        if points == 0:
            last = np.full(known.shape[0], np.nan)
            has_value = np.zeros(known.shape[0], dtype=bool)
        else:
            newest = points - 1 - np.argmax(known[:, ::-1], axis=1)
            has_value = known[rows, newest]
            last = np.where(has_value, request.values[rows, newest], np.nan)
        unavailable = {request.series[row]: NoForecastReason.ALL_MISSING for row in np.flatnonzero(~has_value)}
        expected = np.broadcast_to(last[:, None], (len(last), request.horizon_steps))
        return certain_forecast(request, expected, now_s, "persistence", unavailable), state

    def dump(self, state: Any) -> Any:
        return state

    def load(self, dumped: Any) -> Any:
        return dumped
