"""Rolling origins inside the given history: which baseline would have been right, and how wrong their mixture.

Targets run backwards from the newest point, so that every lead is judged on what happened last. Rows are worked
off in blocks to bound memory.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

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

#: At most this many targets per lead; more says little, since windows overlap.
TARGETS = 160
#: Losses forget: half-life in steps of the target's age, plus this share of the lead.
LOSS_HALF_LIFE_STEPS = 96.0
#: What happened in the last few steps counts once more with this share: jumps and ramps are noticed at once.
QUICK_HALF_LIFE_STEPS = 4.0
QUICK_SHARE = 0.3
#: A lead of this many steps trusts its own outcomes and those of shorter leads equally.
NEWS_STEPS = 4.0
#: Points at the start on which filters have not settled and from which nothing is judged.
SETTLING_STEPS = 6
#: How sharply a baseline that was worse is left out: weight ~ (loss / best loss) ** -SHARPNESS.
SHARPNESS = 9.0
#: The level of demand, for what may come unseen, is a mean of this many newest points.
LEVEL_STEPS = 32
#: Baselines with a smaller share may be missing from a past mixture without making it another one.
NEGLIGIBLE_SHARE = 0.02
_BLOCK = 16


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


def half_lives(leads: tuple[int, ...]) -> tuple[Floats, Floats]:
    """Slow and quick half-life at each lead, in steps, both `(leads,)`."""
    lead = np.asarray(leads, dtype=np.float64)
    return LOSS_HALF_LIFE_STEPS + lead, QUICK_HALF_LIFE_STEPS + 0.25 * lead


def mixture_weights(slow: Floats, quick: Floats, leads: tuple[int, ...]) -> Floats:
    """Share of each baseline, `(rows, leads, baselines)`, from recent losses of the same shape; unmeasured ones get 0.

    A lead also listens to the shorter ones, the more so the longer it is, since its own outcomes are that much older
    news: a leak that began twenty steps ago has no outcome yet at lead 64.
    """
    loss = (1.0 - QUICK_SHARE) * slow + QUICK_SHARE * quick
    measured = np.isfinite(loss)
    known = np.where(measured, loss, 0.0)
    floor = known.max(axis=-1, keepdims=True) * 1e-6 + 1e-300
    log_loss = np.log(known + floor)
    best = np.where(measured, log_loss, np.inf).min(axis=-1, keepdims=True)
    relative = np.where(measured, log_loss - np.where(np.isfinite(best), best, 0.0), 0.0)
    ever = measured.any(axis=1, keepdims=True)
    if (measured == ever).all():
        blended, usable = _carrying(leads) @ relative, ever
    else:
        blended, usable = _carried(relative, measured, leads)
    scores = np.exp(-SHARPNESS * blended) * usable
    total = scores.sum(axis=-1, keepdims=True)
    weights: Floats = scores / np.maximum(total, 1e-300)
    weights[..., 0] += total[..., 0] <= 0.0  # nothing measured: the random walk
    return weights


@lru_cache(maxsize=16)
def _carrying(leads: tuple[int, ...]) -> Floats:
    """`(leads, leads)`: what `_carried` makes of losses that are known at all leads, as a matrix."""
    each = np.eye(len(leads))[:, :, None]
    return _carried(each, np.ones_like(each, dtype=bool), leads)[0][:, :, 0].T.copy()


def _carried(relative: Floats, measured: Bools, leads: tuple[int, ...]) -> tuple[Floats, Bools]:
    """Losses `(rows, leads, baselines)` that listen to those of shorter leads, and where there are any."""
    blended, usable = relative.copy(), measured.copy()
    for place, lead in enumerate(leads[1:], start=1):
        shorter, own = blended[:, place - 1].copy(), relative[:, place]
        carried = np.where(usable[:, place - 1], np.where(measured[:, place], lead / (lead + NEWS_STEPS), 1.0), 0.0)
        blended[:, place] = carried * shorter + (1.0 - carried) * own
        usable[:, place] |= usable[:, place - 1]
    return blended, usable


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
    """Errors at all leads, `(leads, baselines, rows, targets)`, zero where unknown.

    `known` `(leads, 2, rows, targets)` is 1 where errors are known, of filters first, then of cycles. `origins`
    `(leads, targets)` are the points from which they were forecast, negative where there was none.
    """

    errors: Floats
    known: Floats
    origins: Ints

    def averaged(self, weights: Floats) -> Floats:
        """Mean absolute errors by each column of `weights` `(leads, targets, n)`: `(n, rows, leads, baselines)`.

        NaN where unknown.
        """
        leads, baselines, rows, targets = self.errors.shape
        sums = np.abs(self.errors).reshape(leads, -1, targets) @ weights
        totals = (self.known.reshape(leads, -1, targets) @ weights).reshape(leads, 2, rows, -1)
        means = np.full((leads, baselines, rows, weights.shape[2]), np.nan)
        sums = sums.reshape(means.shape)
        for group, chosen in ((0, slice(0, len(FILTERS))), (1, slice(SEASONAL_NAIVE, SAME_TIME.start))):
            # History holds no yesterday: the same-time baselines are scored tick by tick.
            total = totals[:, group, None]
            np.divide(sums[:, chosen], total, out=means[:, chosen], where=total > 0.0)
        return means.transpose(3, 2, 0, 1)


def _block(
    values: Floats, judged: Bools, demand: Bools, season: Ints, leads: tuple[int, ...], tracked: tuple[int, ...]
) -> Backtest:
    points = values.shape[1]
    stride = max(1, (points - SETTLING_STEPS) // TARGETS)
    targets = np.arange((points - 1 - leads[0]) % stride + leads[0], points, stride, dtype=np.intp)
    found = _errors(values, judged, demand, season, leads, targets)
    ages = (points - 1 - targets)[:, None]
    slow, quick = found.averaged(0.5 ** (ages / np.stack(half_lives(leads), axis=1)[:, None]))

    weights = mixture_weights(slow, quick, leads)
    cyclic_share = weights[:, :, SEASONAL_NAIVE] + weights[:, :, SEASONAL_SHIFTED]
    needed = np.where(cyclic_share.T[:, :, None] > NEGLIGIBLE_SHARE, found.known[:, 1], found.known[:, 0])
    moves = volatility(values)
    moves[moves == 0.0] = 1.0  # nothing ever moved: all errors are zero
    mixed = np.matmul(weights.swapaxes(0, 1)[:, :, None], found.errors.swapaxes(1, 2))[:, :, 0]
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
    errors = np.zeros((len(leads), BASELINES, rows, targets.size))
    factors = growths(demand, leads).transpose(2, 1, 0)[:, TRENDED, :, None]
    settled = (np.argmax(judged, axis=1) + np.minimum(SETTLING_STEPS, judged.sum(axis=1) // 4))[:, None]
    known = np.zeros((len(leads), 2, rows, targets.size))
    np.logical_and(judged[:, targets], (origins[:, None] >= settled), out=known[:, 0], casting="unsafe")
    stride = int(targets[1] - targets[0]) if targets.size > 1 else 1
    for place in range(len(leads)):
        first = int(np.searchsorted(origins[place], 0))
        # Slices, since indexing by arrays copies slowly.
        starts = slice(int(origins[place, first]) if first < targets.size else points, None, stride)
        count = targets.size - first
        np.subtract(
            outcome[:, first:], levels[:, :, starts][:, :, :count], out=errors[place, : len(FILTERS), :, first:]
        )
        errors[place, TRENDED, :, first:] -= factors[place] * slopes[TRENDED, :, starts][:, :, :count]
    if not known[:, 0].all():
        errors[:, : len(FILTERS)] *= known[:, :1]
    cyclic = np.flatnonzero(season)
    if cyclic.size:
        ahead = np.broadcast_to(np.asarray(leads, dtype=np.intp)[:, None], origins.shape)
        both = seasonal(values[cyclic], levels[ANCHOR][cyclic], season[cyclic], np.maximum(origins, 0), ahead)
        behind = origins[:, None] - settled[cyclic] >= season[cyclic, None]
        known[:, 1, cyclic] = known[:, 0, cyclic] * behind
        for baseline, forecast in zip((SEASONAL_NAIVE, SEASONAL_SHIFTED), both, strict=True):
            wrong = np.nan_to_num(outcome[cyclic][:, None] - forecast).swapaxes(0, 1)
            errors[:, baseline, cyclic] = wrong * known[:, 1, cyclic]
    return _Errors(errors, known, origins)


def leading_filter(weights: Floats) -> Ints:
    """The filter with the largest share over all steps of `weights` `(rows, steps, baselines)`, `(rows,)`."""
    return np.asarray(np.argmax(weights[:, :, : len(FILTERS)].sum(axis=1), axis=1))


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
