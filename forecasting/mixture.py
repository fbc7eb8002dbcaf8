"""The mixture of baselines at the newest point, its spread, and the past that its samples are ranked by."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.baselines import (
    FILTERS,
    SAME_TIME,
    SEASONAL_NAIVE,
    SEASONAL_SHIFTED,
    TRENDED,
    anchor_level,
    filtered_at,
    growths,
    one_filter,
    seasonal,
)
from forecasting.fallback_state import FallbackState, leads_of
from forecasting.forecast import Floats, ForecastRequest, SeriesKind
from forecasting.history import LARGEST_VALUE, Bools, History, Ints
from forecasting.quantiles import lead_interpolation
from forecasting.residuals import volatility_now
from forecasting.weights import leading_filter, mixture_weights

#: A same-time baseline that was never scored starts this much worse than the best one.
UNSCORED_HANDICAP = 1.05
#: The same time yesterday is averaged over this many steps to either side.
SMOOTHED_STEPS = 3
#: Forecasts stay within the range of the history, widened by this many times its width …
RANGE_SHARE = 1.0
#: … and by this many times what the steepest trend would add.
TREND_SHARE = 1.5


def same_time_of(request: ForecastRequest, rows: Ints) -> Floats:
    """What was measured a day and a week before each step of the horizon, `(rows, 2, steps)`, NaN where not given.

    Smoothed over a few steps: its shape is wanted, its noise would be added to today's.
    """
    given = np.full((rows.size, 2, request.horizon_steps), np.nan)
    for place, values in enumerate((request.same_time_yesterday, request.same_time_last_week)):
        if values is not None:
            given[:, place] = np.asarray(values, dtype=np.float64)[rows]
    given[np.abs(given) > LARGEST_VALUE] = np.nan
    if not np.isfinite(given).any():
        return given
    first = np.maximum(np.arange(request.horizon_steps) - SMOOTHED_STEPS, 0)
    last = np.minimum(np.arange(request.horizon_steps) + SMOOTHED_STEPS, request.horizon_steps - 1)
    sums = np.concatenate([np.zeros((rows.size, 2, 1)), np.cumsum(given, axis=2)], axis=2)
    return np.asarray((sums[:, :, last + 1] - sums[:, :, first]) / (last + 1 - first))


@dataclass(frozen=True, slots=True)
class Mixture:
    """Level and slope per step of every filter at the newest point, `(filters, rows)`, and each baseline's share at
    each step, `(rows, steps, baselines)`."""

    levels: Floats
    slopes: Floats
    weights: Floats
    same_time: Floats


def mixture_now(state: FallbackState, history: History, request: ForecastRequest) -> Mixture:
    """Where the baselines stand at the newest point and how much each of them counts."""
    levels, slopes = (both[:, :, 0] for both in filtered_at(history.values, (0,)))
    same_time = same_time_of(request, history.rows)
    weights = _weights_at_steps(state, same_time, request.horizon_steps)
    return Mixture(levels, slopes, weights, same_time)


def centre(mixture: Mixture, state: FallbackState, history: History) -> Floats:
    """The mixture's point forecasts, `(rows, steps)`."""
    weights, levels = mixture.weights, mixture.levels
    steps = weights.shape[1]
    filters = weights[:, :, : len(FILTERS)]
    points: Floats = np.matmul(filters, levels.T[:, :, None])[:, :, 0]
    trends = growths(history.demand, tuple(range(1, steps + 1)))[:, TRENDED].swapaxes(1, 2) * weights[:, :, TRENDED]
    points += np.matmul(trends, mixture.slopes[TRENDED].T[:, :, None])[:, :, 0]
    rows = np.flatnonzero(state.season)
    if rows.size:
        naive, shifted = seasonal_now(history.values[rows], state.season[rows], np.arange(1, steps + 1))
        points[rows] += weights[rows, :, SEASONAL_NAIVE] * naive + weights[rows, :, SEASONAL_SHIFTED] * shifted
    if np.isfinite(mixture.same_time).any():
        leading = levels[leading_filter(weights), np.arange(levels.shape[1])]
        today = leading[:, None, None] - _same_time_now(state, mixture.same_time)[:, :, None]
        shares = weights[:, :, SAME_TIME].swapaxes(1, 2)
        points += np.where(shares > 0.0, shares * (mixture.same_time + today), 0.0).sum(axis=1)
    return points


def seasonal_now(values: Floats, season: Ints, leads: Ints) -> tuple[Floats, Floats]:
    """Both seasonal forecasts from the newest point, each `(rows, leads)`."""
    newest = np.asarray([values.shape[1] - 1], dtype=np.intp)
    return seasonal(values, anchor_level(values), season, newest, leads)


def spread(points: Floats, state: FallbackState, history: History) -> Floats:
    """Quantiles around the point forecasts, `(rows, steps, levels)`, by past errors in units of recent movement.

    Where the newest points are unknown, the forecast starts from an older one: step i has the spread of a later step.
    """
    deviations = lead_interpolation(leads_of(state.horizon_steps), points.shape[1]) @ state.residuals
    for row in np.flatnonzero(history.gap_steps):
        later = np.minimum(np.arange(points.shape[1]) + history.gap_steps[row], points.shape[1] - 1)
        deviations[row] = deviations[row, later]
    moves = volatility_now(history.values)
    deviations *= np.where(moves > 0.0, moves, 1.0)[:, None, None]
    deviations += points[:, :, None]
    return np.asarray(deviations)


