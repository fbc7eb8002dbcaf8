"""Simple point forecasts, all of them linear in the past, for all series, origins and leads at once.

Everything but the seasonal ones is `level + slope * growth(lead)`, where level and slope are exponential filters:
a random walk (the last value), slower levels for noisy series (simple exponential smoothing) and damped or straight
trends (Brown's double smoothing). The seasonal ones repeat the past cycle, as it was or moved to today's level.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints


@dataclass(frozen=True, slots=True)
class Baseline:
    """A linear filter. Half-lives are in steps; `damping` 1 is a straight line, None no trend at all."""

    name: str
    half_life_steps: float
    damping: float | None = None


RANDOM_WALK = Baseline("random-walk", 0.0)
FILTERS: tuple[Baseline, ...] = (
    RANDOM_WALK,
    Baseline("level-2", 2.0),
    Baseline("level-6", 6.0),
    Baseline("level-20", 20.0),
    Baseline("level-80", 80.0),
    Baseline("trend-2", 2.0, damping=0.97),
    Baseline("line-6", 6.0, damping=1.0),
    Baseline("line-16", 16.0, damping=1.0),
    Baseline("line-32", 32.0, damping=1.0),
)
#: The filters that have a trend; they stand together.
TRENDED = slice(5, 9)
#: Damping of damped trends on what is no demand: demand tires, while a leak or a filling disk goes on.
GAUGE_DAMPING = 0.99
#: The last cycle as it was, then the last (two) cycles moved to today's level. They stand after the filters.
SEASONAL_NAIVE = len(FILTERS)
SEASONAL_SHIFTED = SEASONAL_NAIVE + 1
#: The same time yesterday and last week, moved to today's level; scored while they are given.
SAME_TIME = slice(SEASONAL_SHIFTED + 1, SEASONAL_SHIFTED + 3)
BASELINES = SEASONAL_SHIFTED + 3
#: Row of the level to which cycles are moved: fast, yet not a single noisy point.
ANCHOR = 1


@lru_cache(maxsize=64)
def growth(leads: tuple[int, ...], demand: bool = True) -> Floats:
    """What the slope of each filter is multiplied by at each lead, `(filters, leads)`."""
    rows = np.zeros((len(FILTERS), len(leads)))
    lead = np.asarray(leads, dtype=np.float64)
    for row, baseline in enumerate(FILTERS):
        if baseline.damping is None:
            continue
        damping = baseline.damping if demand else max(baseline.damping, GAUGE_DAMPING)
        rows[row] = lead if damping == 1.0 else damping * (1.0 - damping**lead) / (1.0 - damping)
    rows.setflags(write=False)
    return rows


def growths(demand: Bools, leads: tuple[int, ...]) -> Floats:
    """`growth` of rows of which some are demand, `(rows, filters, leads)`."""
    return np.where(demand[:, None, None], growth(leads), growth(leads, demand=False))


def filtered(values: Floats) -> tuple[Floats, Floats]:
    """Level and slope of every filter at every point, both `(filters, rows, points)`.

    The past before the first point is taken to have been that point.
    """
    levels = np.empty((len(FILTERS), *values.shape))
    slopes = np.empty_like(levels)
    for row, baseline in enumerate(FILTERS):
        levels[row], slopes[row] = one_filter(values, baseline)
    return levels, slopes


def one_filter(values: Floats, baseline: Baseline) -> tuple[Floats, Floats]:
    """Level and slope of one filter at every point, both `(rows, points)`."""
    if baseline.half_life_steps == 0.0:
        return values, np.zeros_like(values)
    first = values[:, :1]
    decay = 0.5 ** (1.0 / baseline.half_life_steps)
    once = smoothed(values - first, decay)
    if baseline.damping is None:
        return once + first, np.zeros_like(values)
    twice = smoothed(once, decay)
    return 2.0 * once - twice + first, (1.0 - decay) / decay * (once - twice)


def anchor_level(values: Floats) -> Floats:
    """The level at every point to which cycles are moved, `(rows, points)`."""
    return one_filter(values, FILTERS[ANCHOR])[0]


def smoothed(values: Floats, decay: float) -> Floats:
    """Exponential average of what lies before each point, with zeros before the first one.

    One cumulative sum in growing weights: with 1,024 points and a half-life of 2 the weights reach 1e154,
    which float64 holds.
    """
    weights, inverse = _smoothing(values.shape[1], decay)
    return np.asarray(np.cumsum(values * weights, axis=1) * inverse)


@lru_cache(maxsize=128)
def _smoothing(points: int, decay: float) -> tuple[Floats, Floats]:
    weights = decay ** np.arange(points - 1, -1, -1, dtype=np.float64)
    inverse = (1.0 - decay) / weights
    weights.setflags(write=False)
    inverse.setflags(write=False)
    return weights, inverse


@lru_cache(maxsize=16)
def filter_weights(points: int, lags: tuple[int, ...]) -> Floats:
    """`(points, 2 · filters · lags)`: values @ weights = levels, then slopes, `lags` points before the newest.

    What a point contributes depends on how long ago it was; the first one also stands for all that lies before it.
    """
    impulse = np.zeros((1, points + 1))
    impulse[0, 1] = 1.0
    responses = np.stack(filtered(impulse))[:, :, 0, :0:-1]  # (2, filters, points), newest last
    both = np.zeros((2, len(FILTERS), points, len(lags)))
    for place, lag in enumerate(lags):
        both[:, :, : points - lag, place] = responses[:, :, lag:]
    both[:, :, 0] = np.asarray([1.0, 0.0])[:, None, None] - both[:, :, 1:].sum(axis=2)
    weights = np.ascontiguousarray(both.transpose(2, 0, 1, 3).reshape(points, -1))
    weights.setflags(write=False)
    return weights


def filtered_at(values: Floats, lags: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Level and slope of every filter at the points `lags` before the newest one, both `(filters, rows, lags)`."""
    rows, points = values.shape
    both = (values @ filter_weights(points, lags)).reshape(rows, 2, len(FILTERS), len(lags))
    return both[:, 0].swapaxes(0, 1), both[:, 1].swapaxes(0, 1)


def seasonal(values: Floats, anchor: Floats, season: Ints, origins: Ints, leads: Ints) -> tuple[Floats, Floats]:
    """Both seasonal forecasts, each `(rows, …)` with the shape that `origins` and `leads` broadcast to.

    `anchor` is the level at every point, `(rows, points)`. The second forecast is the average of the last two cycles
    where the history holds them, each moved from its own level to today's. NaN where no whole cycle lies behind.
    """
    dimensions = max(origins.ndim, leads.ndim)
    season = season.reshape(-1, *(1,) * dimensions)
    into_cycle = (leads - 1) % np.maximum(season, 1) + (season > 0)
    one = origins - season
    before = np.where(one >= season, one - season, one)
    last = _at(values, one + into_cycle)
    change = _at(anchor, one + season) - 0.5 * (_at(anchor, one) + _at(anchor, before))
    shifted = change + 0.5 * (last + _at(values, before + into_cycle))
    known = (season > 0) & (one >= 0)
    return np.where(known, last, np.nan), np.where(known, shifted, np.nan)


def _at(values: Floats, index: Ints) -> Floats:
    rows = np.arange(values.shape[0]).reshape(-1, *(1,) * (index.ndim - 1))
    return values[rows, np.maximum(index, 0)]
