"""Holt-Winters: level, damped trend and additive season, smoothed exponentially; its parameters from a grid.

Errors are those of the same smoothing at every past origin, so spread at lead 60 is measured at lead 60.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from numba import njit

from forecasting.backtesting.classical import Past, shortened, spread_by_errors
from forecasting.forecast import Floats

#: Points that are smoothed; longer histories are cut.
LONGEST = 4608
DAMPING = 0.98
#: Smoothing of level, trend and season that are tried; the one with the smallest one-step errors is taken.
GRID: Floats = np.asarray(list(product((0.05, 0.15, 0.35, 0.65, 0.95), (0.0, 0.02, 0.1), (0.02, 0.15, 0.4))))
GRID_WITHOUT_SEASON: Floats = np.asarray(list(product((0.05, 0.15, 0.35, 0.65, 0.95), (0.0, 0.02, 0.1), (0.0,))))


def holt_winters(past: Past, horizon: int) -> Floats:
    """Quantiles `(steps, levels)` by damped Holt-Winters."""
    past = shortened(past, LONGEST)
    values = past.values
    season = past.season if 0 < 2 * past.season <= values.size else 0
    grid = GRID if season else GRID_WITHOUT_SEASON
    best = grid[int(np.argmin(_one_step_losses(values, season, grid, DAMPING)))]
    level, trend, cycle = _smoothed(values, season, best[0], best[1], best[2], DAMPING)
    points, settled = values.size, max(2 * season, min(16, values.size // 4))

    def forecast(origins: np.ndarray[tuple[int], np.dtype[np.intp]], lead: int) -> Floats:
        grown = DAMPING * (1.0 - DAMPING**lead) / (1.0 - DAMPING)
        seasonal = cycle[origins + lead - season * (-(-lead // season))] if season else 0.0
        return np.asarray(level[origins] + grown * trend[origins] + seasonal)

    def errors(lead: int) -> Floats:
        origins = np.arange(settled, points - lead)
        return values[origins + lead] - forecast(origins, lead)

    now = np.asarray([points - 1])
    line = np.concatenate([forecast(now, lead) for lead in range(1, horizon + 1)])
    return np.asarray(line[:, None] + spread_by_errors(errors, horizon))


@njit(cache=True)
def _smoothed(
    values: Floats, season: int, level_share: float, trend_share: float, season_share: float, damping: float
) -> tuple[Floats, Floats, Floats]:
    """Level, trend and season after each point, all `(points,)`. The first cycle starts them."""
    points = values.size
    level, trend, cycle = np.zeros(points), np.zeros(points), np.zeros(points)
    first = max(season, 1)
    mean = values[:first].mean()
    for place in range(first):
        level[place] = mean if season else values[place]
        cycle[place] = values[place] - mean if season else 0.0
    for place in range(first, points):
        before = cycle[place - season] if season else 0.0
        carried = level[place - 1] + damping * trend[place - 1]
        level[place] = carried + level_share * (values[place] - before - carried)
        trend[place] = damping * trend[place - 1] + trend_share * (level[place] - carried)
        cycle[place] = before + season_share * (values[place] - level[place] - before)
    return level, trend, cycle


@njit(cache=True)
def _one_step_losses(values: Floats, season: int, grid: Floats, damping: float) -> Floats:
    """Mean absolute one-step error of each row of the grid, after the first two cycles."""
    losses = np.zeros(grid.shape[0])
    first = max(season, 1)
    counted = min(2 * first, values.size - 1)
    for row in range(grid.shape[0]):
        level, trend, cycle = _smoothed(values, season, grid[row, 0], grid[row, 1], grid[row, 2], damping)
        total = 0.0
        for place in range(counted, values.size):
            before = cycle[place - season] if season else 0.0
            total += abs(values[place] - level[place - 1] - damping * trend[place - 1] - before)
        losses[row] = total / (values.size - counted)
    return losses
