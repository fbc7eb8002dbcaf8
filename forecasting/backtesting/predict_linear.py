"""Prometheus' `predict_linear`: a least-squares line over a trailing range, carried on."""

from __future__ import annotations

import numpy as np

from forecasting.backtesting.classical import ModelFailed, Past, spread_by_errors
from forecasting.forecast import Floats

#: Points of the trailing range; rules of thumb look back as far as they look ahead.
RANGE_STEPS = 64


def predict_linear(past: Past, horizon: int) -> Floats:
    """Quantiles `(steps, levels)` around the line of the trailing range, by how wrong such lines were before."""
    values = past.values
    points = min(RANGE_STEPS, values.size // 2)
    if points < 2:
        raise ModelFailed("two points make no trend")
    level, slope = _lines(values, points)
    ends = values[points - 1 :]  # level[i] belongs to the range that ends here

    def errors(lead: int) -> Floats:
        return ends[lead:] - (level[:-lead] + lead * slope[:-lead])

    ahead = np.arange(1, horizon + 1)
    line = level[-1] + slope[-1] * ahead
    return np.asarray(line[:, None] + spread_by_errors(errors, horizon))


def _lines(values: Floats, points: int) -> tuple[Floats, Floats]:
    """Level at its end and slope per step of the least-squares line through every `points` values in a row."""
    time = np.arange(points) - (points - 1) / 2.0
    weights = time / np.sum(time**2)
    slope = np.convolve(values, weights[::-1], mode="valid")
    mean = np.convolve(values, np.full(points, 1.0 / points), mode="valid")
    return mean + slope * (points - 1) / 2.0, slope
