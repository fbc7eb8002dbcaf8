"""Textbook models behind the Forecaster port: one series at a time, quantiles by their own past errors.

What all of them share is here, so that they differ only in their idea: gaps are bridged, what comes out is clamped to
a range that the history makes believable and to the hard limits, and samples get their ranks from the past.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecasting.backtesting.seasonality import seasons_of
from forecasting.fallback_state import leads_of
from forecasting.features import LONGEST_CONTEXT
from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.history import History, Ints, clean
from forecasting.mixture import hard_limits
from forecasting.paths import joint_paths
from forecasting.quantiles import empirical_quantiles, lead_interpolation, monotone

#: Past errors that quantiles are made of, the newest ones.
MOST_ERRORS = 1024
#: A lead with fewer past errors than this takes those of a shorter lead, widened as a random walk widens.
FEWEST_ERRORS = 8
#: Forecasts stay within the range of the history, widened by this many times its width.
RANGE_SHARE = 1.0
#: Points in which templates for the ranks of samples are looked for.
RANKED_POINTS = 1024


@dataclass(frozen=True, slots=True)
class Past:
    """One series as a textbook sees it: `values` `(points,)` without gaps, a season in steps (0: none)."""

    values: Floats
    season: int
    step_s: float


Model = Callable[[Past, int], Floats]
"""Past and horizon → quantiles `(steps, levels)`. May raise `ModelFailed`."""


class ModelFailed(Exception):
    """This series is none for this model."""


@dataclass(frozen=True, slots=True)
class ClassicalForecaster:
    """Implements `Forecaster`; stateless. Series that the model cannot do are named `MODEL_FAILED`."""

    name: str
    model: Model

    def forecast(
        self, request: ForecastRequest, state: None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, None]:
        history = clean(request, now_s, LONGEST_CONTEXT)
        season = seasons_of(history.values, history.known, request.step_s) if history.rows.size else history.rows
        first = np.argmax(history.known, axis=1)
        quantiles = np.full((len(request.series), request.horizon_steps, len(LEVELS)), np.nan)
        paths = np.full((len(request.series), request.samples, request.horizon_steps), np.nan)
        unavailable = dict(history.unavailable)
        for place, row in enumerate(history.rows):
            past = Past(history.values[place, first[place] :], int(season[place]), request.step_s)
            try:
                quantiles[row] = self.model(past, request.horizon_steps)
            except ModelFailed:
                unavailable[request.series[row]] = NoForecastReason.MODEL_FAILED
        if history.rows.size:
            believable = _clamped(monotone(quantiles[history.rows]), history, request)
            quantiles[history.rows] = believable
            paths[history.rows] = ranked_by_past(believable, history, season, request, rng)
        unmeasured = np.full(len(request.series), np.nan)
        return Forecast(
            series=request.series,
            levels=LEVELS,
            quantiles=quantiles,
            paths=paths,
            issued_at_s=now_s,
            last_at_s=request.last_at_s,
            step_s=request.step_s,
            model=self.name,
            coverage=unmeasured,
            skill=unmeasured,
            unavailable=unavailable,
        ), None

    def dump(self, state: None) -> Any:
        return None

    def load(self, dumped: Any) -> None:
        return None


def ranked_by_past(
    quantiles: Floats,
    history: History,
    season: Ints,
    request: ForecastRequest,
    rng: np.random.Generator,
) -> Floats:
    """Samples by the Schaake shuffle, `(rows, samples, steps)`: seasonal rows by their departures from the last cycle,
    the others by their departures from where they stood."""
    values, level = history.values.copy(), history.values.copy()
    for row in np.flatnonzero(season):
        steps = int(season[row])
        values[row, steps:] -= history.values[row, :-steps]
        values[row, :steps] = 0.0
        level[row] = 0.0
    recent = slice(-RANKED_POINTS, None)
    limits = hard_limits(history.rows, request)
    values, level, known = values[:, recent], level[:, recent], history.known[:, recent]
    return joint_paths(quantiles, values, known, level, np.zeros_like(level), limits, request.samples, rng)


def spread_by_errors(errors: Callable[[int], Floats], horizon: int) -> Floats:
    """Deviations from a point forecast at each step, `(steps, levels)`: quantiles of what was wrong at that lead.

    `errors` gives the errors at a lead, oldest first; leads between the measured ones are interpolated.
    """
    leads = leads_of(horizon)
    found = [errors(lead)[-MOST_ERRORS:] for lead in leads]
    together = np.full((len(leads), max(1, *(each.size for each in found))), np.nan)
    for place, each in enumerate(found):
        together[place, : each.size] = each
    rows = empirical_quantiles(together)
    for place in range(1, len(leads)):
        if found[place].size < FEWEST_ERRORS:
            rows[place] = rows[place - 1] * np.sqrt(leads[place] / leads[place - 1])
    return np.asarray(lead_interpolation(leads, horizon) @ rows)


def tried_in_turn(models: Sequence[Model]) -> Model:
    """The first of several models that can do the series."""

    def model(past: Past, horizon: int) -> Floats:
        for attempt in models[:-1]:
            try:
                return attempt(past, horizon)
            except ModelFailed:
                continue
        return models[-1](past, horizon)

    return model


def _clamped(quantiles: Floats, history: History, request: ForecastRequest) -> Floats:
    low, high = history.values.min(axis=1), history.values.max(axis=1)
    span = RANGE_SHARE * (high - low)
    lower, upper = hard_limits(history.rows, request)
    bottom, top = np.clip(low - span, lower, upper), np.clip(high + span, lower, upper)
    return np.clip(quantiles, bottom[:, None, None], top[:, None, None])


def shortened(past: Past, points: int) -> Past:
    """The newest points only."""
    return replace(past, values=past.values[-points:])
