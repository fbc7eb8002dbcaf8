"""Shapes of failure signals in units of their limit, one point a minute: calm ones, near-misses and climbs.

Every function takes a number of points and a generator and returns `(points,)`. What is healthy stays below the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from forecasting.failures import SignalKind
from forecasting.forecast import Floats

DAY_POINTS = 1440
#: The highest a healthy signal comes, as a share of its limit.
HIGHEST_HEALTHY = 0.97

Shape = Callable[[int, np.random.Generator], Floats]


# Parts


def noise(points: int, rng: np.random.Generator, deviation: float, memory_points: float = 5.0) -> Floats:
    """Stationary noise that remembers for so many points, with the given standard deviation."""
    keep = float(np.exp(-1.0 / memory_points))
    reach = int(8 * memory_points) + 1
    kernel = keep ** np.arange(reach)
    draws = rng.standard_normal(points + reach)
    return np.asarray(deviation * np.sqrt(1.0 - keep**2) * np.convolve(draws, kernel, "valid")[:points])


def day(points: int, rng: np.random.Generator) -> Floats:
    """Demand of a day, 0 at its lowest and 1 at its height, a little different every day."""
    phase = rng.uniform(0.0, 1.0)
    sharpness = rng.uniform(0.6, 2.0)
    at = np.arange(points) / DAY_POINTS + phase
    height = np.repeat(rng.uniform(0.85, 1.0, points // DAY_POINTS + 2), DAY_POINTS)
    start = int(phase * DAY_POINTS)
    return np.asarray((0.5 - 0.5 * np.cos(2.0 * np.pi * at)) ** sharpness * height[start : start + points])


def teeth(points: int, rng: np.random.Generator, period: float, jitter: float = 0.15) -> Floats:
    """A sawtooth from 0 to about 1 whose teeth differ a little in length and height."""
    count = int(points / period * 2) + 3
    lengths = np.maximum(3, (period * rng.lognormal(0.0, jitter, count)).astype(np.intp))
    heights = rng.uniform(1.0 - jitter / 2.0, 1.0, count)
    ends = np.cumsum(lengths)
    at = np.arange(points) + int(rng.integers(lengths[0]))
    tooth = np.searchsorted(ends, at, side="right")
    begun = ends[tooth] - lengths[tooth]
    return np.asarray((at - begun) / lengths[tooth] * heights[tooth])


def bursts(points: int, rng: np.random.Generator, per_day: float, rise: float, fall: float) -> Floats:
    """Rises and falls of height up to 1 that come so often a day; `rise` and `fall` are points (median)."""
    values = np.zeros(points)
    for start in np.flatnonzero(rng.random(points) < per_day / DAY_POINTS):
        up = max(1, int(rise * rng.lognormal(0.0, 0.5)))
        down = max(1, int(fall * rng.lognormal(0.0, 0.5)))
        # Half of the height more often than all of it.
        height = float(rng.beta(2.0, 2.0))
        pulse = height * np.concatenate([np.arange(1, up + 1) / up, 1.0 - np.arange(1, down + 1) / down])
        piece = values[start : start + pulse.size]
        np.maximum(piece, pulse[: piece.size], out=piece)
    return values


def rolling_mean(values: Floats, points: int) -> Floats:
    """Mean of the last `points` values, fewer at the beginning: a recording rule over a window."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    last = np.arange(1, values.size + 1)
    first = np.maximum(last - points, 0)
    return np.asarray((sums[last] - sums[first]) / (last - first))


def healthy(values: Floats) -> Floats:
    """The values, pressed below the limit where they would reach it."""
    values = np.maximum(values, 0.0)
    highest = float(values.max())
    return values * (HIGHEST_HEALTHY / highest) if highest > HIGHEST_HEALTHY else values


# Memory


def calm(points: int, rng: np.random.Generator) -> Floats:
    level = rng.uniform(0.25, 0.72)
    swing = rng.uniform(0.0, 0.08) * day(points, rng)
    return level + swing + noise(points, rng, rng.uniform(0.002, 0.015), rng.uniform(2.0, 30.0))


def daily(points: int, rng: np.random.Generator) -> Floats:
    low, high = rng.uniform(0.2, 0.45), rng.uniform(0.7, 0.93)
    return low + (high - low) * day(points, rng) + noise(points, rng, rng.uniform(0.003, 0.015), 10.0)


def collected(points: int, rng: np.random.Generator) -> Floats:
    """A heap that fills and is collected, again and again."""
    low, high = rng.uniform(0.25, 0.5), rng.uniform(0.6, 0.93)
    period = float(np.exp(rng.uniform(np.log(10.0), np.log(240.0))))
    return low + (high - low) * teeth(points, rng, period) + noise(points, rng, 0.005, 2.0)


def redeployed(points: int, rng: np.random.Generator) -> Floats:
    """A slow leak that deploys cut short before it does harm."""
    low, high = rng.uniform(0.25, 0.4), rng.uniform(0.5, 0.9)
    period = rng.uniform(8.0, 48.0) * 60.0
    return low + (high - low) * teeth(points, rng, period, 0.3) + noise(points, rng, 0.004, 10.0)


def filling_cache(points: int, rng: np.random.Generator) -> Floats:
    """A cache that warms up after a restart and then stays where its own bound is."""
    low, high = rng.uniform(0.15, 0.4), rng.uniform(0.7, 0.95)
    fills_in = float(np.exp(rng.uniform(np.log(40.0), np.log(600.0))))
    restart = int(rng.integers(points))
    since = np.arange(points) - restart
    since = np.where(since < 0, since + points, since)
    return low + (high - low) * (1.0 - np.exp(-since / fills_in)) + noise(points, rng, 0.004, 8.0)


