"""The last value and the last cycle, spread by how wrong they were before: the yardsticks."""

from __future__ import annotations

import numpy as np

from forecasting.backtesting.classical import Past, spread_by_errors
from forecasting.forecast import Floats


def random_walk(past: Past, horizon: int) -> Floats:
    """Quantiles `(steps, levels)` around the newest value."""
    values = past.values
    deviations = spread_by_errors(lambda lead: values[lead:] - values[:-lead], horizon)
    return np.asarray(values[-1] + deviations)


def seasonal_naive(past: Past, horizon: int) -> Floats:
    """Quantiles `(steps, levels)` around the last cycle; a random walk where there is no season."""
    season, values = past.season, past.values
    if season == 0 or season >= values.size:
        return random_walk(past, horizon)

    def errors(lead: int) -> Floats:
        back = season * -(-lead // season)
        return values[back:] - values[:-back]

    ahead = np.arange(horizon) % season
    points = values[values.size - season + ahead]
    return np.asarray(points[:, None] + spread_by_errors(errors, horizon))
