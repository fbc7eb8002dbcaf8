"""Joint futures from marginal quantiles: ranks of past trajectories imposed on the quantiles of each step.

Schaake shuffle. The template of sample k is what followed one past moment, the same moment for every series, so that
dependence over time and between services is carried over as it was. What is ranked is the departure from the level
and trend at that moment, never the level itself: on a growing series later segments would outrank earlier ones at
every step, which says nothing but "it grew".
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from forecasting.quantiles import sampling_weights

#: Fewer distinct past moments than this tell no dependence; then ranks come from an AR(1) process.
FEWEST_SEGMENTS = 24
#: Lag-1 correlation of the AR(1) ranks: a random walk's neighbours at medium leads, so peaks are not over-dispersed.
AR_CORRELATION = 0.95
#: Width of the noise that orders equal departures, in typical ones.
TIES = 3e-4
_BLOCK = 32


def segment_origins(known: Bools, steps: int, samples: int, rng: np.random.Generator) -> Ints:
    """The past moments whose aftermath serves as template, `(samples,)`; empty where history holds too few.

    One at random from each of `samples` equal stretches of the history; moments followed by an hour of gaps are
    left out. With fewer moments than samples some serve more than once.
    """
    points = known.shape[1]
    first = int(np.argmax(known.any(axis=0)))
    candidates = np.arange(first, points - steps)
    if candidates.size < FEWEST_SEGMENTS:
        return np.zeros(0, dtype=np.intp)
    if not known.all():
        running = np.concatenate([[0.0], np.cumsum(known.mean(axis=0))])
        share = (running[candidates + steps + 1] - running[candidates + 1]) / steps
        whole = candidates[share >= 0.8 * share.max()]
        candidates = whole if whole.size >= FEWEST_SEGMENTS else candidates
    place = (np.arange(samples) + rng.random(samples)) / samples * candidates.size
    return candidates[np.minimum(place.astype(np.intp), candidates.size - 1)]


def joint_paths(
    quantiles: Floats,
    values: Floats,
    known: Bools,
    level: Floats,
    slope: Floats,
    limits: tuple[Floats, Floats],
    samples: int,
    rng: np.random.Generator,
) -> Floats:
    """Samples whose values at each step are the quantiles' and whose order is the past's, `(rows, samples, steps)`.

    `level` and `slope` `(rows, points)` describe what a model believed at each past moment; `slope` is per step.
    `limits`, each `(rows,)`, are hard: tails beyond the outermost quantiles end there.
    Rows with a history shorter than the horizon get AR(1) ranks, shared by all such rows, so that their peaks
    coincide: the cautious reading of an unknown dependence.
    """
    rows, steps, _ = quantiles.shape
    origins = segment_origins(known, steps, samples, rng)
    jitter = (rng.random((steps, samples)) * TIES).astype(np.float32)
    measured = (known.shape[1] - np.argmax(known, axis=1) >= steps + FEWEST_SEGMENTS) & (origins.size > 0)
    if not measured.all():
        unmeasured_order = np.argsort(_ar_ranks(steps, samples, rng), axis=-1)
    paths = np.empty((rows, steps, samples))
    weights = sampling_weights(samples)
    for start in range(0, rows, _BLOCK):
        block = slice(start, min(start + _BLOCK, rows))
        drawn = quantiles[block] @ weights
        _limited(drawn, quantiles[block], limits[0][block, None], limits[1][block, None])
        if origins.size:
            order = ordered(_departures(values[block], level[block], slope[block], origins, steps), jitter)
            if not measured[block].all():
                order[~measured[block]] = unmeasured_order
        else:
            order = np.broadcast_to(unmeasured_order, drawn.shape).copy()
        scatter(paths[block], order, drawn)
    return paths.swapaxes(1, 2)


def _limited(drawn: Floats, quantiles: Floats, lower: Floats, upper: Floats) -> None:
    """Cuts samples, which rise along the last axis but for rounding, off at the limits `(rows, 1)` where they touch."""
    if ((quantiles[:, :, 0] <= lower) | (drawn[:, :, 0] < lower)).any():
        np.maximum(drawn, lower[:, :, None], out=drawn)
    if ((quantiles[:, :, -1] >= upper) | (drawn[:, :, -1] > upper)).any():
        np.minimum(drawn, upper[:, :, None], out=drawn)


def _departures(values: Floats, level: Floats, slope: Floats, origins: Ints, steps: int) -> NDArray[np.float32]:
    """What came after each origin less what was believed then, `(rows, steps, origins)`.

    In units of a typical departure, and in float32: only their order is used.
    """
    middle = max(1, steps // 2)
    typical = np.abs(values[:, middle:] - level[:, :-middle]).mean(axis=1, keepdims=True)
    centre = level[:, -1:]
    # Kept within what float32 holds, also where a row hardly ever moves but by a lot.
    farthest = np.maximum(
        np.abs(values - centre).max(axis=1, keepdims=True), np.abs(level - centre).max(axis=1, keepdims=True)
    )
    unit = 1.0 / np.maximum(typical, np.maximum(1e-30 * farthest, 1e-300))
    came = ((values - centre) * unit).astype(np.float32)
    believed = ((level[:, origins] - centre) * unit).astype(np.float32)
    ahead = np.arange(1, steps + 1)
    departures = np.take(came, origins + ahead[:, None], axis=1)
    departures -= believed[:, None]
    if slope.any():
        departures -= (slope[:, origins] * unit).astype(np.float32)[:, None] * ahead.astype(np.float32)[:, None]
    return departures


def ordered(departures: NDArray[np.float32], jitter: NDArray[np.float32]) -> Ints:
    """Argsort of the last axis. Equal values (counts, zeros) are put in random order, else they would move together.

    A sort with the sample's index in the lowest mantissa bits: several times faster than argsort, and ranks need no
    more than the remaining bits.
    """
    samples = departures.shape[-1]
    bits = max(1, int(samples - 1).bit_length())
    departures += jitter
    if bits > 10:
        return np.argsort(departures, axis=-1)
    packed = departures.view(np.uint32)
    packed &= np.uint32(0xFFFFFFFF << bits & 0xFFFFFFFF)
    packed |= np.arange(samples, dtype=np.uint32)
    departures.sort(axis=-1)
    packed &= np.uint32((1 << bits) - 1)
    return packed.astype(np.intp)


def scatter(paths: Floats, order: Ints, drawn: Floats) -> None:
    rows, steps, samples = drawn.shape
    order += (np.arange(rows * steps) * samples).reshape(rows, steps, 1)
    paths.reshape(-1)[order.reshape(-1)] = drawn.reshape(-1)


def _ar_ranks(steps: int, samples: int, rng: np.random.Generator) -> Floats:
    noise = rng.standard_normal((steps, samples))
    state = noise[0]
    rows = [state]
    for step in range(1, steps):
        state = AR_CORRELATION * state + np.sqrt(1.0 - AR_CORRELATION**2) * noise[step]
        rows.append(state)
    return np.stack(rows)
