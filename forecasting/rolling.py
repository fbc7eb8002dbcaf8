"""Rolling origins inside the given history: which baseline would have been right, and how wrong their mixture.

Targets run backwards from the newest point, so that every lead is judged on what happened last. Rows are worked
off in blocks to bound memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.baselines import (
    ANCHOR,
    BASELINES,
    FILTERS,
    SAME_TIME,
    SEASONAL_NAIVE,
    SEASONAL_SHIFTED,
    TRENDED,
    anchor_level,
    filtered,
    filtered_at,
    growths,
    seasonal,
)
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.quantiles import empirical_quantiles
from forecasting.residuals import UNSEEN_SHARE, independent_share, residual_quantiles, volatility
from forecasting.weights import half_lives, mixture_weights

#: At most this many targets per lead; more says little, since windows overlap.
TARGETS = 192
#: Points at the start on which filters have not settled and from which nothing is judged.
SETTLING_STEPS = 6
#: The level of demand, for what may come unseen, is a mean of this many newest points.
LEVEL_STEPS = 32
#: Baselines with a smaller share may be missing from a past mixture without making it another one.
NEGLIGIBLE_SHARE = 0.02
_BLOCK = 16


Singles = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Backtest:
    """What rolling origins say about each row.

    `slow` and `quick` are absolute errors `(rows, leads, baselines)` under the two half-lives, NaN where unmeasured;
    `residuals` `(rows, leads, levels)` are quantiles of the mixture's errors in units of `volatility` at the origin;
    `naive_residuals`, the same for seasonal naive alone, in the series' unit.
    """

    slow: Floats
    quick: Floats
    residuals: Floats
    naive_residuals: Floats


def backtest(
    values: Floats, judged: Bools, demand: Bools, season: Ints, leads: tuple[int, ...], tracked: tuple[int, ...]
) -> Backtest:
    """Losses and residual quantiles at `leads`; `judged` `(rows, points)` says which points count as outcomes,
    `demand` `(rows,)` which rows are demand.

    `tracked` are indices into `leads` at which seasonal naive is measured by itself.
    """
    blocks = [
        _block(values[rows], judged[rows], demand[rows], season[rows], leads, tracked)
        for rows in (slice(start, start + _BLOCK) for start in range(0, values.shape[0], _BLOCK))
    ]
    return Backtest(
        np.concatenate([block.slow for block in blocks]),
        np.concatenate([block.quick for block in blocks]),
        np.concatenate([block.residuals for block in blocks]),
        np.concatenate([block.naive_residuals for block in blocks]),
    )


@dataclass(frozen=True, slots=True)
class _Errors:
    """Errors at all leads, `(leads, baselines, rows, targets)`, zero where unknown; all but same-time baselines.

    In float32: half the memory to walk through, and far more exact than what is learned from them.
    `known` `(leads, 2, rows, targets)` is 1 where errors are known, of filters first, then of cycles. `origins`
    `(leads, targets)` are the points from which they were forecast, negative where there was none.
    """

    errors: Singles
    known: Singles
    origins: Ints

    def averaged(self, weights: Floats) -> Floats:
        """Mean absolute errors by each column of `weights` `(leads, targets, n)`: `(n, rows, leads, baselines)`.

        NaN where unknown.
        """
        leads, measured, rows, targets = self.errors.shape
        weights = weights.astype(np.float32)
        sums = (np.abs(self.errors).reshape(leads, -1, targets) @ weights).reshape(leads, measured, rows, -1)
        totals = (self.known.reshape(leads, -1, targets) @ weights).reshape(leads, 2, rows, -1)
        means = np.full((leads, BASELINES, rows, weights.shape[2]), np.nan)
        for group, chosen in ((0, slice(0, len(FILTERS))), (1, slice(len(FILTERS), measured))):
            total = totals[:, group, None]
            np.divide(sums[:, chosen], total, out=means[:, chosen], where=total > 0.0)
        return means.transpose(3, 2, 0, 1)


def _block(
    values: Floats, judged: Bools, demand: Bools, season: Ints, leads: tuple[int, ...], tracked: tuple[int, ...]
) -> Backtest:
    points = values.shape[1]
    stride = max(1, -(-(points - SETTLING_STEPS) // TARGETS))
    targets = np.arange((points - 1 - leads[0]) % stride + leads[0], points, stride, dtype=np.intp)
    found = _errors(values, judged, demand, season, leads, targets)
    ages = (points - 1 - targets)[:, None]
    slow, quick = found.averaged(0.5 ** (ages / np.stack(half_lives(leads), axis=1)[:, None]))

    weights = mixture_weights(slow, quick, leads)
    cyclic_share = weights[:, :, SEASONAL_NAIVE] + weights[:, :, SEASONAL_SHIFTED]
    needed = np.where(cyclic_share.T[:, :, None] > NEGLIGIBLE_SHARE, found.known[:, 1], found.known[:, 0])
    moves = volatility(values)
    moves[moves == 0.0] = 1.0  # nothing ever moved: all errors are zero
    # History holds no yesterday: same-time baselines have no share in this past.
    shares = weights[:, :, : SAME_TIME.start].swapaxes(0, 1).astype(np.float32)
    mixed = np.matmul(shares[:, :, None], found.errors.swapaxes(1, 2))[:, :, 0]
    mixed /= moves[:, np.maximum(found.origins, 0)].swapaxes(0, 1)
    mixed[needed == 0.0] = np.nan
    level = np.abs(values[:, -LEVEL_STEPS:]).mean(axis=1)
    unseen = np.where(demand, UNSEEN_SHARE * level / moves[:, -1], 0.0)
    return Backtest(
        slow,
        quick,
        residual_quantiles(mixed, unseen, leads, stride),
        _naive_residuals(found, season > 0, leads, list(tracked), stride),
    )


def _naive_residuals(found: _Errors, cyclic: Bools, leads: tuple[int, ...], tracked: list[int], stride: int) -> Floats:
    """Quantiles of seasonal naive's own errors at the tracked leads, `(rows, tracked, levels)`."""
    errors, known = found.errors[tracked], found.known[tracked]
    naive = np.where(cyclic[:, None], errors[:, SEASONAL_NAIVE], errors[:, 0])
    naive[np.where(cyclic[:, None], known[:, 1], known[:, 0]) == 0.0] = np.nan
    share = independent_share(naive, tuple(leads[place] for place in tracked), stride)
    return empirical_quantiles(naive, share).swapaxes(0, 1)


