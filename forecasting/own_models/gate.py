"""Which signals a model may forecast: those where it beat the default on the newest history, beyond doubt.

Every candidate answers the same requests at the same rolling origins of history that none was trained on, in the order
of time, with its state carried along as in operation. Where it has no forecast the default's counts, as it would be
served. A signal is won when the whole 95 % interval of the relative difference in pinball loss lies below zero;
the interval is a paired bootstrap over blocks of origins, since neighbouring ones are alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from forecasting.backtesting.windows import Cohort
from forecasting.forecast import Floats, Forecaster
from forecasting.own_models.errors import TrainingImpossible
from forecasting.quantiles import LEVEL_ROW, pinball
from forecasting.series_files import Series

#: The newest share of every series is for judging; models are trained on what comes before.
HELD_OUT_SHARE = 0.3
HORIZON_STEPS = 64
#: Origins are a horizon apart, so outcomes never overlap; more than this many in a series are thinned out.
MOST_ORIGINS = 80
#: Fewer judged origins than this prove nothing.
FEWEST_ORIGINS = 12
RESAMPLES = 2000
INTERVAL = (0.025, 0.975)


@dataclass(frozen=True, slots=True)
class SignalScore:
    """How a model did on one signal against the default.

    `difference` is mean pinball loss over the default's, less one (negative: better), with its 95 % interval `low` to
    `high`, None where it cannot be told; `origins` were judged.
    """

    signal: str
    origins: int
    difference: float | None
    low: float | None
    high: float | None

    @property
    def is_better(self) -> bool:
        return self.high is not None and self.high < 0.0 and self.origins >= FEWEST_ORIGINS


def before_held_out(series: Sequence[Series]) -> tuple[Series, ...]:
    """What models may be trained on."""
    return tuple(one.part(0, held_out_from(one)) for one in series)


def require_names(series: Sequence[Series]) -> None:
    """Raises `TrainingImpossible` where two series have the same name: signals are told apart by it."""
    names = [one.name for one in series]
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TrainingImpossible(f"two series are called {twice!r}: rename a file, or name queries with NAME := PROMQL")


def held_out_from(series: Series) -> int:
    """The first point that is for judging only."""
    return series.values.size - max(round(HELD_OUT_SHARE * series.values.size), 1)


def judged(
    candidates: Mapping[str, Forecaster],
    default: Forecaster,
    series: Sequence[Series],
    seed: int,
    on_origin: Callable[[], None] = lambda: None,
) -> dict[str, tuple[SignalScore, ...]]:
    """Scores of every candidate on every signal, whose names must differ."""
    scores: dict[str, list[SignalScore]] = {name: [] for name in candidates}
    for cohort in _cohorts(series):
        theirs = _losses(default, cohort, seed, on_origin)
        for name, candidate in candidates.items():
            ours = _losses(candidate, cohort, seed, on_origin)
            ours = np.where(np.isnan(ours), theirs, ours)
            scores[name] += [score(signal, ours[row], theirs[row], seed) for row, signal in enumerate(cohort.names)]
    return {name: tuple(found) for name, found in scores.items()}


def origins_to_judge(series: Sequence[Series]) -> int:
    """How many requests each forecaster will answer."""
    return sum(len(cohort.origins) for cohort in _cohorts(series))


def score(signal: str, ours: Floats, theirs: Floats, seed: int) -> SignalScore:
    """From the losses at each origin, `(origins,)` in the order of time, NaN where nothing was judged."""
    known = np.isfinite(ours) & np.isfinite(theirs)
    ours, theirs = ours[known], theirs[known]
    if ours.size < 2 or theirs.sum() <= 0.0:
        return SignalScore(signal, int(ours.size), None, None, None)
    drawn = _blocks(ours.size, np.random.default_rng(seed))
    below = theirs[drawn].sum(axis=1)
    ratios = ours[drawn].sum(axis=1)[below > 0.0] / below[below > 0.0]
    low, high = np.quantile(ratios, INTERVAL) - 1.0
    return SignalScore(signal, int(ours.size), float(ours.sum() / theirs.sum() - 1.0), float(low), float(high))


def winners(scores: Mapping[str, Sequence[SignalScore]]) -> dict[str, str]:
    """Signal → the candidate that forecasts it from now on: of those that are better, the best."""
    chosen: dict[str, tuple[float, str]] = {}
    for name, found in scores.items():
        for one in found:
            if not one.is_better or one.difference is None:
                continue
            if one.signal not in chosen or one.difference < chosen[one.signal][0]:
                chosen[one.signal] = (one.difference, name)
    return {signal: name for signal, (_, name) in chosen.items()}


def _cohorts(series: Sequence[Series]) -> tuple[Cohort, ...]:
    """Series that share their clock, asked about together as the control loop does."""
    together: dict[tuple[float, float | None, int], list[Series]] = {}
    for one in series:
        together.setdefault((one.step_s, one.start_at_s, one.values.size), []).append(one)
    cohorts = []
    for (step_s, start_at_s, points), members in together.items():
        first = held_out_from(members[0]) - 1
        horizon = min(HORIZON_STEPS, points - 1 - first)
        count = min(MOST_ORIGINS, (points - 1 - horizon - first) // horizon + 1)
        origins = np.linspace(first, points - 1 - horizon, count).astype(np.intp)
        cohorts.append(
            Cohort(
                group="",
                names=tuple(one.name for one in members),
                values=np.stack([one.values for one in members]),
                step_s=step_s,
                start_at_s=start_at_s,
                horizon_steps=horizon,
                origins=tuple(int(origin) for origin in origins),
            )
        )
    return tuple(cohorts)


def _losses(forecaster: Forecaster, cohort: Cohort, seed: int, on_origin: Callable[[], None]) -> Floats:
    """Mean pinball loss over levels and known steps, `(series, origins)`, NaN without forecast or outcome."""
    losses = np.full((len(cohort.names), len(cohort.origins)), np.nan)
    state: Any = None
    for place, origin in enumerate(cohort.origins):
        rows = cohort.judged_rows(origin)
        if rows.size:
            request = cohort.request(origin, rows, samples=100)
            rng = np.random.default_rng([seed, origin])
            forecast, state = forecaster.forecast(request, state, request.last_at_s, rng)
            losses[rows, place] = _loss(forecast.quantiles, cohort.outcomes(origin)[rows])
        on_origin()
    return losses


def _loss(quantiles: Floats, outcomes: Floats) -> Floats:
    known = np.isfinite(outcomes)
    each = pinball(quantiles, LEVEL_ROW, np.where(known, outcomes, 0.0))
    return np.asarray(np.where(known, each, 0.0).sum(axis=1) / known.sum(axis=1))


def _blocks(origins: int, rng: np.random.Generator) -> np.ndarray[tuple[int, ...], np.dtype[np.intp]]:
    """Resamples of origins, `(resamples, origins)`: runs of the cube root's length, drawn with replacement."""
    length = max(1, round(origins ** (1.0 / 3.0)))
    starts = rng.integers(origins, size=(RESAMPLES, -(-origins // length)))
    runs = (starts[:, :, None] + np.arange(length)) % origins
    return runs.reshape(RESAMPLES, -1)[:, :origins]
