"""What is true of a window whatever forecasts it: its outcomes, its scales, and the threshold that it may cross."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from forecasting.backtesting.seasonality import seasons_of
from forecasting.backtesting.windows import Cohort
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints, bridged_gaps

#: The threshold is this quantile of so many newest points of the context, to be crossed within so many steps.
THRESHOLD_LEVEL, THRESHOLD_POINTS, HIT_STEPS = 0.95, 512, 30
#: MASE divides by at least this share of the context's mean absolute deviation: a cycle that fits exactly is no scale.
LEAST_SCALE_SHARE = 0.01
#: Climatology counts past windows as if two more had been seen, one of each kind, so that it is never certain.
PRIOR_WINDOWS = 2.0


@dataclass(frozen=True, slots=True)
class Facts:
    """Rows are the judged series at one origin of a cohort.

    `outcomes` `(rows, steps)`, NaN unknown. `scale` `(rows,)`: mean absolute value of the whole series, by which its
    losses are divided before they meet those of others. `naive_error` `(rows,)`: the season's mean absolute error in
    the context, NaN where nothing moved. `threshold`, `hit`, `base_rate` `(rows,)`: what may be crossed, whether it
    was (1 or 0, NaN where nobody knows), and the share of past windows of the context that crossed it.
    """

    rows: Ints
    outcomes: Floats
    scale: Floats
    naive_error: Floats
    threshold: Floats
    hit: Floats
    base_rate: Floats


def facts_at(cohort: Cohort, origin: int) -> Facts:
    """The facts of all judged rows at an origin."""
    rows = cohort.judged_rows(origin)
    outcomes, context = cohort.outcomes(origin)[rows], cohort.context(origin)[rows]
    recent = context[:, -THRESHOLD_POINTS:]
    threshold = np.nanquantile(recent, THRESHOLD_LEVEL, axis=1) if rows.size else np.zeros(0)
    hit_steps = min(HIT_STEPS, cohort.horizon_steps)
    ahead = outcomes[:, :hit_steps]
    crossed = (ahead > threshold[:, None]).any(axis=1).astype(np.float64)  # NaN compares false
    return Facts(
        rows=rows,
        outcomes=outcomes,
        scale=np.nanmean(np.abs(cohort.values[rows]), axis=1) if rows.size else np.zeros(0),
        naive_error=naive_errors(context, cohort.step_s),
        threshold=threshold,
        hit=np.where(np.isnan(ahead).all(axis=1), np.nan, crossed),
        base_rate=base_rates(context, threshold, hit_steps),
    )


def naive_errors(context: Floats, step_s: float) -> Floats:
    """Mean absolute error of repeating the season (without one: the last value) in each context, `(rows,)`."""
    known = ~np.isnan(context)
    if context.shape[0] == 0:
        return np.zeros(0)
    filled = context if known.all() else bridged_gaps(context, known)[0]
    seasons = seasons_of(filled, known, step_s)
    errors = np.full(context.shape[0], np.nan)
    for row, season in enumerate(seasons):
        back = max(int(season), 1)
        moved = np.abs(context[row, back:] - context[row, :-back])
        moved = moved[~np.isnan(moved)]
        deviation = float(np.nanmean(np.abs(context[row] - np.nanmedian(context[row]))))
        if moved.size and deviation > 0.0:
            errors[row] = max(float(moved.mean()), LEAST_SCALE_SHARE * deviation)
    return errors


def base_rates(context: Floats, threshold: Floats, steps: int) -> Floats:
    """Share of windows of so many steps in the context whose maximum crossed the threshold, `(rows,)`."""
    above: Bools = context > threshold[:, None]  # NaN compares false
    if context.shape[1] < steps or context.shape[0] == 0:
        return np.full(context.shape[0], 0.5)
    crossed = sliding_window_view(above, steps, axis=1).any(axis=2)
    known = sliding_window_view(~np.isnan(context), steps, axis=1).any(axis=2)
    counted = known.sum(axis=1) / steps  # overlapping windows are no more evidence than those side by side
    share = (crossed & known).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
    return np.asarray((share * counted + 0.5 * PRIOR_WINDOWS) / (counted + PRIOR_WINDOWS))
