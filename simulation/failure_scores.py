"""What a method's alarms and chances are worth: the setting that it may use, and its figures under it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import floor

import numpy as np
from scipy.optimize import isotonic_regression

from forecasting.forecast import Floats
from forecasting.history import Bools, Ints
from simulation.failure_alarms import NEVER, Outcome, Setting, Tally
from simulation.failure_episodes import STEP_S, WEEK_POINTS, Episode, Panel
from simulation.failure_methods import Scores
from simulation.scoring.statistics import Estimate

#: A failure is foreseen when the first true alarm leaves so much time: about a pod's start and a drain.
USEFUL_LEAD_S = 300.0
#: More lead than this is worth no more when settings are chosen.
AMPLE_LEAD_S = 1200.0
#: Settings so close to the best one count as equal; of them the one with the fewest false alarms is taken.
EQUAL = 0.01
#: Chances are judged every so many points.
JUDGED_EVERY = 5
_RESAMPLES = 1000
_RELIABILITY_BINS = 10


@dataclass(frozen=True, slots=True)
class Looks:
    """Moments at which chances are judged: `scores` `(variants, looks)`, the minutes left to the failure, infinite
    where there is none, and the place of the episode, both `(looks,)`."""

    scores: Scores
    minutes_left: Floats
    episodes: Ints


@dataclass(frozen=True, slots=True)
class Chances:
    """Brier score of P(failure within `minutes`), that of always saying the base rate, and the reliability curve.

    `said`, `came` and `looks` are of bins of equal width: mean chance, share that failed, and how many.
    """

    minutes: int
    brier: float
    climatology: float
    said: tuple[float, ...]
    came: tuple[float, ...]
    looks: tuple[int, ...]

    @property
    def skill(self) -> float | None:
        return 1.0 - self.brier / self.climatology if self.climatology > 0.0 else None


@dataclass(frozen=True, slots=True)
class Foreseen:
    """How well a group of failing episodes was foreseen. Leads are of those with any true alarm, in seconds."""

    episodes: int
    recall: Estimate  # first true alarm at least `USEFUL_LEAD_S` ahead
    any_recall: float | None  # any true alarm
    median_lead_s: Estimate
    p10_lead_s: float | None
    ample_share: float | None  # at least ten minutes ahead, of all


def looks_of(panel: Panel, scores: Scores) -> Looks:
    """Every fifth minute at which the method was asked about an episode that had not failed yet."""
    places = np.arange(0, scores.shape[2], JUDGED_EVERY)
    columns = panel.watched_from + places
    rows, chosen = np.nonzero(
        np.isfinite(scores[0][:, places]) & (columns < np.minimum(panel.ends, panel.failures)[:, None])
    )
    left: Floats = np.where(panel.fails[rows], (panel.failures[rows] - columns[chosen]) * (STEP_S / 60.0), np.inf)
    return Looks(scores[:, rows, places[chosen]], left, rows)


def allowed_alarms(per_week: float, weeks: float) -> int:
    """False alarms that a setting may raise in `weeks` of tuning (of 100 workloads) if `per_week` are to be expected.

    The next sample of the same length exceeds the (n + 1)-th highest score of this one n + 1 times on average.
    """
    return max(0, floor(per_week * weeks + 1e-9) - 1)


def chosen_setting(episodes: Tally, fails: Bools, weeks: Tally, allowed: int) -> Setting:
    """The setting with the most useful lead on failing episodes among those with at most `allowed` false alarms.

    Lead counts up to `AMPLE_LEAD_S`. Where no setting is that quiet, the quietest ones are left.
    """
    leads = episodes.leads[..., fails]
    worth = (np.clip(leads, 0, AMPLE_LEAD_S / STEP_S) / (AMPLE_LEAD_S / STEP_S)).mean(axis=-1)
    alarms = weeks.false_alarms.sum(axis=-1, dtype=np.intp)
    quiet = alarms <= max(allowed, int(alarms.min()))
    best = float(worth[quiet].max())
    near = np.argwhere(quiet & (worth >= best - EQUAL))
    nearby = episodes.false_alarms.sum(axis=-1, dtype=np.intp)
    variant, act, confirmed = min(
        near.tolist(), key=lambda place: (alarms[tuple(place)], nearby[tuple(place)], -worth[tuple(place)])
    )
    return Setting(variant, act, confirmed)


def foreseen(outcome: Outcome, rows: Ints, rng: np.random.Generator) -> Foreseen:
    """How well the failing episodes `rows` were foreseen, with intervals by resampling episodes."""
    leads = outcome.leads[rows] * STEP_S
    known = outcome.leads[rows] != NEVER
    if rows.size == 0:
        none = Estimate(None, None, None)
        return Foreseen(0, none, None, none, None, None)
    useful = (known & (leads >= USEFUL_LEAD_S)).astype(np.float64)
    return Foreseen(
        episodes=int(rows.size),
        recall=resampled(useful, lambda drawn: float(drawn.mean()), rng),
        any_recall=float(known.mean()),
        median_lead_s=resampled(np.where(known, leads, np.nan), _median, rng),
        p10_lead_s=float(np.quantile(leads[known], 0.1)) if known.any() else None,
        ample_share=float((known & (leads >= 600.0)).mean()),
    )


def false_per_week(outcome: Outcome, workloads: Sequence[str], weeks: float, rng: np.random.Generator) -> Estimate:
    """False alarms per week and 100 workloads; `workloads` names each episode's. The interval resamples workloads.

    `weeks` is how long each workload was watched. With no alarm at all the upper end is the rule of three.
    """
    names = list(dict.fromkeys(workloads))
    place = {name: i for i, name in enumerate(names)}
    counts = np.bincount([place[name] for name in workloads], outcome.false_alarms, len(names))
    rates: Floats = np.asarray(counts * (100.0 / weeks), dtype=np.float64)
    if not counts.any():
        return Estimate(0.0, 0.0, 3.0 * 100.0 / (len(names) * weeks))
    return resampled(rates, lambda drawn: float(drawn.mean()), rng)


def chances(looks: Looks, minutes: int, said: Floats) -> Chances:
    """How good the chances `said` `(looks,)` of a failure within `minutes` were."""
    came = (looks.minutes_left <= minutes).astype(np.float64)
    base = float(came.mean())
    bins = np.minimum((said * _RELIABILITY_BINS).astype(np.intp), _RELIABILITY_BINS - 1)
    count = np.bincount(bins, minlength=_RELIABILITY_BINS)
    filled = np.flatnonzero(count)
    mean_said = np.bincount(bins, said, _RELIABILITY_BINS)[filled] / count[filled]
    mean_came = np.bincount(bins, came, _RELIABILITY_BINS)[filled] / count[filled]
    return Chances(
        minutes=minutes,
        brier=float(((said - came) ** 2).mean()),
        climatology=base * (1.0 - base),
        said=tuple(mean_said.tolist()),
        came=tuple(mean_came.tolist()),
        looks=tuple(count[filled].tolist()),
    )


def learned_chances(score: Floats, tuning_score: Floats, tuning_came: Floats) -> Floats:
    """Chances for a method that has only scores: the rising function of the score that fitted the tuning split best."""
    order = np.argsort(tuning_score, kind="stable")
    fitted = isotonic_regression(tuning_came[order]).x
    return np.asarray(np.interp(score, tuning_score[order], fitted), dtype=np.float64)


def resampled(values: Floats, figure: Callable[[Floats], float], rng: np.random.Generator) -> Estimate:
    """A figure of values `(n,)` with its 95 % interval over resamples; None where it is not known."""
    mean = figure(values)
    if not np.isfinite(mean):
        return Estimate(None, None, None)
    if values.size < 2:
        return Estimate(mean, None, None)
    draws = [figure(values[rng.integers(values.size, size=values.size)]) for _ in range(_RESAMPLES)]
    known = np.asarray([draw for draw in draws if np.isfinite(draw)])
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(mean, float(low), float(high))


def watched_weeks(episodes: Sequence[Episode]) -> float:
    """How long each workload of healthy weeks was watched, in weeks."""
    return max(episode.watched_points for episode in episodes) / WEEK_POINTS


def _median(values: Floats) -> float:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else float("nan")
