"""How much each baseline counts: the more the less it was wrong lately, lead by lead."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from forecasting.baselines import FILTERS
from forecasting.forecast import Floats
from forecasting.history import Bools, Ints

#: Losses forget: half-life in steps of the target's age, plus this share of the lead.
LOSS_HALF_LIFE_STEPS = 96.0
#: What happened in the last few steps counts once more with this share: jumps and ramps are noticed at once.
QUICK_HALF_LIFE_STEPS = 4.0
QUICK_SHARE = 0.3
#: A lead of this many steps trusts its own outcomes and those of shorter leads equally.
NEWS_STEPS = 4.0
#: How sharply a baseline that was worse is left out: weight ~ (loss / best loss) ** -SHARPNESS.
SHARPNESS = 9.0


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


def leading_filter(weights: Floats) -> Ints:
    """The filter with the largest share over all steps of `weights` `(rows, steps, baselines)`, `(rows,)`."""
    return np.asarray(np.argmax(weights[:, :, : len(FILTERS)].sum(axis=1), axis=1))
