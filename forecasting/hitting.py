"""When a series crosses its limit: probabilities and times read from joint paths."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from forecasting.forecast import Floats


class Direction(StrEnum):
    """Which side of the limit is harm: memory climbs to it (up), free disk sinks to it (down)."""

    UP = "up"
    DOWN = "down"


def hitting_probability(
    paths: Floats, limits: Floats, direction: Direction = Direction.UP, current: Floats | None = None
) -> Floats:
    """Probability that a series has reached its limit by each step at the latest, `(series, steps)`, never falling.

    `paths` `(series, samples, steps)`, `limits` and `current` `(series,)`. A series already at its limit has 1 at all
    steps; without forecast, or with a NaN limit, the row is NaN: unknown. An infinite limit is never reached.
    """
    crossed = _crossed(paths, limits, direction)
    probability: Floats = np.maximum.accumulate(crossed, axis=2).mean(axis=1)
    if current is not None:
        probability[_beyond(current, limits, direction)] = 1.0
    probability[_unknown(paths, limits)] = np.nan
    return probability


def first_passage_s(
    paths: Floats,
    limits: Floats,
    step_s: float,
    levels: Sequence[float] = (0.1, 0.5, 0.9),
    direction: Direction = Direction.UP,
    current: Floats | None = None,
) -> Floats:
    """Quantiles of the time in seconds after the newest point at which the limit is reached, `(series, levels)`.

    Infinite where that share of the futures does not get there within the paths, 0 for a series already there, NaN
    where nothing is known. The crossing is placed inside its step by a straight line from the point before.
    """
    crossed = _crossed(paths, limits, direction)
    reached = crossed.any(axis=2)
    step = np.argmax(crossed, axis=2)
    after = np.take_along_axis(paths, step[:, :, None], axis=2)[:, :, 0]
    before = np.take_along_axis(paths, np.maximum(step - 1, 0)[:, :, None], axis=2)[:, :, 0]
    if current is not None:
        before = np.where(step == 0, current[:, None], before)
    way = after - before
    inside = (step > 0) | (current is not None)
    moves = inside & (way != 0.0) & np.isfinite(way) & np.isfinite(limits)[:, None]
    share = np.ones_like(way)
    np.divide(limits[:, None] - before, way, out=share, where=moves)
    times = np.where(reached, (step + np.clip(share, 0.0, 1.0)) * step_s, np.inf)
    ordered = np.sort(times, axis=1)
    samples = ordered.shape[1]
    # The smallest time by which at least the asked share of the futures has arrived.
    rank = np.clip(np.ceil(np.asarray(levels) * samples - 1e-9).astype(np.intp) - 1, 0, samples - 1)
    passage = ordered[:, rank]
    if current is not None:
        passage[_beyond(current, limits, direction)] = 0.0
    passage[_unknown(paths, limits)] = np.nan
    return passage


def extended(paths: Floats, steps: int, fitted_steps: int = 32) -> Floats:
    """Paths carried on to `steps` steps, each along its own average rise over its last `fitted_steps`.

    For limits that lie beyond the horizon. A straight line says nothing of what bends or restarts later: read the
    result as "if it goes on like this", and prefer a forecast at longer steps where history is long enough.
    """
    given = paths.shape[2]
    if steps <= given:
        return paths[:, :, :steps]
    span = min(fitted_steps, given - 1)
    rise = (paths[:, :, -1] - paths[:, :, -1 - span]) / span if span > 0 else np.zeros(paths.shape[:2])
    ahead = np.arange(1, steps - given + 1)
    return np.concatenate([paths, paths[:, :, -1:] + rise[:, :, None] * ahead], axis=2)


def _crossed(paths: Floats, limits: Floats, direction: Direction) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    limit = limits[:, None, None]
    # Comparisons with NaN are false, hence never crossed; such rows are marked unknown afterwards.
    return np.asarray(paths >= limit if direction is Direction.UP else paths <= limit)


def _beyond(current: Floats, limits: Floats, direction: Direction) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(current >= limits if direction is Direction.UP else current <= limits)


def _unknown(paths: Floats, limits: Floats) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
    return np.asarray(np.isnan(limits) | np.isnan(paths).any(axis=(1, 2)))
