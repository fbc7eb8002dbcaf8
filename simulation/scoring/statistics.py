"""Means, ratios and their intervals over paired runs, by bootstrap over scenarios and then seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats

RESAMPLES = 2_000
LEAST_BASELINE_S = 30.0  # a ratio of times to less than this is noise


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean with its 95 % interval. None: unknown; the interval of a single run is unknown."""

    mean: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """Left against right over the same scenarios and seeds: Σ left ÷ Σ right, and the mean of left − right."""

    ratio: float | None
    ratio_low: float | None
    ratio_high: float | None
    difference: float | None
    difference_low: float | None
    difference_high: float | None


def resample_weights(scenarios: Sequence[str], rng: np.random.Generator, resamples: int = RESAMPLES) -> Floats:
    """How often each run is drawn in each resample, `(resamples, runs)`; `scenarios` names each run's scenario.

    Scenarios are drawn with replacement, then each drawn scenario's seeds, so that few scenarios with many seeds do
    not look like many independent observations. A row sums to about the number of runs, exactly when scenarios have
    equally many seeds.
    """
    names = list(dict.fromkeys(scenarios))
    members = [np.flatnonzero([s == name for s in scenarios]) for name in names]
    weights = np.zeros((resamples, len(scenarios)))
    rows = np.arange(resamples)
    for _ in names:
        drawn = rng.integers(len(names), size=resamples)
        for scenario, runs in enumerate(members):
            chosen = rows[drawn == scenario]
            picks = runs[rng.integers(runs.size, size=(chosen.size, runs.size))]
            np.add.at(weights, (chosen[:, None], picks), 1.0)
    return weights


def estimate(values: Floats, weights: Floats) -> Estimate:
    """The mean over runs, `(runs,)` with NaN where a run cannot tell, and its percentile interval."""
    known = np.isfinite(values)
    if not known.any():
        return Estimate(None, None, None)
    mean = float(values[known].mean())
    if known.sum() < 2:
        return Estimate(mean, None, None)
    sums, counts = weights[:, known] @ values[known], weights[:, known].sum(axis=1)
    return Estimate(mean, *_interval(_divide(sums, counts)))


def compare(left: Floats, right: Floats, weights: Floats, least: float = 0.0, signed: bool = False) -> Comparison:
    """Left against right, `(runs,)` each, over the runs where both are known.

    The ratio is None where Σ right is zero or less than `least`, and for `signed` figures, whose ratios mean nothing.
    """
    both = np.isfinite(left) & np.isfinite(right)
    if not both.any():
        return Comparison(None, None, None, None, None, None)
    a, b, w = left[both], right[both], weights[:, both]
    counts = w.sum(axis=1)
    sums_a, sums_b = w @ a, w @ b
    several = both.sum() >= 2
    difference = float((a - b).mean())
    spread = _interval(_divide(sums_a - sums_b, counts)) if several else (None, None)
    if signed or b.sum() <= 0 or b.sum() < least:
        return Comparison(None, None, None, difference, *spread)
    ratios = _interval(_divide(sums_a, sums_b)) if several else (None, None)
    return Comparison(float(a.sum() / b.sum()), *ratios, difference, *spread)


def _divide(above: Floats, below: Floats) -> Floats:
    """Element-wise quotient; x/0 is infinite, 0/0 (nothing drawn, or nothing to compare) NaN."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(above / below)


def _interval(draws: Floats) -> tuple[float | None, float | None]:
    """The middle 95 % of the draws that mean something; an unbounded end is None."""
    known = draws[~np.isnan(draws)]
    if not known.size:
        return None, None
    low, high = np.quantile(known, [0.025, 0.975], method="nearest")
    return (float(low) if np.isfinite(low) else None), (float(high) if np.isfinite(high) else None)
