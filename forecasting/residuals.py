"""How wide to be: quantiles of a mixture's past errors, and what stands in for errors that nobody has seen yet.

At long leads a history holds few independent windows, at the start none. What they do not support is filled up: from
the lead before, growing as spread grew at shorter leads, and for demand from the plain fact that demand moves.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from forecasting.forecast import Floats
from forecasting.quantiles import MEDIAN, NORMAL_SCORES, P10, P90, empirical_quantiles

#: Half-life of recent movement.
RECENT_HALF_LIFE_STEPS = 32.0
#: Independent errors that count fully; fewer are filled up in proportion.
ENOUGH_ERRORS = 40.0
#: Overlapping windows tell more than the disjoint ones that fit in, about twice as much.
OVERLAP = 2.0
#: What demand may do that a short history never showed: one deviation per square root of a step, as a share of its
#: level. Over 64 steps a fifth.
UNSEEN_SHARE = 0.025
#: Spread grows as a power of the lead: a random walk's, as far as shorter leads do not tell better. This is what the
#: walk weighs against them, in units of their scatter on the logarithmic axis of leads.
WALK_GROWTH, WALK_WEIGHT = 0.5, 2.0
#: Errors with which a lead has half a voice on growth.
VOICE_ERRORS = 5.0
#: Faster growth than this at short leads is a trend that turns at long ones.
FASTEST_GROWTH = 0.7
#: Residual medians are a bias worth correcting at short leads only; at long ones few independent windows made them.
BIAS_FADES_PER_STEP = 0.1


def volatility(values: Floats) -> Floats:
    """How much each row moves around each point, `(rows, points)`: its mean absolute step, half of it a recent mean."""
    steps = np.abs(np.diff(values, axis=1, prepend=values[:, :1]))
    overall = steps.mean(axis=1, keepdims=True)
    weights = _recency(steps.shape[1])
    recent = overall + np.cumsum((steps - overall) * weights, axis=1) * (weights[-1] / weights)
    return np.asarray(np.maximum(0.5 * recent + 0.5 * overall, 0.0))


def volatility_now(values: Floats) -> Floats:
    """`volatility` at the newest point, `(rows,)`."""
    points = values.shape[1]
    steps = np.abs(values[:, 1:] - values[:, :-1])
    overall = steps.sum(axis=1) / points
    weights = _recency(points)
    recent = overall * (1.0 - weights.sum()) + steps @ weights[1:]
    return np.asarray(np.maximum(0.5 * recent + 0.5 * overall, 0.0))


@lru_cache(maxsize=16)
def _recency(points: int) -> Floats:
    decay = 0.5 ** (1.0 / RECENT_HALF_LIFE_STEPS)
    weights: Floats = (1.0 - decay) * decay ** np.arange(points - 1, -1, -1, dtype=np.float64)
    weights.setflags(write=False)
    return weights


def residual_quantiles(errors: Floats, unseen: Floats, leads: tuple[int, ...], stride: int) -> Floats:
    """Quantiles at `LEVELS` of errors `(leads, rows, targets)` of which every `stride`-th was taken: as many as
    their unit, `(rows, leads, levels)`, NaN ignored.

    `unseen` `(rows,)` is the deviation of what may come unseen at lead 1, in the errors' unit; 0 for none.
    """
    share = independent_share(errors, leads, stride)
    counts = (errors == errors).sum(axis=2) * share
    quantiles = empirical_quantiles(errors, share)
    return _widening(_supported(quantiles, counts, unseen, leads), leads).swapaxes(0, 1)


def independent_share(errors: Floats, leads: tuple[int, ...], stride: int) -> Floats:
    """Share of the errors `(leads, rows, targets)` that is as good as independent, `(leads, rows)`.

    Windows overlap at long leads, but only what persists makes their errors alike: (1 - r) / (1 + r) for a lag-1
    correlation of r, and never less than the windows that fit in side by side, times `OVERLAP`.
    """
    known = np.isfinite(errors)
    count = np.maximum(known.sum(axis=2, keepdims=True), 1)
    centred = np.where(known, errors, 0.0)
    centred -= centred.sum(axis=2, keepdims=True) / count
    centred *= known
    largest = np.abs(centred).max(axis=2, keepdims=True, initial=0.0)  # huge errors must not overflow when squared
    np.divide(centred, largest, out=centred, where=largest > 0.0)
    products = np.einsum("lrt,lrt->lr", centred[:, :, 1:], centred[:, :, :-1])
    squares = np.einsum("lrt,lrt->lr", centred, centred)
    correlation = np.divide(products, squares, out=np.zeros_like(squares), where=squares > 0.0)
    np.maximum(correlation, 0.0, out=correlation)  # errors that alternate are as good as independent
    fewest = np.minimum(1.0, OVERLAP * stride / np.asarray(leads, dtype=np.float64))
    return np.asarray(np.clip((1.0 - correlation) / (1.0 + correlation), fewest[:, None], 1.0))


def _supported(quantiles: Floats, counts: Floats, unseen: Floats, leads: tuple[int, ...]) -> Floats:
    """Quantiles `(leads, rows, levels)` that few independent errors support, filled up from what is known otherwise.

    At the shortest lead from the typical step (1.25 mean absolute steps make one deviation of normal steps).
    """
    growth = _growth(quantiles, counts, leads)[:, None]
    trust = np.minimum(counts / ENOUGH_ERRORS, 1.0)[:, :, None]
    expected = np.broadcast_to(1.25 * NORMAL_SCORES, quantiles[0].shape)
    for place, lead in enumerate(leads):
        quantiles[place] = expected + trust[place] * (quantiles[place] - expected)
        if place + 1 < len(leads):
            longer = leads[place + 1]
            grown = quantiles[place] * (longer / lead) ** growth
            middle = grown[:, MEDIAN, None]
            news = unseen[:, None] * np.sqrt(longer) * NORMAL_SCORES
            expected = middle + np.copysign(np.hypot(grown - middle, news), NORMAL_SCORES)
    return quantiles


def _growth(quantiles: Floats, counts: Floats, leads: tuple[int, ...]) -> Floats:
    """The power of the lead with which the spread of each row grows, `(rows,)`: a weighted line through logarithms."""
    width = quantiles[:, :, P90] - quantiles[:, :, P10]
    voice = np.where(width > 0.0, counts / (counts + VOICE_ERRORS), 0.0)
    lead, spread = np.log(leads)[:, None], np.log(np.where(width > 0.0, width, 1.0))
    voices = np.maximum(voice.sum(axis=0), 1e-12)
    lead = lead - (voice * lead).sum(axis=0) / voices
    spread = spread - (voice * spread).sum(axis=0) / voices
    together, scatter = (voice * lead * spread).sum(axis=0), (voice * lead**2).sum(axis=0)
    return np.asarray(np.clip((together + WALK_GROWTH * WALK_WEIGHT) / (scatter + WALK_WEIGHT), 0.0, FASTEST_GROWTH))


def _widening(quantiles: Floats, leads: tuple[int, ...]) -> Floats:
    """Spread that never shrinks with the lead, and medians faded towards zero at long leads."""
    middle = quantiles[:, :, MEDIAN, None]
    spread = quantiles - middle
    np.minimum.accumulate(spread[:, :, :MEDIAN], axis=0, out=spread[:, :, :MEDIAN])
    np.maximum.accumulate(spread[:, :, MEDIAN:], axis=0, out=spread[:, :, MEDIAN:])
    return np.asarray(middle / (1.0 + BIAS_FADES_PER_STEP * np.asarray(leads))[:, None, None] + spread)
