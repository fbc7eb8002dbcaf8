"""Labelled episodes and healthy weeks out of a generator: cheap enough for a hundred workloads over a week."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from forecasting.failures import SignalKind
from forecasting.forecast import Floats
from simulation.failure_episodes import HISTORY_POINTS, WEEK_POINTS, Episode, ending_at_failure
from simulation.failure_shapes import HEALTHY, Shape, day, drawn_shape, healthy, noise, rolling_mean, teeth
from simulation.streams import generator

#: A failing signal is watched for so long before its trouble begins.
CALM_POINTS = 120
#: An episode without failure is watched for so long.
NEAR_MISS_POINTS = 480


class Climb(NamedTuple):
    """Minutes from onset to the limit: median, sigma of the logarithm, least and most."""

    median: float
    sigma: float
    least: float
    most: float


CLIMBS: Mapping[SignalKind, Climb] = {
    SignalKind.MEMORY: Climb(100.0, 0.9, 20.0, 480.0),
    SignalKind.CONNECTION_POOL: Climb(60.0, 0.8, 15.0, 300.0),
    SignalKind.DISK: Climb(150.0, 0.9, 20.0, 480.0),
    SignalKind.QUEUE: Climb(30.0, 0.6, 12.0, 120.0),
    SignalKind.LATENCY: Climb(60.0, 0.7, 15.0, 300.0),
    SignalKind.ERRORS: Climb(50.0, 0.7, 15.0, 240.0),
    SignalKind.REPLICATION_LAG: Climb(40.0, 0.7, 12.0, 240.0),
}

#: How often each kind is what fails.
KIND_SHARES: Mapping[SignalKind, float] = {
    SignalKind.MEMORY: 0.40,
    SignalKind.DISK: 0.15,
    SignalKind.CONNECTION_POOL: 0.12,
    SignalKind.QUEUE: 0.10,
    SignalKind.LATENCY: 0.10,
    SignalKind.REPLICATION_LAG: 0.07,
    SignalKind.ERRORS: 0.06,
}
#: Besides memory every healthy workload shows so many signals of other kinds.
OTHER_SIGNALS = 2

#: Scale of the limit in the kind's own unit, (low, high).
_LIMITS: Mapping[SignalKind, tuple[float, float]] = {
    SignalKind.MEMORY: (128.0, 8192.0),
    SignalKind.CONNECTION_POOL: (10.0, 200.0),
    SignalKind.DISK: (4096.0, 524_288.0),
    SignalKind.QUEUE: (32.0, 2048.0),
    SignalKind.LATENCY: (0.1, 3.0),
    SignalKind.ERRORS: (0.01, 0.2),
    SignalKind.REPLICATION_LAG: (5.0, 120.0),
}
#: What grows in these goes on until somebody restarts or clears something; the others recede when their cause does.
RESTARTED = frozenset({SignalKind.MEMORY, SignalKind.CONNECTION_POOL, SignalKind.DISK})
_COUNTED = frozenset({SignalKind.CONNECTION_POOL, SignalKind.QUEUE})


def failing(name: str, kind: SignalKind, seed: int) -> Episode:
    """A signal that is healthy for a day, then climbs to its limit."""
    rng = generator(seed, "failing", name)
    onset = HISTORY_POINTS + CALM_POINTS
    minutes = _drawn_minutes(CLIMBS[kind], rng)
    points = onset + int(3 * minutes) + 60
    ground = _ground(kind, points, rng)
    start = float(ground[onset - 30 : onset].mean())
    shape, curve = _climb(points - onset, minutes, rng)
    ratio = ground
    ratio[onset:] += (1.0 - start) * curve
    if kind is SignalKind.MEMORY and rng.random() < 0.4:
        shape += "-collected"
        ratio[onset:] += rng.uniform(0.01, 0.08) * (teeth(points - onset, rng, rng.uniform(5.0, 30.0)) - 0.5)
    limit = _limit(kind, rng)
    values, failure = ending_at_failure(_in_units(ratio, kind, limit), limit)
    assert failure is not None  # the climb goes on for three times its length
    return Episode(name, name, kind, "generator", shape, values, limit, HISTORY_POINTS, min(onset, failure), failure)


def near_miss(name: str, kind: SignalKind, seed: int) -> Episode:
    """A signal that looks as if it would fail and does not."""
    rng = generator(seed, "near-miss", name)
    points = HISTORY_POINTS + CALM_POINTS + NEAR_MISS_POINTS
    if rng.random() < 0.5:
        shape, ratio = _suspicious(kind, points, rng)
    else:
        shape, ratio = _stopped_climb(kind, points, rng)
    limit = _limit(kind, rng)
    values = _in_units(healthy(ratio), kind, limit)
    return Episode(name, name, kind, "generator", shape, values, limit, HISTORY_POINTS)


def healthy_week(workload: str, seed: int, points: int = WEEK_POINTS) -> tuple[Episode, ...]:
    """The failure signals of a workload that does not fail: memory, and some of the other kinds."""
    rng = generator(seed, "healthy", workload)
    others = [kind for kind in HEALTHY if kind is not SignalKind.MEMORY]
    kinds = [SignalKind.MEMORY, *(others[i] for i in rng.choice(len(others), OTHER_SIGNALS, replace=False))]
    signals = []
    for kind in kinds:
        shape = drawn_shape(kind, rng)
        limit = _limit(kind, rng)
        values = _in_units(healthy(shape(HISTORY_POINTS + points, rng)), kind, limit)
        name = f"{workload}/{kind.value}"
        signals.append(Episode(name, workload, kind, "generator", shape.__name__, values, limit, HISTORY_POINTS))
    return tuple(signals)


def drawn_kinds(count: int, rng: np.random.Generator) -> list[SignalKind]:
    """Kinds in their shares; every one at least once where there is room."""
    kinds = list(KIND_SHARES)
    exact = np.asarray(list(KIND_SHARES.values())) * count
    numbers = np.floor(exact).astype(np.intp)
    for place in np.argsort(numbers - exact)[: count - int(numbers.sum())]:
        numbers[place] += 1
    drawn = [kind for kind, number in zip(kinds, numbers, strict=True) for _ in range(number)]
    return [drawn[i] for i in rng.permutation(count)]


def _ground(kind: SignalKind, points: int, rng: np.random.Generator) -> Floats:
    """Mostly the kind's ordinary shape below a failure; what is high anyway leaves no room for a climb."""
    ordinary = HEALTHY[kind][0][0]
    shape = drawn_shape(kind, rng) if rng.random() < 0.4 else ordinary
    ratio = healthy(shape(points, rng))
    return ratio * min(1.0, 0.8 / max(float(ratio.max()), 1e-9))