def spiky(points: int, rng: np.random.Generator) -> Floats:
    level = rng.uniform(0.4, 0.65)
    spikes = bursts(points, rng, rng.uniform(2.0, 20.0), 2.0, 3.0)
    return level + (0.92 - level) * spikes + noise(points, rng, rng.uniform(0.01, 0.03), 3.0)


def rebalanced(points: int, rng: np.random.Generator) -> Floats:
    """Work that moves from pod to pod: the level steps within minutes."""
    moves = rng.random(points) < rng.uniform(0.5, 4.0) / DAY_POINTS
    levels = rng.uniform(0.3, 0.88, int(moves.sum()) + 1)
    return rolling_mean(levels[np.cumsum(moves)], int(rng.uniform(2.0, 15.0))) + noise(points, rng, 0.008, 6.0)


# Other kinds


def busy_pool(points: int, rng: np.random.Generator) -> Floats:
    """Connections in use: they follow the load, with a binomial's noise."""
    size = int(rng.integers(10, 100))
    high = rng.uniform(0.2, 0.75)
    share = high * (0.3 + 0.7 * day(points, rng)) * np.exp(noise(points, rng, 0.1, 10.0))
    share = share + 0.3 * bursts(points, rng, rng.uniform(0.5, 6.0), 3.0, 8.0)
    return rng.binomial(size, np.clip(share, 0.0, 0.9)) / size


def purged_disk(points: int, rng: np.random.Generator) -> Floats:
    """Logs that fill and are rotated, over a database that grows by little."""
    low = rng.uniform(0.3, 0.7)
    high = rng.uniform(low + 0.02, 0.93)
    period = rng.uniform(3.0, 72.0) * 60.0
    return low + (high - low) * teeth(points, rng, period, 0.1) + rng.uniform(0.0, 0.02) * np.arange(points) / 10_080


def growing_disk(points: int, rng: np.random.Generator) -> Floats:
    """Slow growth that is weeks away from the limit, with batches now and then."""
    level, per_week = rng.uniform(0.3, 0.75), rng.uniform(0.0, 0.1)
    batches = 0.06 * bursts(points, rng, 2.0, 20.0, 60.0)
    return level + per_week * np.arange(points) / 10_080 + batches + noise(points, rng, 0.0008, 20.0)


def drained_queue(points: int, rng: np.random.Generator) -> Floats:
    """Mostly empty; what piles up in a burst is worked off."""
    piles = rng.uniform(0.3, 0.95) * bursts(points, rng, rng.uniform(0.5, 12.0), 8.0, 12.0)
    few = rng.gamma(0.6, rng.uniform(0.002, 0.02), points)
    return piles + few


def steady_latency(points: int, rng: np.random.Generator) -> Floats:
    """Mean latency over five minutes, as a share of the SLO."""
    level = rng.uniform(0.15, 0.5)
    load = 1.0 + rng.uniform(0.0, 0.6) * day(points, rng)
    rough = np.exp(noise(points, rng, rng.uniform(0.08, 0.3), 3.0))
    slow = rng.uniform(0.1, 0.5) * bursts(points, rng, rng.uniform(0.3, 5.0), 6.0, 10.0)
    return rolling_mean(level * load * rough + slow, 5)


def few_errors(points: int, rng: np.random.Generator) -> Floats:
    """Error ratio over five minutes, as a share of what the SLO bears."""
    rate = rng.uniform(0.01, 0.15)
    few = rng.gamma(0.5, 2.0 * rate, points)
    return rolling_mean(few + rng.uniform(0.2, 0.8) * bursts(points, rng, rng.uniform(0.3, 6.0), 4.0, 8.0), 5)


def small_lag(points: int, rng: np.random.Generator) -> Floats:
    """Replication lag: small, with heaps under batches and backups."""
    own = rng.gamma(1.0, rng.uniform(0.005, 0.03), points)
    return own + rng.uniform(0.3, 0.9) * bursts(points, rng, rng.uniform(0.3, 4.0), 12.0, 10.0)


#: What healthy workloads show, with the share of each shape. The first of a kind is its ordinary one.
HEALTHY: Mapping[SignalKind, tuple[tuple[Shape, float], ...]] = {
    SignalKind.MEMORY: (
        (calm, 0.56), (daily, 0.12), (collected, 0.12), (redeployed, 0.08),
        (filling_cache, 0.05), (spiky, 0.03), (rebalanced, 0.04),
    ),
    SignalKind.CONNECTION_POOL: ((busy_pool, 1.0),),
    SignalKind.DISK: ((growing_disk, 0.6), (purged_disk, 0.4)),
    SignalKind.QUEUE: ((drained_queue, 1.0),),
    SignalKind.LATENCY: ((steady_latency, 1.0),),
    SignalKind.ERRORS: ((few_errors, 1.0),),
    SignalKind.REPLICATION_LAG: ((small_lag, 1.0),),
}  # fmt: skip


def drawn_shape(kind: SignalKind, rng: np.random.Generator) -> Shape:
    """One of the kind's healthy shapes, as often as its share."""
    shapes = HEALTHY[kind]
    return shapes[int(rng.choice(len(shapes), p=[share for _, share in shapes]))][0]