def _errors(
    values: Floats, judged: Bools, demand: Bools, season: Ints, leads: tuple[int, ...], targets: Ints
) -> _Errors:
    """What came at `targets` minus what each baseline had said of it at each lead."""
    rows, points = values.shape
    levels, slopes = filtered(values)
    origins: Ints = targets - np.asarray(leads, dtype=np.intp)[:, None]
    outcome = values[:, targets]
    errors = np.zeros((len(leads), SAME_TIME.start, rows, targets.size), dtype=np.float32)
    factors = growths(demand, leads).transpose(2, 1, 0)[:, TRENDED, :, None]
    settled = (np.argmax(judged, axis=1) + np.minimum(SETTLING_STEPS, judged.sum(axis=1) // 4))[:, None]
    known = np.zeros((len(leads), 2, rows, targets.size), dtype=np.float32)
    np.logical_and(judged[:, targets], (origins[:, None] >= settled), out=known[:, 0], casting="unsafe")
    stride = int(targets[1] - targets[0]) if targets.size > 1 else 1
    for place in range(len(leads)):
        first = int(np.searchsorted(origins[place], 0))
        # Slices, since indexing by arrays copies slowly.
        starts = slice(int(origins[place, first]) if first < targets.size else points, None, stride)
        count = targets.size - first
        wrong = outcome[:, first:] - levels[:, :, starts][:, :, :count]
        wrong[TRENDED] -= factors[place] * slopes[TRENDED, :, starts][:, :, :count]
        errors[place, : len(FILTERS), :, first:] = wrong
    if not known[:, 0].all():
        errors[:, : len(FILTERS)] *= known[:, :1]
    cyclic = np.flatnonzero(season)
    if cyclic.size:
        ahead = np.broadcast_to(np.asarray(leads, dtype=np.intp)[:, None], origins.shape)
        both = seasonal(values[cyclic], levels[ANCHOR][cyclic], season[cyclic], np.maximum(origins, 0), ahead)
        behind = origins[:, None] - settled[cyclic] >= season[cyclic, None]
        known[:, 1, cyclic] = known[:, 0, cyclic] * behind
        for baseline, forecast in zip((SEASONAL_NAIVE, SEASONAL_SHIFTED), both, strict=True):
            missed = np.nan_to_num(outcome[cyclic][:, None] - forecast).swapaxes(0, 1)
            errors[:, baseline, cyclic] = missed * known[:, 1, cyclic]
    return _Errors(errors, known, origins)


def newest_errors(
    values: Floats, demand: Bools, season: Ints, same_time: Floats, anchors: Ints, leads: tuple[int, ...]
) -> Floats:
    """Absolute error of every baseline at the newest point, forecast `leads` before it, `(rows, leads, baselines)`.

    `same_time` `(rows, 2, past)` is what was measured a day (a week) before each of the newest points, the last column
    belonging to the newest one; `anchors` `(rows,)` are the filters whose level it is moved to. NaN where the baseline
    had no forecast then.
    """
    rows, points = values.shape
    reachable = [lead for lead in leads if lead < points]
    errors = np.full((rows, len(leads), BASELINES), np.nan)
    levels, slopes = filtered_at(values, tuple(reachable))
    forecasts = levels + slopes * growths(demand, tuple(reachable)).swapaxes(0, 1)
    errors[:, : len(reachable), : len(FILTERS)] = np.abs(values[:, -1:, None] - forecasts.transpose(1, 2, 0))
    seasonal_rows = np.flatnonzero(season)
    if seasonal_rows.size:
        chosen = values[seasonal_rows]
        ahead = np.asarray(reachable)
        anchor = anchor_level(chosen)
        naive, shifted = seasonal(chosen, anchor, season[seasonal_rows], points - 1 - ahead, ahead)
        errors[seasonal_rows, : ahead.size, SEASONAL_NAIVE] = np.abs(chosen[:, -1:] - naive)
        errors[seasonal_rows, : ahead.size, SEASONAL_SHIFTED] = np.abs(chosen[:, -1:] - shifted)
    past = same_time.shape[2]
    for place, lead in enumerate(reachable):
        if lead < past:
            rise = same_time[:, :, -1] - same_time[:, :, -1 - lead]
            anchored = levels[anchors, np.arange(rows), place][:, None] + rise
            errors[:, place, SAME_TIME] = np.abs(values[:, -1:] - anchored)
    return errors
