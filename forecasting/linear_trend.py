"""What `predict_linear` says: least squares through the newest points, the forecast that people write as PromQL.

Prometheus' function has no distribution; here it gets the one that goes with it, normal around the line with the
deviation of the residuals and of the line itself, so that it can be scored beside distributions.
"""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools
from forecasting.quantiles import NORMAL_SCORES

#: How far back the line looks: ten minutes of demand, forty of a failure signal.
RANGE_STEPS = 40


def linear_quantiles(values: Floats, known: Bools, leads: tuple[int, ...]) -> Floats:
    """Quantiles at `LEVELS` after each of `leads` steps, `(rows, leads, levels)`.

    `values` finite and `known`, `(rows, points)`. A row with fewer than three known points in range stays at its last
    value, certain of it.
    """
    values, known = values[:, -RANGE_STEPS:], known[:, -RANGE_STEPS:]
    ages = np.arange(values.shape[1], dtype=np.float64) - (values.shape[1] - 1)
    weights = known.astype(np.float64)
    count = np.maximum(weights.sum(axis=1), 1.0)
    middle_age = weights @ ages / count
    middle = (weights * values).sum(axis=1) / count
    offsets = (ages - middle_age[:, None]) * weights
    scatter = (offsets * ages).sum(axis=1)
    enough = count >= 3.0
    slope = np.divide((offsets * values).sum(axis=1), scatter, out=np.zeros_like(count), where=enough & (scatter > 0.0))
    residuals = weights * (values - middle[:, None] - slope[:, None] * (ages - middle_age[:, None]))
    variance = np.where(enough, (residuals**2).sum(axis=1) / np.maximum(count - 2.0, 1.0), 0.0)
    ahead = np.asarray(leads, dtype=np.float64) - middle_age[:, None]
    start = np.where(enough, middle, values[:, -1])
    points = start[:, None] + slope[:, None] * ahead
    unsure = 1.0 + 1.0 / count[:, None] + ahead**2 / np.maximum(scatter, 1.0)[:, None]
    deviation = np.sqrt(variance[:, None] * unsure)
    return np.asarray(points[:, :, None] + deviation[:, :, None] * NORMAL_SCORES)