def naive_quantiles(state: FallbackState, history: History) -> Floats:
    """Seasonal naive's quantiles at the tracked leads, `(rows, leads, levels)`; without season the last value's."""
    leads = np.asarray(state.calibration.leads)
    points = np.repeat(history.values[:, -1:], leads.size, axis=1)
    rows = np.flatnonzero(state.season)
    if rows.size:
        points[rows] = seasonal_now(history.values[rows], state.season[rows], leads)[0]
    return points[:, :, None] + state.naive_residuals


def clamped(quantiles: Floats, mixture: Mixture, history: History, request: ForecastRequest) -> Floats:
    """Quantiles within what the history makes believable, and within the hard limits."""
    # What stands in for unknown points lies between known ones.
    low, high = history.values.min(axis=1), history.values.max(axis=1)
    reach = np.arange(1, quantiles.shape[1] + 1) * TREND_SHARE
    span = RANGE_SHARE * (high - low)
    top = (high + span)[:, None] + np.maximum(mixture.slopes.max(axis=0), 0.0)[:, None] * reach
    bottom = (low - span)[:, None] + np.minimum(mixture.slopes.min(axis=0), 0.0)[:, None] * reach
    lower, upper = hard_limits(history.rows, request)
    top = np.clip(top, lower[:, None], upper[:, None])
    bottom = np.clip(bottom, lower[:, None], upper[:, None])
    # Quantiles rise along the last axis, and mostly lie within.
    if (quantiles[:, :, 0] < bottom).any() or (quantiles[:, :, -1] > top).any():
        return np.clip(quantiles, bottom[:, :, None], top[:, :, None])
    return quantiles


def hard_limits(rows: Ints, request: ForecastRequest) -> tuple[Floats, Floats]:
    """Lower and upper limit of each row, `(rows,)`; demand and the rates of counters are never negative."""
    kinds = request.kinds or (SeriesKind.GAUGE,) * len(request.series)
    natural = np.asarray([-np.inf if kinds[row] is SeriesKind.GAUGE else 0.0 for row in rows])
    lower, upper = natural, np.full(rows.size, np.inf)
    if request.lower_limit is not None:
        lower = np.fmax(natural, np.asarray(request.lower_limit, dtype=np.float64)[rows])
    if request.upper_limit is not None:
        upper = np.fmin(upper, np.asarray(request.upper_limit, dtype=np.float64)[rows])
    return lower, np.maximum(lower, upper)


def believed_past(mixture: Mixture, state: FallbackState, history: History) -> tuple[Floats, Floats, Floats]:
    """Each row's values, and the level and slope per step that its leading filter saw at every past point.

    All `(rows, points)`. One filter stands for the mixture: only the order of departures from it is used. Seasonal
    rows are first differenced over their season, else every sample would repeat a cycle out of phase.
    """
    values = deseasonalised(history.values, state.season)
    leading = leading_filter(mixture.weights)
    level, slope = np.empty_like(values), np.zeros_like(values)
    for row in np.unique(leading):
        chosen = np.flatnonzero(leading == row)
        level[chosen], slope[chosen] = one_filter(values[chosen], FILTERS[row])
    return values, level, slope


def deseasonalised(values: Floats, season: Ints) -> Floats:
    """Rows with a season, differenced over it: what is left has no cycle. The first cycle is compared with the next."""
    rows = np.flatnonzero(season)
    if rows.size == 0:
        return values
    place = np.arange(values.shape[1])
    steps = season[rows, None]
    other = np.where(place >= steps, place - steps, place + steps)
    sign = np.where(place >= steps, 1.0, -1.0)
    differenced = values.copy()
    differenced[rows] = values[rows] - np.take_along_axis(values[rows], other, axis=1)
    differenced[rows] *= sign
    return differenced


def _weights_at_steps(state: FallbackState, same_time: Floats, steps: int) -> Floats:
    slow, quick = state.slow, state.quick
    given: Bools = np.asarray(np.isfinite(same_time).all(axis=2))
    if not given.any():
        slow, quick = _only_filters_and_cycles(slow), _only_filters_and_cycles(quick)
    else:
        slow, quick = with_same_time(slow, given), with_same_time(quick, given)
    leads = leads_of(state.horizon_steps)
    return np.asarray(lead_interpolation(leads, steps) @ mixture_weights(slow, quick, leads))


def _same_time_now(state: FallbackState, same_time: Floats) -> Floats:
    """Yesterday's (last week's) value at the newest point, `(rows, 2)`; before it was seen, that of one step later."""
    remembered = state.same_time[:, :, -1]
    return np.where(np.isnan(remembered), same_time[:, :, 0], remembered)


def _only_filters_and_cycles(losses: Floats) -> Floats:
    if np.isnan(losses[:, :, SAME_TIME]).all():
        return losses
    losses = losses.copy()
    losses[:, :, SAME_TIME] = np.nan
    return losses


def with_same_time(losses: Floats, given: Bools) -> Floats:
    """Losses in which same-time baselines that are given but were never scored start a little behind the best.

    `given` `(rows, 2)`; the others are marked as not taking part.
    """
    losses = losses.copy()
    best = np.where(np.isnan(losses), np.inf, losses).min(axis=2, keepdims=True)
    expected = np.where(np.isfinite(best), UNSCORED_HANDICAP * best, np.nan)
    own = losses[:, :, SAME_TIME]
    losses[:, :, SAME_TIME] = np.where(given[:, None], np.where(np.isnan(own), expected, own), np.nan)
    return losses
