"""Rolling origins inside the given history: which baseline would have been right, and how wrong their mixture.

Targets run backwards from the newest point, so that every lead is judged on what happened last. Rows are worked
off in blocks to bound memory.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.baselines import (
    ANCHOR,
    BASELINES,
    FILTERS,
    SAME_TIME,
    SEASONAL_NAIVE,
    SEASONAL_SHIFTED,
    anchor_level,
    filtered,
    filtered_at,
    growths,
    seasonal,
)
from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools, Ints
from forecasting.quantiles import MEDIAN, NORMAL_SCORES, empirical_quantiles

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
#: Residual medians are a bias worth correcting at short leads only; at long ones few independent windows made them.
BIAS_FADES_PER_STEP = 0.1
#: Baselines with a smaller share may be missing from a past mixture without making it another one.
NEGLIGIBLE_SHARE = 0.02
#: Fewer errors than this are filled up with what is known otherwise.
ENOUGH_ERRORS = 12.0
_BLOCK = 64


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
    with np.errstate(invalid="ignore"):
        loss = (1.0 - QUICK_SHARE) * slow + QUICK_SHARE * quick
    measured = np.isfinite(loss)
    floor = np.where(measured, loss, 0.0).max(axis=-1, keepdims=True) * 1e-6 + 1e-300
    log_loss = np.where(measured, np.log(np.where(measured, loss, 1.0) + floor), np.nan)
    best = np.where(measured, log_loss, np.inf).min(axis=-1, keepdims=True)
    relative = np.where(measured, log_loss - np.where(np.isfinite(best), best, 0.0), np.nan)
    blended = relative.copy()
    for place, lead in enumerate(leads[1:], start=1):
        shorter, own = blended[:, place - 1], relative[:, place]
        carried = lead / (lead + NEWS_STEPS)
        both = carried * shorter + (1.0 - carried) * own
        blended[:, place] = np.where(np.isnan(own), shorter, np.where(np.isnan(shorter), own, both))
    usable = np.isfinite(blended)
    scores = np.where(usable, np.exp(-SHARPNESS * np.where(usable, blended, 0.0)), 0.0)
    total = scores.sum(axis=-1, keepdims=True)
    weights: Floats = scores / np.maximum(total, 1e-300)
    weights[..., 0] += np.where(total[..., 0] > 0.0, 0.0, 1.0)  # nothing measured: the random walk
    return weights


def volatility(values: Floats) -> Floats:
    """How much each row moves around each point, `(rows, points)`: its mean absolute step, half of it a recent mean."""
    steps = np.abs(np.diff(values, axis=1, prepend=values[:, :1]))
    overall = steps.mean(axis=1, keepdims=True)
    decay = 0.5 ** (1.0 / 32.0)
    weights = decay ** np.arange(steps.shape[1] - 1, -1, -1, dtype=np.float64)
    recent = overall + np.cumsum((steps - overall) * weights, axis=1) * ((1.0 - decay) / weights)
    return np.asarray(np.maximum(0.5 * recent + 0.5 * overall, 0.0))


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
    """Errors at one lead, `(rows, baselines, targets)`, zero where unknown.

    `known` `(rows, 2, targets)` is 1 where errors are known, of filters first, then of cycles.
    """

    targets: Ints
    errors: Floats
    known: Floats

    def averaged(self, weights: Floats) -> Floats:
        """Mean absolute errors by each column of `weights` `(targets, n)`: `(n, rows, baselines)`, NaN if unknown."""
        sums = np.abs(self.errors) @ weights
        totals = np.repeat(self.known @ weights, [len(FILTERS), BASELINES - len(FILTERS)], axis=1)
        means = np.full_like(sums, np.nan)
        np.divide(sums, totals, out=means, where=totals > 0.0)
        means[:, SAME_TIME] = np.nan  # history holds no yesterday; those are scored tick by tick
        return means.transpose(2, 0, 1)


def _block(
    values: Floats, judged: Bools, demand: Bools, season: Ints, leads: tuple[int, ...], tracked: tuple[int, ...]
) -> Backtest:
    rows, points = values.shape
    levels, slopes = filtered(values)
    stride = max(1, (points - SETTLING_STEPS) // TARGETS)
    measured = [
        _errors(values, judged, season, levels, slopes, growths(demand, (lead,))[:, :, 0], lead, stride)
        for lead in leads
    ]
    lives = np.stack(half_lives(leads), axis=1)
    losses = np.empty((2, rows, len(leads), BASELINES))
    for place, found in enumerate(measured):
        losses[:, :, place] = found.averaged(0.5 ** ((points - 1 - found.targets)[:, None] / lives[place]))
    slow, quick = losses

    weights = mixture_weights(slow, quick, leads)
    moves = volatility(values)
    moves[moves == 0.0] = 1.0  # nothing ever moved: all errors are zero
    residuals = np.empty((rows, len(leads), len(LEVELS)))
    counts = np.empty((rows, len(leads)))
    naive_residuals = np.zeros((rows, len(tracked), len(LEVELS)))
    for place, (lead, found) in enumerate(zip(leads, measured, strict=True)):
        cyclic_share = weights[:, place, SEASONAL_NAIVE] + weights[:, place, SEASONAL_SHIFTED]
        needed = np.where(cyclic_share[:, None] > NEGLIGIBLE_SHARE, found.known[:, 1], found.known[:, 0])
        missing = needed == 0.0
        mixed = np.matmul(weights[:, place, None], found.errors)[:, 0] / moves[:, found.targets - lead]
        mixed[missing] = np.nan
        counts[:, place] = (~missing).sum(axis=1)
        fewest = min(1.0, 2.0 * stride / lead)
        residuals[:, place] = empirical_quantiles(mixed, _independent_share(mixed, fewest))
        if place in tracked:
            cyclic = (season > 0)[:, None]
            naive = np.where(cyclic, found.errors[:, SEASONAL_NAIVE], found.errors[:, 0])
            naive[np.where(cyclic, found.known[:, 1], found.known[:, 0]) == 0.0] = np.nan
            naive_residuals[:, tracked.index(place)] = empirical_quantiles(naive, _independent_share(naive, fewest))
    return Backtest(slow, quick, _widening(_supported(residuals, counts, leads), leads), naive_residuals)


def _errors(
    values: Floats, judged: Bools, season: Ints, levels: Floats, slopes: Floats, factors: Floats, lead: int, stride: int
) -> _Errors:
    """What came minus what each baseline had said `lead` steps before."""
    points = values.shape[1]
    # Targets from oldest to newest, the newest point last; slices, since indexing by arrays copies slowly.
    first = lead + (points - 1 - lead) % stride if points > lead else points
    ends, starts = slice(first, None, stride), slice(first - lead, max(points - lead, 0), stride)
    targets: Ints = np.arange(points, dtype=np.intp)[ends]
    outcome = values[:, ends]
    errors = np.zeros((values.shape[0], BASELINES, targets.size))
    filters = errors[:, : len(FILTERS)]
    np.subtract(outcome[:, None], levels[:, :, starts].swapaxes(0, 1), out=filters)
    for row in np.flatnonzero(factors.any(axis=0)):
        filters[:, row] -= factors[:, row, None] * slopes[row][:, starts]
    settled = np.argmax(judged, axis=1) + np.minimum(SETTLING_STEPS, judged.sum(axis=1) // 4)
    known = np.zeros((values.shape[0], 2, targets.size))
    known[:, 0] = judged[:, ends] & (targets - lead >= settled[:, None])
    rows = np.flatnonzero(season)
    if rows.size:
        origins = targets - lead
        naive, shifted = seasonal(
            values[rows], levels[ANCHOR][rows], season[rows], origins, np.full_like(origins, lead)
        )
        errors[rows, SEASONAL_NAIVE] = np.nan_to_num(outcome[rows] - naive)
        errors[rows, SEASONAL_SHIFTED] = np.nan_to_num(outcome[rows] - shifted)
        known[rows, 1] = known[rows, 0] * (origins - settled[rows, None] >= season[rows, None])
    if not known[:, 0].all():
        filters *= known[:, :1]
    if rows.size:
        errors[:, len(FILTERS) :] *= known[:, 1:]
    return _Errors(targets, errors, known)


def _independent_share(errors: Floats, fewest: float) -> Floats:
    """Share of the errors `(rows, targets)` that is as good as independent, `(rows,)`, at least `fewest`.

    Windows overlap at long leads, but only what persists makes their errors alike: (1 - r) / (1 + r) for a lag-1
    correlation of r.
    """
    known = ~np.isnan(errors)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centred = np.where(known, errors, 0.0)
    centred = np.where(known, centred - centred.sum(axis=1, keepdims=True) / count, 0.0)
    products, squares = (centred[:, 1:] * centred[:, :-1]).sum(axis=1), (centred**2).sum(axis=1)
    correlation = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0.0)
    return np.asarray(np.clip((1.0 - correlation) / (1.0 + correlation), fewest, 1.0))


def _supported(residuals: Floats, counts: Floats, leads: tuple[int, ...]) -> Floats:
    """Residual quantiles that few errors support, filled up from what is known otherwise.

    At the shortest lead from the typical step (1.25 mean absolute steps make one deviation of normal steps), at longer
    ones from the lead before, growing as a random walk's spread would.
    """
    expected = np.broadcast_to(1.25 * NORMAL_SCORES, residuals[:, 0].shape)
    for place, lead in enumerate(leads):
        trust = np.minimum(counts[:, place] / ENOUGH_ERRORS, 1.0)[:, None]
        residuals[:, place] = trust * residuals[:, place] + (1.0 - trust) * expected
        if place + 1 < len(leads):
            expected = residuals[:, place] * np.sqrt(leads[place + 1] / lead)
    return residuals


def _widening(residuals: Floats, leads: tuple[int, ...]) -> Floats:
    """Spread that never shrinks with the lead, and medians faded towards zero at long leads."""
    middle = residuals[:, :, MEDIAN, None]
    spread = residuals - middle
    upper = np.arange(len(LEVELS)) > MEDIAN
    wide = np.where(upper, np.maximum.accumulate(spread, axis=1), np.minimum.accumulate(spread, axis=1))
    return middle / (1.0 + BIAS_FADES_PER_STEP * np.asarray(leads))[:, None] + wide


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
