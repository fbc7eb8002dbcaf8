"""How often what was called probable came true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats

BINS = 10


@dataclass(frozen=True, slots=True)
class Bin:
    """Forecast probabilities from `low` on, below the next bin's; `forecast` is their mean, `observed` the share that
    came true, both None where the bin is empty."""

    low: float
    forecast: float | None
    observed: float | None
    windows: int


def reliability(probability: Floats, came_true: Floats) -> tuple[Bin, ...]:
    """Ten bins of equal width; `probability` and `came_true` (1 or 0, NaN unknown) are `(windows,)`."""
    known = np.isfinite(came_true)
    probability, came_true = probability[known], came_true[known]
    place = np.minimum((probability * BINS).astype(np.intp), BINS - 1)
    counts = np.bincount(place, minlength=BINS)
    forecast = np.bincount(place, weights=probability, minlength=BINS)
    observed = np.bincount(place, weights=came_true, minlength=BINS)
    return tuple(
        Bin(
            low=low / BINS,
            forecast=float(forecast[low] / counts[low]) if counts[low] else None,
            observed=float(observed[low] / counts[low]) if counts[low] else None,
            windows=int(counts[low]),
        )
        for low in range(BINS)
    )
