"""Rows of quantiles at `LEVELS`: made from residuals, kept monotone, read between and beyond their levels."""

from __future__ import annotations

from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import LEVELS, Floats

LEVEL_ROW: Floats = np.asarray(LEVELS)
MEDIAN = LEVELS.index(0.50)
#: Levels as standard normal scores: the axis on which corrections are interpolated between levels.
NORMAL_SCORES: Floats = np.asarray([NormalDist().inv_cdf(level) for level in LEVELS])
P90, P10 = LEVELS.index(0.90), LEVELS.index(0.10)
#: The tail beyond the data may reach at most this many times the distance from the median to the 0.9 quantile further.
TAIL_CAP = 2.0


def empirical_quantiles(residuals: Floats, effective_share: Floats | float = 1.0) -> Floats:
    """Quantiles at `LEVELS` of the last axis, NaN ignored; `(…, levels)`, zero where nothing is known.

    `effective_share` (broadcast to the leading axes) says what share of the residuals is independent. Level p of n
    points is read at rank p (n + 1); where the independent points end, an exponential tail fitted between the median
    and the 0.9 quantile continues, capped at `TAIL_CAP`.
    """
    ordered = np.sort(residuals, axis=-1)  # NaN go last
    count = np.count_nonzero(~np.isnan(ordered), axis=-1)
    if ordered.shape[-1] == 0:
        return np.zeros((*ordered.shape[:-1], len(LEVELS)))
    independent = np.maximum(count * effective_share, 1.0)
    rank = (LEVEL_ROW * (independent[..., None] + 1.0) - 0.5) * (count / independent)[..., None] - 0.5
    position = np.clip(rank, 0, np.maximum(count[..., None] - 1, 0))
    below = position.astype(np.intp)
    above = np.minimum(below + 1, np.maximum(count[..., None] - 1, 0))
    low = np.take_along_axis(ordered, below, axis=-1)
    quantiles = low + (position - below) * (np.take_along_axis(ordered, above, axis=-1) - low)
    quantiles = np.where(count[..., None] > 0, quantiles, 0.0)
    return _with_tails(quantiles, 1.0 / (independent + 1.0))


def _with_tails(quantiles: Floats, edge: Floats) -> Floats:
    """Replaces what lies beyond probability `edge` from either end by the exponential tail."""
    edge = np.clip(edge, LEVELS[0], 0.1)[..., None]
    middle = quantiles[..., MEDIAN, None]
    up = quantiles[..., P90, None] - middle
    down = middle - quantiles[..., P10, None]
    # An exponential tail has log(0.5 / 0.1) scales between its median and its 0.9 quantile.
    per_log = 1.0 / np.log(5.0)
    above = np.clip(np.log(edge / np.minimum(1.0 - LEVEL_ROW, edge)) * per_log, 0.0, TAIL_CAP)
    below = np.clip(np.log(edge / np.minimum(LEVEL_ROW, edge)) * per_log, 0.0, TAIL_CAP)
    start = _between(quantiles, 1.0 - edge[..., 0])
    end = _between(quantiles, edge[..., 0])
    raised = np.where(above > 0.0, np.maximum(quantiles, start[..., None] + up * above), quantiles)
    return np.where(below > 0.0, np.minimum(raised, end[..., None] - down * below), raised)


def _between(quantiles: Floats, level: Floats) -> Floats:
    position = np.interp(level, LEVEL_ROW, np.arange(len(LEVELS), dtype=np.float64))
    below = np.minimum(position.astype(np.intp), len(LEVELS) - 2)
    low = np.take_along_axis(quantiles, below[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(quantiles, below[..., None] + 1, axis=-1)[..., 0]
    return np.asarray(low + (position - below) * (high - low))


def monotone(quantiles: Floats) -> Floats:
    """The same values in rising order along the last axis (rearrangement never raises the pinball loss)."""
    falling = (quantiles[..., 1:] < quantiles[..., :-1]).any(axis=-1)
    if not falling.any():
        return quantiles
    arranged = quantiles.copy()
    arranged[falling] = np.sort(quantiles[falling], axis=-1)
    return arranged


@lru_cache(maxsize=16)
def sampling_weights(samples: int) -> Floats:
    """`(levels, samples)`: quantiles @ weights = one value for each level (k + 0.5) / samples, rising in k.

    Beyond the outermost level the tail is exponential through the two outermost levels and ends at a tenth of the
    outermost probability.
    """
    weights = np.zeros((len(LEVELS), samples))
    for k in range(samples):
        level = (k + 0.5) / samples
        if level > LEVELS[-1]:
            reach = _tail_reach(1.0 - level, 1.0 - LEVELS[-1], 1.0 - LEVELS[-3])
            weights[-1, k], weights[-3, k] = 1.0 + reach, -reach
        elif level < LEVELS[0]:
            reach = _tail_reach(level, LEVELS[0], LEVELS[2])
            weights[0, k], weights[2, k] = 1.0 + reach, -reach
        else:
            above = min(int(np.searchsorted(LEVEL_ROW, level, side="left")), len(LEVELS) - 1)
            below = max(above - 1, 0)
            share = 1.0 if above == below else (level - LEVELS[below]) / (LEVELS[above] - LEVELS[below])
            weights[below, k] += 1.0 - share
            weights[above, k] += share
    weights.setflags(write=False)
    return weights


def _tail_reach(probability: float, edge: float, inner: float) -> float:
    return float(np.log(edge / max(probability, 0.1 * edge)) / np.log(inner / edge))


def pinball(quantiles: Floats, levels: Floats, outcomes: Floats) -> Floats:
    """Mean pinball loss over the last axis of `quantiles`; `outcomes` has its leading axes. NaN where unknown."""
    error = outcomes[..., None] - quantiles
    return np.asarray(np.maximum(levels * error, (levels - 1.0) * error).mean(axis=-1))


@lru_cache(maxsize=64)
def lead_interpolation(leads: tuple[int, ...], steps: int) -> NDArray[np.float64]:
    """`(steps, leads)`: carries values at some leads to all steps 1 … `steps`, linear in the logarithm of the lead."""
    logs = np.log(np.asarray(leads, dtype=np.float64))
    wanted = np.log(np.arange(1, steps + 1, dtype=np.float64))
    rows = np.stack([np.interp(wanted, logs, unit) for unit in np.eye(len(leads))], axis=1)
    rows.setflags(write=False)
    return rows
