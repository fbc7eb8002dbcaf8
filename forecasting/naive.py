"""What seasonal naive says at a few leads, for many series at once: the yardstick of a served model's skill."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.quantiles import empirical_quantiles
from forecasting.seasons import season_steps


def naive_quantiles(values: Floats, known: Bools, leads: tuple[int, ...], season: Ints | None = None) -> Floats:
    """Quantiles after each of `leads` steps, `(rows, leads, levels)`: the last cycle, or the last value where nothing
    repeats, spread by how wrong that was before.

    `values`, `known` `(rows, points)`, filled and finite; `season` `(rows,)` in steps where it is known already.
    """
    if season is None:
        season = season_steps(values, known)
    return np.stack([_at(values, known, season, lead) for lead in leads], axis=1)


def _at(values: Floats, known: Bools, season: Ints, lead: int) -> Floats:
    points = values.shape[1]
    back = np.where(season > 0, season * -(-lead // np.maximum(season, 1)), lead)
    back = np.where(back >= points, min(lead, points - 1), back)[:, None]
    place = np.arange(points) - back
    source = np.maximum(place, 0)
    before, before_known = np.take_along_axis(values, source, axis=1), np.take_along_axis(known, source, axis=1)
    errors = np.where((place >= 0) & known & before_known, values - before, np.nan)
    # A history shorter than the lead has its last point for all that lies beyond it.
    newest = np.take_along_axis(values, np.minimum(points - 1 + lead - back, points - 1), axis=1)
    return np.asarray(newest + empirical_quantiles(errors))
