"""What a forecast is worth once its outcomes are known: one number per window and figure.

Losses are sums over steps; what divides them is summed beside them, so that groups are ratios of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields

import numpy as np

from forecasting.backtesting.facts import HIT_STEPS, Facts
from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools
from forecasting.quantiles import LEVEL_ROW, MEDIAN

#: Levels of the weighted quantile loss.
WQL_LEVELS = tuple(LEVELS.index(level) for level in (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9))
P90, P99, P10, P01 = (LEVELS.index(level) for level in (0.90, 0.99, 0.10, 0.01))


def _level_widths() -> Floats:
    """What each level stands for in the integral over all: halfway to its neighbours, the outermost to the end."""
    edges = np.concatenate([[0.0], (LEVEL_ROW[1:] + LEVEL_ROW[:-1]) / 2.0, [1.0]])
    return np.diff(edges)


LEVEL_WIDTHS = _level_widths()


@dataclass(frozen=True, slots=True)
class WindowScores:
    """One row per window.

    `size`: sum of absolute outcomes; `steps`: how many are known. `wql`, `p90`, `p99`, `crps`: losses summed over
    steps, `wql_within` `(windows, horizons)` over the first steps only and `size_within` likewise; all of these are in
    units of the series' scale. `mase`: mean absolute error of the median over the naive error, NaN where that is
    unknown. `inside80`, `inside98`: outcomes in the bands. `peak_crps` `(windows, horizons)`: CRPS of the maximum
    within each horizon, in units of the scale, NaN where no outcome is known. `probability`: share of samples that
    cross the threshold, `hit` whether it was crossed, `base_rate` climatology's probability. `answered`: 0 where the
    reference stood in for a model without a forecast; `fell_back`: 1 where a model says that another one answered.
    """

    size: Floats
    steps: Floats
    wql: Floats
    p90: Floats
    p99: Floats
    crps: Floats
    mase: Floats
    inside80: Floats
    inside98: Floats
    wql_within: Floats
    size_within: Floats
    peak_crps: Floats
    probability: Floats
    hit: Floats
    base_rate: Floats
    answered: Floats
    fell_back: Floats


def scored(
    quantiles: Floats, paths: Floats, facts: Facts, horizons: Sequence[int], answered: Bools, fell_back: bool
) -> WindowScores:
    """Scores of quantiles `(rows, steps, levels)` and paths `(rows, samples, steps)` against the facts' outcomes."""
    known = ~np.isnan(facts.outcomes)
    outcomes = np.where(known, facts.outcomes, 0.0)
    unit = np.where(facts.scale > 0.0, facts.scale, 1.0)[:, None]
    error = outcomes[:, :, None] - quantiles
    pinball = np.maximum(LEVEL_ROW * error, (LEVEL_ROW - 1.0) * error) * known[:, :, None] / unit[:, :, None]
    wql = 2.0 * pinball[:, :, WQL_LEVELS].mean(axis=2)
    size = np.abs(outcomes) / unit
    steps = known.sum(axis=1).astype(np.float64)
    median_error = (np.abs(error[:, :, MEDIAN]) * known).sum(axis=1) / np.maximum(steps, 1.0)

    def inside(low: int, high: int) -> Floats:
        within = (outcomes >= quantiles[:, :, low]) & (outcomes <= quantiles[:, :, high]) & known
        return np.asarray(within.sum(axis=1), dtype=np.float64)

    return WindowScores(
        size=size.sum(axis=1),
        steps=steps,
        wql=wql.sum(axis=1),
        p90=pinball[:, :, P90].sum(axis=1),
        p99=pinball[:, :, P99].sum(axis=1),
        crps=2.0 * (pinball @ LEVEL_WIDTHS).sum(axis=1),
        mase=median_error / facts.naive_error,
        inside80=inside(P10, P90),
        inside98=inside(P01, P99),
        wql_within=np.stack([wql[:, :steps_ahead].sum(axis=1) for steps_ahead in horizons], axis=1),
        size_within=np.stack([size[:, :steps_ahead].sum(axis=1) for steps_ahead in horizons], axis=1),
        peak_crps=np.stack([_peak_crps(paths, facts.outcomes, h) / unit[:, 0] for h in horizons], axis=1),
        probability=crossing_probability(paths, facts),
        hit=facts.hit,
        base_rate=facts.base_rate,
        answered=answered.astype(np.float64),
        fell_back=np.full(steps.size, float(fell_back)),
    )


def sample_crps(samples: Floats, outcomes: Floats) -> Floats:
    """CRPS of samples `(rows, samples)` for outcomes `(rows,)`: E|X - y| - E|X - X'| / 2."""
    count = samples.shape[1]
    ranks = 2.0 * np.arange(1, count + 1) - count - 1.0
    dispersion = np.sort(samples, axis=1) @ ranks / count**2
    return np.asarray(np.abs(samples - outcomes[:, None]).mean(axis=1) - dispersion)


def crossing_probability(paths: Floats, facts: Facts) -> Floats:
    """Share of samples whose maximum over the known steps crosses the threshold, `(rows,)`."""
    peaks = _peaks(paths, facts.outcomes, HIT_STEPS)
    return np.asarray((peaks > facts.threshold[:, None]).mean(axis=1))


def _peak_crps(paths: Floats, outcomes: Floats, steps: int) -> Floats:
    """CRPS of the maximum over the first steps, of which only those with an outcome count, `(rows,)`."""
    ahead = outcomes[:, :steps]
    any_known = np.asarray((~np.isnan(ahead)).any(axis=1))
    peaks = np.where(any_known[:, None], _peaks(paths, outcomes, steps), 0.0)
    came = np.where(np.isnan(ahead), -np.inf, ahead).max(axis=1)
    crps = sample_crps(peaks, np.where(any_known, came, 0.0))
    return np.where(any_known, crps, np.nan)


def _peaks(paths: Floats, outcomes: Floats, steps: int) -> Floats:
    known = ~np.isnan(outcomes[:, None, :steps])
    return np.asarray(np.where(known, paths[:, :, :steps], -np.inf).max(axis=2))


def joined(parts: Sequence[WindowScores]) -> WindowScores:
    """The windows of all parts, in their order."""
    return WindowScores(
        **{field.name: np.concatenate([getattr(part, field.name) for part in parts]) for field in fields(WindowScores)}
    )
