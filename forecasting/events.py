"""What people know ahead: declared events as scenarios, in some of which demand is multiplied.

History is first freed of events that have begun, so that a model sees the demand without them and takes neither their
rise for a trend nor their level for normal; the future then gets them back. Keep an event declared until it has left
the history. Whether an uncertain event that should have begun did begin is read from the demand itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecast import LEVELS, DeclaredEvent, Floats, ForecastRequest, SeriesKind
from forecasting.history import Bools, Ints
from forecasting.quantiles import LEVEL_ROW, sampling_weights

#: Points before the start with which demand after it is compared; up to four times as many after it.
COMPARED_STEPS = 12
#: Points after the start times (expected rise of log demand)² must reach this for a verdict: one point tells of a
#: rise by a half, twelve of one by an eighth; with a tenth of noise that is two deviations.
TELLING = 0.16
#: Points per scenario with which the distribution of a mixture is resolved.
_RESOLUTION = 200


@dataclass(frozen=True, slots=True)
class Scenario:
    """One event as far as the rest of the forecast needs it: rows it concerns, `(steps,)` factors, and its chance."""

    rows: Ints
    factors: Floats
    probability: float


@dataclass(frozen=True, slots=True)
class EventView:
    """History without the events that have begun, and what is to be put on the future."""

    values: Floats
    scenarios: tuple[Scenario, ...]


def factor(event: DeclaredEvent, times_s: Floats) -> Floats:
    """What demand is multiplied by at each time if the event takes place, `(times,)`."""
    share = (times_s - event.starts_at_s) / event.ramp_s if event.ramp_s > 0.0 else times_s >= event.starts_at_s
    risen = 1.0 + (event.multiplier - 1.0) * np.clip(np.asarray(share, dtype=np.float64), 0.0, 1.0)
    return np.where((times_s >= event.starts_at_s) & (times_s < event.ends_at_s), risen, 1.0)


def without_events(request: ForecastRequest, rows: Ints, values: Floats, known: Bools) -> EventView:
    """`values` `(rows, points)` freed of the events that have begun, and the scenarios of the horizon.

    `rows` are places in the request. An event acts on the series it names; one that names none, on all demand.
    """
    if not request.events:
        return EventView(values, ())
    points = values.shape[1]
    past_s = request.last_at_s + request.step_s * np.arange(1 - points, 1, dtype=np.float64)
    ahead_s = request.last_at_s + request.step_s * np.arange(1, request.horizon_steps + 1, dtype=np.float64)
    scenarios = []
    freed = values
    for event in request.events:
        concerned = _concerned(event, request, rows)
        if concerned.size == 0 or event.multiplier <= 0.0 or event.probability <= 0.0:
            continue
        # A point of the past is the mean of the step before it; the future is prepared for from the first moment.
        past = factor(event, past_s - 0.5 * request.step_s)
        future = factor(event, ahead_s)
        verdict = _took_place(past, freed[concerned], known[concerned])
        if verdict is None:
            # Not begun, or hardly: what it has done so far is in the level already.
            scenarios.append(Scenario(concerned, future / past[-1], min(event.probability, 1.0)))
        elif verdict:
            freed = freed.copy() if freed is values else freed
            freed[concerned] = freed[concerned] / past
            scenarios.append(Scenario(concerned, future, 1.0))
    return EventView(freed, tuple(s for s in scenarios if (s.factors != 1.0).any()))


def with_events(
    quantiles: Floats, paths: Floats, scenarios: tuple[Scenario, ...], rng: np.random.Generator
) -> tuple[Floats, Floats]:
    """Quantiles `(rows, steps, levels)` and paths `(rows, samples, steps)` of the mixture over all scenarios.

    An event takes place in a share of the samples that is its probability, in the same samples for all series; several
    events are independent. Quantiles are those of the mixture, not an average of quantiles.
    """
    if not scenarios:
        return quantiles, paths
    samples = paths.shape[1]
    takes_place = [_chosen(scenario.probability, samples, rng) for scenario in scenarios]
    quantiles, paths = quantiles.copy(), paths.copy()
    concerned = np.zeros((len(scenarios), quantiles.shape[0]), dtype=bool)
    for place, scenario in enumerate(scenarios):
        concerned[place, scenario.rows] = True
        for row in scenario.rows:
            paths[row, takes_place[place]] *= scenario.factors
    for pattern in np.unique(concerned, axis=1).T:
        if not pattern.any():
            continue
        rows = np.flatnonzero((concerned == pattern[:, None]).all(axis=0))
        combinations = [(np.ones(quantiles.shape[1]), 1.0)]
        for scenario in (scenarios[int(index)] for index in np.flatnonzero(pattern)):
            chance = scenario.probability
            combinations = [
                (factors * extra, weight * share)
                for factors, weight in combinations
                for extra, share in ((scenario.factors, chance), (np.ones_like(factors), 1.0 - chance))
                if share > 0.0
            ]
        quantiles[rows] = _mixture(quantiles[rows], combinations)
    return quantiles, paths


def _concerned(event: DeclaredEvent, request: ForecastRequest, rows: Ints) -> Ints:
    kinds = request.kinds or (SeriesKind.GAUGE,) * len(request.series)
    return np.asarray(
        [
            place
            for place, row in enumerate(rows)
            if (request.series[row] in event.series if event.series else kinds[row] is SeriesKind.DEMAND)
        ],
        dtype=np.intp,
    )


def _took_place(past: Floats, values: Floats, known: Bools) -> bool | None:
    """Whether an event shows in the demand of its series together, None while that cannot be told.

    Demand under the event is compared with demand before; the geometric middle between "as before" and "as declared"
    decides.
    """
    under = past != 1.0
    if not under.any():
        return None
    start = int(np.argmax(under))
    after = start + np.flatnonzero(under[start:])[-4 * COMPARED_STEPS :]
    before = np.arange(max(0, start - COMPARED_STEPS), start)
    expected = float(np.log(past[after]).mean())
    if before.size == 0 or after.size * expected**2 < TELLING:
        return None
    raised, usual = _mean(values[:, after], known[:, after]), _mean(values[:, before], known[:, before])
    if raised is None or usual is None or raised <= 0.0 or usual <= 0.0:
        return None
    return float(np.log(raised / usual)) / expected > 0.5


def _mean(values: Floats, known: Bools) -> float | None:
    """Sum over the series of their means over known points, None if some series has none."""
    counts = known.sum(axis=1)
    if (counts == 0).any():
        return None
    return float((np.where(known, values, 0.0).sum(axis=1) / counts).sum())


def _chosen(probability: float, samples: int, rng: np.random.Generator) -> Ints:
    return np.sort(rng.permutation(samples)[: round(probability * samples)])


def _mixture(quantiles: Floats, combinations: list[tuple[Floats, float]]) -> Floats:
    """Quantiles of the mixture of `quantiles` multiplied by each combination's factors."""
    if len(combinations) == 1:
        return np.asarray(quantiles * combinations[0][0][:, None])
    points = quantiles @ sampling_weights(_RESOLUTION)
    values = np.concatenate([points * factors[:, None] for factors, _ in combinations], axis=-1)
    shares = np.concatenate([np.full(_RESOLUTION, weight / _RESOLUTION) for _, weight in combinations])
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    reached = np.cumsum(shares[order], axis=-1) - 0.5 * shares[order]
    place = np.stack([(reached < level).sum(axis=-1) for level in LEVEL_ROW], axis=-1)
    high, low = np.clip(place, 0, ordered.shape[-1] - 1), np.clip(place - 1, 0, ordered.shape[-1] - 1)
    at_low, at_high = np.take_along_axis(reached, low, axis=-1), np.take_along_axis(reached, high, axis=-1)
    share = np.clip((LEVEL_ROW - at_low) / np.maximum(at_high - at_low, 1e-12), 0.0, 1.0)
    low_value, high_value = np.take_along_axis(ordered, low, axis=-1), np.take_along_axis(ordered, high, axis=-1)
    mixed = low_value + share * (high_value - low_value)
    return np.asarray(mixed.reshape(*quantiles.shape[:-1], len(LEVELS)))
