"""Ways to foresee failures, each of which scores every watched signal: the higher, the nearer its failure.

Scores are compared with thresholds that are found for every method in the same way. A method may come in several
variants (how far it looks ahead, how far back), of which one is chosen in the same way too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from forecasting.alarm_evidence import (
    LINGERS_POINTS,
    TREND_POINTS,
    trend_reaches,
    turned_back,
    with_precedents,
    within_reach,
    worth_forecasting,
)
from forecasting.failures import reached
from forecasting.forecast import Forecaster, ForecastRequest
from simulation.failure_episodes import STEP_S, Panel

Scores = NDArray[np.float32]

#: Chances are read for failures within so many minutes.
WITHIN_MIN = (15, 30, 45, 60)
_HORIZON_STEPS = 64
_SAMPLES = 100
#: Points of history a forecaster is given.
_CONTEXT_POINTS = 1440
#: From this chance of a failure within the horizon on, a signal is looked at every minute.
_SUSPICIOUS = 0.25


class Thresholds(NamedTuple):
    """What may be chosen: scores at which an alarm is raised, and the share of it below which it is taken back."""

    acts: tuple[float, ...]
    release_ratio: float


CHANCES = Thresholds((0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.84,
                      0.88, 0.91, 0.94, 0.96, 0.98, 0.99, 1.0), 0.5)  # fmt: skip
SHARES_OF_LIMIT = Thresholds(
    (*(round(0.6 + 0.02 * k, 2) for k in range(15)), *(round(0.89 + 0.01 * k, 2) for k in range(12)),
     1.02, 1.04, 1.06, 1.08, 1.1, 1.15, 1.2, 1.3, 1.5, 2.0), 0.95,
)  # fmt: skip


class Scored(NamedTuple):
    """`scores` `(variants, episodes, watched columns)`, NaN where the method was not asked.

    `fell_back`: its model failed somewhere, and another one answered for it.
    """

    scores: Scores
    fell_back: bool = False


class FailureMethod(Protocol):
    """`chances` names the variants that are probabilities of a failure within so many minutes, None where a method has
    none. `every` is how often calm signals are looked at, in points.
    """

    @property
    def name(self) -> str: ...

    @property
    def variants(self) -> tuple[str, ...]: ...

    @property
    def thresholds(self) -> Thresholds: ...

    @property
    def chances(self) -> Mapping[int, int]: ...

    def scores(self, panel: Panel, every: int) -> Scored: ...


@dataclass(frozen=True, slots=True)
class ByForecast:
    """P(the limit is reached in time), read from the joint futures of a forecaster.

    Half of the variants also take a clear trend at its word. With `precedents` both count less where the signal was as
    near before and turned back.
    """

    name: str
    make: Callable[[], Forecaster]
    precedents: bool = True
    seed: int = 0

    @property
    def variants(self) -> tuple[str, ...]:
        plain = tuple(f"within {minutes} min" for minutes in WITHIN_MIN)
        return (*plain, *(f"{variant} or by its trend" for variant in plain))

    @property
    def thresholds(self) -> Thresholds:
        return CHANCES

    @property
    def chances(self) -> Mapping[int, int]:
        return {minutes: place for place, minutes in enumerate(WITHIN_MIN)}

    def scores(self, panel: Panel, every: int) -> Scored:
        """Signals that are not worth a forecast have no chance; suspicious ones are looked at every minute."""
        forecaster, rng, state = self.make(), np.random.default_rng(self.seed), None
        first = panel.watched_from
        scores = np.full((len(self.variants), len(panel.episodes), panel.columns - first), np.nan, dtype=np.float32)
        fell_back = False
        suspicious = np.zeros(len(panel.episodes), dtype=bool)
        lingers_until = np.zeros(len(panel.episodes), dtype=np.intp)
        for column in range(first, panel.columns):
            alive = column < panel.ends
            due = (column - first) % every == 0
            rows = np.flatnonzero(alive if due else alive & suspicious)
            if rows.size == 0:
                continue
            window = panel.values[rows, max(0, column + 1 - _CONTEXT_POINTS) : column + 1]
            lingers_until[rows[worth_forecasting(window, panel.limits[rows])]] = column + LINGERS_POINTS
            watched = (lingers_until[rows] > column) & within_reach(window, panel.limits[rows], _HORIZON_STEPS)
            scores[:, rows[~watched], column - first] = 0.0
            suspicious[rows[~watched]] = False
            rows, window = rows[watched], window[watched]
            if rows.size == 0:
                continue
            request = ForecastRequest(
                series=tuple(panel.episodes[row].name for row in rows),
                values=window,
                step_s=STEP_S,
                last_at_s=STEP_S * column,
                horizon_steps=_HORIZON_STEPS,
                lower_limit=np.zeros(rows.size),
                samples=_SAMPLES,
            )
            forecast, after = forecaster.forecast(request, state, STEP_S * column, rng)
            fell_back |= forecast.fell_back
            if due:  # a look in between learns nothing: the others' learning goes on from the last common one
                state = after
            chance = reached(forecast.paths, panel.limits[rows], window[:, -1])
            chance = chance[:, list(WITHIN_MIN)]
            trend = trend_reaches(window, panel.limits[rows], WITHIN_MIN)
            chance = np.concatenate([chance, np.fmax(chance, trend)], axis=1)
            if self.precedents:
                chance = with_precedents(chance, *turned_back(window, panel.limits[rows]))
            scores[:, rows, column - first] = chance.T
            suspicious[rows] = ~(chance[:, -1] < _SUSPICIOUS)
        return Scored(scores, fell_back)


@dataclass(frozen=True, slots=True)
class ByTrend:
    """The rule of `ByForecast` without any forecast: a clear trend in the light of precedents."""

    name: str = "trend-precedents"

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(f"within {minutes} min by its trend" for minutes in WITHIN_MIN)

    @property
    def thresholds(self) -> Thresholds:
        return CHANCES

    @property
    def chances(self) -> Mapping[int, int]:
        return {}

    def scores(self, panel: Panel, every: int) -> Scored:
        first = panel.watched_from
        scores = np.full((len(self.variants), len(panel.episodes), panel.columns - first), np.nan, dtype=np.float32)
        suspicious = np.zeros(len(panel.episodes), dtype=bool)
        for column in range(first, panel.columns):
            alive = column < panel.ends
            rows = np.flatnonzero(alive if (column - first) % every == 0 else alive & suspicious)
            recent = panel.values[rows, max(0, column + 1 - TREND_POINTS) : column + 1]
            score = trend_reaches(recent, panel.limits[rows], WITHIN_MIN)
            rising = np.flatnonzero(score[:, -1] > 0.0)
            if rising.size:
                window = panel.values[rows[rising], max(0, column + 1 - _CONTEXT_POINTS) : column + 1]
                score[rising] = with_precedents(score[rising], *turned_back(window, panel.limits[rows[rising]]))
            scores[:, rows, column - first] = score.T
            suspicious[rows] = score[:, -1] >= _SUSPICIOUS
        return Scored(scores)
