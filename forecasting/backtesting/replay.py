"""A candidate asked at every origin in the order of time, as the control loop would ask it, and scored."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.backtesting.candidates import REFERENCE
from forecasting.backtesting.classical import ClassicalForecaster
from forecasting.backtesting.facts import Facts, facts_at
from forecasting.backtesting.naive import seasonal_naive
from forecasting.backtesting.scores import WindowScores, joined, scored
from forecasting.backtesting.windows import Cohort, Plan
from forecasting.forecast import Floats, Forecast, Forecaster
from forecasting.history import Bools, Ints
from forecasting.series_files import Series

#: Steps between forecasts that are asked for but not scored.
WARM_UP_STEPS = 16


@dataclass(frozen=True, slots=True)
class Conditions:
    """`horizons` in steps are those of peaks and partial losses.

    A controller asks every few seconds, while windows lie far apart. So models that learn from outcomes are also asked
    up to `warm_up` times before every window, `WARM_UP_STEPS` apart, without being scored.
    """

    horizons: tuple[int, ...] = (15, 30, 60)
    samples: int = 100
    seed: int = 0
    warm_up: int = 4


@dataclass(frozen=True, slots=True)
class Case:
    """A group with the facts of its windows, the same for all candidates: for each cohort those at each origin."""

    group: str
    cohorts: tuple[Cohort, ...]
    facts: tuple[tuple[Facts, ...], ...]

    @property
    def origins(self) -> int:
        return sum(len(at_origins) for at_origins in self.facts)


def cases_of(plan: Plan) -> tuple[Case, ...]:
    """The groups of a plan that have windows."""
    cases = []
    for group in plan.groups:
        cohorts = plan.of_group(group)
        facts = tuple(tuple(facts_at(cohort, origin) for origin in cohort.origins) for cohort in cohorts)
        if any(at.rows.size for at_origins in facts for at in at_origins):
            cases.append(Case(group, cohorts, facts))
    return tuple(cases)


@dataclass(frozen=True, slots=True)
class GroupScores:
    """All windows of a group; `series` `(windows,)` numbers the series that each belongs to."""

    group: str
    series: Ints
    scores: WindowScores


def replayed(
    forecaster: Forecaster, case: Case, conditions: Conditions, on_origin: Callable[[], None] = lambda: None
) -> GroupScores:
    """One forecaster over all windows of a group. Raises whatever it raises."""
    parts: list[WindowScores] = []
    series: list[Ints] = []
    before = 0
    for cohort, facts in zip(case.cohorts, case.facts, strict=True):
        for at, scores in _cohort_scores(forecaster, cohort, facts, conditions, on_origin):
            parts.append(scores)
            series.append(before + at.rows)
        before += len(cohort.names)
    return GroupScores(case.group, np.concatenate(series), joined(parts))


def known_before(cohorts: Sequence[Cohort]) -> tuple[Series, ...]:
    """All series of a group up to their first origin: what a model may be trained on."""
    return tuple(
        Series(
            name=name,
            group=cohort.group,
            values=cohort.values[row, : cohort.origins[0] + 1],
            step_s=cohort.step_s,
            start_at_s=cohort.start_at_s,
            labels=None,
        )
        for cohort in cohorts
        for row, name in enumerate(cohort.names)
    )


def _cohort_scores(
    forecaster: Forecaster,
    cohort: Cohort,
    facts: Sequence[Facts],
    conditions: Conditions,
    on_origin: Callable[[], None],
) -> Iterator[tuple[Facts, WindowScores]]:
    state: Any = None
    before = 0
    for origin, at in zip(cohort.origins, facts, strict=True):
        if at.rows.size:
            for early in _warm_up_origins(before, origin, conditions.warm_up):
                _, state = _asked(forecaster, cohort, early, at.rows, state, conditions)
            before = origin
            forecast, state = _asked(forecaster, cohort, origin, at.rows, state, conditions)
            quantiles, paths, answered = _with_stand_ins(forecast, cohort, origin, at, conditions)
            yield at, scored(quantiles, paths, at, conditions.horizons, answered, forecast.fell_back)
        on_origin()


def _asked(
    forecaster: Forecaster, cohort: Cohort, origin: int, rows: Ints, state: Any, conditions: Conditions
) -> tuple[Forecast, Any]:
    request = cohort.request(origin, rows, conditions.samples)
    return forecaster.forecast(request, state, request.last_at_s, _stream(conditions.seed, cohort, origin))


def _warm_up_origins(before: int, origin: int, count: int) -> tuple[int, ...]:
    """Up to `count` columns that lead from one origin to the next."""
    wanted = (origin - WARM_UP_STEPS * back for back in range(count, 0, -1))
    return tuple(early for early in wanted if early > before)


def _with_stand_ins(
    forecast: Forecast, cohort: Cohort, origin: int, facts: Facts, conditions: Conditions
) -> tuple[Floats, Floats, Bools]:
    """Quantiles and paths in which seasonal naive answers for series that have no forecast, and who answered."""
    quantiles, paths = forecast.quantiles, forecast.paths
    answered = np.asarray(np.isfinite(quantiles).all(axis=(1, 2)) & np.isfinite(paths).all(axis=(1, 2)))
    if answered.all():
        return quantiles, paths, answered
    missing = np.flatnonzero(~answered)
    reference = ClassicalForecaster(REFERENCE, seasonal_naive)
    instead, _ = _asked(reference, cohort, origin, facts.rows[missing], None, conditions)
    quantiles, paths = quantiles.copy(), paths.copy()
    quantiles[missing], paths[missing] = instead.quantiles, instead.paths
    return quantiles, paths, answered


def _stream(seed: int, cohort: Cohort, origin: int) -> np.random.Generator:
    """Randomness of one request: the same for every candidate, whatever was asked before."""
    key = "/".join((cohort.group, *cohort.names))
    return np.random.default_rng([seed, zlib.crc32(key.encode()), origin])
