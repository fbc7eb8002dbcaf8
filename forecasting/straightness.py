"""Rows on a straight way to where they have never been: a line explains them, and the network takes it for noise."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools

#: Lines are drawn through so many of the newest points: a steep climb shows in the first, a slow one in the second.
LOOKS_BACK = (15, 40)
#: Share of the variance that a line must explain.
EXPLAINED = 0.9
#: Share of the points that must be known.
KNOWN_SHARE = 0.8


def straight(values: Floats, known: Bools) -> Bools:
    """Whether a line explains the newest points and leaves the range of all before, `(rows,)`.

    `values` finite and `known`, `(rows, points)`. A stretch of a wave is straight too, but leads nowhere new.
    """
    found = np.zeros(values.shape[0], dtype=bool)
    for points in LOOKS_BACK:
        if values.shape[1] >= points:
            explained = _explained(values[:, -points:], known[:, -points:]) >= EXPLAINED
            found |= explained & _beyond(values[:, -1], values[:, :-points], known[:, :-points])
    return found


def _beyond(newest: Floats, earlier: Floats, known: Bools) -> Bools:
    """Whether the newest value is out of the range of the earlier ones, `(rows,)`; true if there are none."""
    highest = earlier.max(axis=1, initial=-np.inf, where=known)
    lowest = earlier.min(axis=1, initial=np.inf, where=known)
    return np.asarray((newest > highest) | (newest < lowest))


def _explained(values: Floats, known: Bools) -> Floats:
    """Squared correlation of values and time over the known points, `(rows,)`; 0 where that cannot be told."""
    weights = known / np.maximum(known.sum(axis=1, keepdims=True), 1)
    time = np.arange(values.shape[1], dtype=np.float64)
    late = time - (weights @ time)[:, None]
    high = values - (weights * values).sum(axis=1, keepdims=True)
    together = (weights * late * high).sum(axis=1)
    spread = (weights * late**2).sum(axis=1) * (weights * high**2).sum(axis=1)
    told = (known.mean(axis=1) >= KNOWN_SHARE) & (spread > 0.0)
    return np.where(told, together**2 / np.where(told, spread, 1.0), 0.0)
