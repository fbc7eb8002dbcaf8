"""Values that a series takes again and again, such as zero: a forecast near one of them means that very value."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools

#: A value that this share of the known points has is an atom.
LEAST_SHARE = 0.1
RECENT_STEPS = 1024


def snapped(quantiles: Floats, values: Floats, known: Bools) -> Floats:
    """`quantiles` `(rows, steps, levels)` with those nearer to an atom than to any other value seen moved onto it.

    Looked at are the lowest and the middle value of the newest points, which have to return often; "any other value" is
    of the whole history, `values` and `known` `(rows, points)`. Order is kept.
    """
    recent, measured = values[:, -RECENT_STEPS:], known[:, -RECENT_STEPS:]
    for atom in (_lowest(recent, measured), _middle(recent, measured)):
        often = ((recent == atom[:, None]) & measured).sum(axis=1)
        rows = np.flatnonzero(often >= LEAST_SHARE * np.maximum(measured.sum(axis=1), 1))
        if rows.size == 0:
            continue
        centre = atom[rows, None]
        others = known[rows] & (values[rows] != centre)
        away = np.where(others, np.abs(values[rows] - centre), np.inf).min(axis=1)
        reach = 0.5 * np.where(np.isfinite(away), away, 0.0)
        near = np.abs(quantiles[rows] - centre[:, :, None]) < reach[:, None, None]
        quantiles = quantiles.copy()
        quantiles[rows] = np.where(near, centre[:, :, None], quantiles[rows])
    return quantiles


def _lowest(values: Floats, known: Bools) -> Floats:
    return np.asarray(np.where(known, values, np.inf).min(axis=1))


def _middle(values: Floats, known: Bools) -> Floats:
    """The lower median of the known points: always a value that was measured."""
    ordered = np.sort(np.where(known, values, np.inf), axis=1)
    place = np.maximum(known.sum(axis=1) - 1, 0) // 2
    return np.asarray(ordered[np.arange(values.shape[0]), place])
