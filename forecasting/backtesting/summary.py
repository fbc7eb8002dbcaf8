"""Window scores → the figures of each model: per group, over groups, and how sure they are.

Losses are divided by the reference's in each group and averaged geometrically over groups; shares and Brier scores are
averaged over groups as they are. A group with few windows counts as much as one with many.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.backtesting.replay import GroupScores
from forecasting.backtesting.scores import WindowScores
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints

RESAMPLES = 1000
#: Ends of the interval.
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure is sum of `above` ÷ sum of `below` over windows; a ratio is further divided by the reference's."""

    name: str
    above: Callable[[WindowScores], Floats]
    below: Callable[[WindowScores], Floats]
    is_ratio: bool


def _one_each(scores: WindowScores) -> Floats:
    return np.ones(scores.steps.size)


def _peak(scores: WindowScores) -> Floats:
    return np.asarray(scores.peak_crps.mean(axis=1))


RATIOS: tuple[Figure, ...] = (
    Figure("wql", lambda s: s.wql, lambda s: s.size, is_ratio=True),
    Figure("mase", lambda s: s.mase, _one_each, is_ratio=True),
    Figure("p90", lambda s: s.p90, lambda s: s.size, is_ratio=True),
    Figure("p99", lambda s: s.p99, lambda s: s.size, is_ratio=True),
    Figure("peak_crps", _peak, lambda s: s.size / s.steps, is_ratio=True),
    Figure("crps", lambda s: s.crps, lambda s: s.size, is_ratio=True),
)
MEANS: tuple[Figure, ...] = (
    Figure("cover80", lambda s: s.inside80, lambda s: s.steps, is_ratio=False),
    Figure("cover98", lambda s: s.inside98, lambda s: s.steps, is_ratio=False),
    Figure("hit_brier", lambda s: (s.probability - s.hit) ** 2, _one_each, is_ratio=False),
    Figure("hit_brier_climatology", lambda s: (s.base_rate - s.hit) ** 2, _one_each, is_ratio=False),
)
FIGURES = RATIOS + MEANS


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure with its bootstrap interval; None where it cannot be told."""

    value: float | None
    low: float | None
    high: float | None


def figures_within(horizons: Sequence[int]) -> tuple[Figure, ...]:
    """The partial figures: quantile loss and peak CRPS of each horizon."""
    found = []
    for place, steps in enumerate(horizons):
        found += [
            Figure(f"wql_{steps}", _column("wql_within", place), _column("size_within", place), is_ratio=True),
            Figure(f"peak_crps_{steps}", _column("peak_crps", place), lambda s: s.size / s.steps, is_ratio=True),
        ]
    return tuple(found)


def _column(name: str, place: int) -> Callable[[WindowScores], Floats]:
    return lambda scores: np.asarray(getattr(scores, name)[:, place])


@dataclass(frozen=True, slots=True)
class Resampling:
    """How often each window of a group counts in each resample, `(1 + RESAMPLES, windows)`; row 0 counts each once.

    Series are drawn first, then windows within them: windows of one series are alike, and a group may have one series.
    """

    weights: Mapping[str, Floats]


def resampling(series_of: Mapping[str, Ints], seed: int) -> Resampling:
    """The same resamples for all models, so that differences between them are paired."""
    weights = {}
    for place, (group, series) in enumerate(series_of.items()):
        rng = np.random.default_rng([seed, place])
        weights[group] = np.concatenate([np.ones((1, series.size)), two_stage_counts(series, RESAMPLES, rng)])
    return Resampling(weights)


def two_stage_counts(series: Ints, resamples: int, rng: np.random.Generator) -> Floats:
    """How often each window was drawn, `(resamples, windows)`: series with replacement, then windows of each draw."""
    counts = np.zeros((resamples, series.size))
    names = np.unique(series)
    draws = rng.multinomial(names.size, np.full(names.size, 1.0 / names.size), size=resamples)
    for place, name in enumerate(names):
        windows = np.flatnonzero(series == name)
        even = np.full(windows.size, 1.0 / windows.size)
        counts[:, windows] = rng.multinomial(draws[:, place] * windows.size, even)
    return counts


def group_values(figure: Figure, ours: WindowScores, theirs: WindowScores, weights: Floats) -> Floats:
    """A figure of one group in every resample, `(resamples,)`, NaN where it is undefined. `theirs` is the reference's.

    Windows in which either is unknown count for neither.
    """
    value = _mean(figure, ours, theirs, weights)
    if not figure.is_ratio:
        return value
    reference = _mean(figure, theirs, ours, weights)
    return np.divide(value, reference, out=np.full_like(value, np.nan), where=reference > 0.0)


def _mean(figure: Figure, scores: WindowScores, other: WindowScores, weights: Floats) -> Floats:
    above, below = figure.above(scores), figure.below(scores)
    known = np.isfinite(above) & np.isfinite(below) & np.isfinite(figure.above(other))
    total = weights[:, known] @ above[known]
    size = weights[:, known] @ below[known]
    return np.divide(total, size, out=np.full_like(total, np.nan), where=size > 0.0)


def over_groups(figure: Figure, by_group: Sequence[Floats]) -> Floats:
    """The mean over groups in every resample, geometric for ratios, `(resamples,)`; groups without a value left out."""
    values = np.stack(by_group)
    usable = np.isfinite(values[:, 0])
    if not usable.any():
        return np.full(values.shape[1], np.nan)
    values = values[usable]
    known = np.isfinite(values)
    if figure.is_ratio:
        logs = np.log(np.where(known, np.maximum(values, 1e-300), 1.0))
        return np.asarray(np.exp(_mean_of_known(logs, known)))
    return _mean_of_known(np.where(known, values, 0.0), known)


def _mean_of_known(values: Floats, known: Bools) -> Floats:
    """Mean over groups `(groups, resamples)` → `(resamples,)`; what is unknown must be 0."""
    counts = known.sum(axis=0)
    nothing = np.full(counts.shape, np.nan)
    return np.asarray(np.divide(values.sum(axis=0), counts, out=nothing, where=counts > 0))


def estimate(resamples: Floats) -> Estimate:
    """Row 0 and the interval of the others."""
    value = float(resamples[0])
    drawn = resamples[1:][np.isfinite(resamples[1:])]
    if not np.isfinite(value) or drawn.size == 0:
        return Estimate(None if not np.isfinite(value) else value, None, None)
    low, high = np.quantile(drawn, INTERVAL)
    return Estimate(value, float(low), float(high))


def estimated(
    figure: Figure, ours: Mapping[str, GroupScores], theirs: Mapping[str, GroupScores], resamples: Resampling
) -> tuple[Estimate, dict[str, float | None]]:
    """A figure over all groups, and its plain value in each of them."""
    by_group = {
        group: group_values(figure, scores.scores, theirs[group].scores, resamples.weights[group])
        for group, scores in ours.items()
    }
    plain = {group: float(values[0]) if np.isfinite(values[0]) else None for group, values in by_group.items()}
    return estimate(over_groups(figure, list(by_group.values()))), plain


def paired_ratio(
    ours: WindowScores, theirs: WindowScores, series: Ints, seed: int, figure: Figure = RATIOS[0]
) -> Estimate:
    """Our loss ÷ theirs over the same windows with its interval: what decides whether a model is promoted."""
    counts = two_stage_counts(series, RESAMPLES, np.random.default_rng(seed))
    weights = np.concatenate([np.ones((1, series.size)), counts])
    return estimate(group_values(figure, ours, theirs, weights))
