"""The season of simple models and of the error scale of MASE: the day where history holds it, else what repeats."""

from __future__ import annotations

import numpy as np

from forecasting.features import DAY_S
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.seasons import season_steps

#: Days that must lie in the history before the day counts as the season.
FEWEST_DAYS = 2
#: Points in which another cycle is looked for.
SEASON_POINTS = 1024
#: A day of fewer steps than this is no season but a step or two.
SHORTEST_DAY_STEPS = 4


def seasons_of(values: Floats, known: Bools, step_s: float) -> Ints:
    """Steps of the season of each row of filled `values` `(rows, points)`, 0 where there is none.

    The day, as is the custom for operations data, where two of them are known; else the cycle that autocorrelation
    finds, which may be a cron job's.
    """
    day = DAY_S / step_s
    spans = values.shape[1] - np.argmax(known, axis=1)
    season = season_steps(values[:, -SEASON_POINTS:], known[:, -SEASON_POINTS:])
    if abs(day - round(day)) > 1e-9 or day < SHORTEST_DAY_STEPS:
        return season
    return np.where(spans >= FEWEST_DAYS * round(day), round(day), season)