def _climb(points: int, minutes: float, rng: np.random.Generator) -> tuple[str, Floats]:
    """From 0 at the onset through 1 after `minutes`, and on at the same pace."""
    at = np.arange(points) / minutes
    match int(rng.choice(5, p=[0.45, 0.2, 0.1, 0.15, 0.1])):
        case 0:
            return "climb", at
        case 1:
            return "climb-faster", at ** rng.uniform(1.3, 2.0)
        case 2:
            return "climb-slower", np.maximum(at, 0.0) ** rng.uniform(0.6, 0.85)
        case 3:  # leaks with every request
            load = 0.4 + 0.6 * day(points, rng)
            rising = np.cumsum(load)
            return "climb-with-load", rising / max(float(np.interp(minutes, np.arange(points), rising)), 1e-9)
        case _:  # leaks with every batch
            steps = max(4.0, float(rng.integers(6, 20)))
            return "climb-in-steps", np.floor(at * steps) / steps


def _stopped_climb(kind: SignalKind, points: int, rng: np.random.Generator) -> tuple[str, Floats]:
    """A climb that does no harm: it levels off, recedes by itself, or is slow and cut short by a restart."""
    onset = HISTORY_POINTS + CALM_POINTS
    ground = _ground(kind, points, rng)
    start = float(ground[onset - 30 : onset].mean())
    top = rng.uniform(max(0.5, start), 0.93)
    ends = "restart" if kind in RESTARTED else "recedes"
    shape = "plateau" if rng.random() < 0.5 else ends
    # Nobody can foresee a restart: it comes while there is time.
    minutes = rng.uniform(240.0, 480.0) if shape == "restart" else _drawn_minutes(CLIMBS[kind], rng)
    _, curve = _climb(points - onset, minutes, rng)
    rising = np.minimum((1.0 - start) * curve, top - start)
    there = np.flatnonzero(rising >= top - start)
    stops = int(there[0]) if there.size else rising.size - 1
    after = np.arange(rising.size - stops)
    if shape == "plateau":
        rising[stops:] += noise(after.size, rng, 0.004, 10.0)
    elif shape == "restart":
        rising[stops:] = 0.0
    else:
        rising[stops:] *= np.exp(-after / rng.uniform(5.0, 60.0))
    ground[onset:] += rolling_mean(rising, 3)
    return shape, ground


def _suspicious(kind: SignalKind, points: int, rng: np.random.Generator) -> tuple[str, Floats]:
    """One of the kind's healthy shapes that come near the limit, at its nearest."""
    shapes: tuple[tuple[Shape, float], ...] = HEALTHY[kind]
    shape = shapes[int(rng.integers(1, len(shapes)))][0] if len(shapes) > 1 else shapes[0][0]
    ratio = healthy(shape(points, rng))
    highest = max(float(ratio[HISTORY_POINTS:].max()), 1e-9)
    return shape.__name__, ratio * max(1.0, rng.uniform(0.75, 0.95) / highest)


def _drawn_minutes(climb: Climb, rng: np.random.Generator) -> float:
    return float(np.clip(climb.median * rng.lognormal(0.0, climb.sigma), climb.least, climb.most))


def _limit(kind: SignalKind, rng: np.random.Generator) -> float:
    low, high = _LIMITS[kind]
    limit = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    return float(round(limit)) if kind in _COUNTED else limit


def _in_units(ratio: Floats, kind: SignalKind, limit: float) -> Floats:
    values = np.maximum(ratio, 0.0) * limit
    return np.floor(values + 1e-9) if kind in _COUNTED else values
