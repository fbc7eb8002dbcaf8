"""A whole backtest: every candidate over the same windows, a failing one noted and left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from forecasting.backtesting.candidates import REFERENCE, Candidate, Training
from forecasting.backtesting.reliability import Bin, reliability
from forecasting.backtesting.replay import Case, Conditions, GroupScores, cases_of, known_before, replayed
from forecasting.backtesting.scores import WindowScores, joined
from forecasting.backtesting.summary import (
    FIGURES,
    MEANS,
    Estimate,
    Figure,
    Resampling,
    estimate,
    estimated,
    figures_within,
    group_values,
    over_groups,
    resampling,
)
from forecasting.backtesting.timing import batch_of, ms_per_100
from forecasting.backtesting.windows import Plan, Spread, planned
from forecasting.series_files import Series

Progress = Callable[[str, int, int], None]
"""Called with a candidate's name, how many origins it has just finished, and how many each candidate has."""


@dataclass(frozen=True, slots=True)
class Settings:
    training: Training
    spread: Spread = field(default_factory=Spread)
    conditions: Conditions = field(default_factory=Conditions)


@dataclass(frozen=True, slots=True)
class ModelResult:
    """What a candidate achieved.

    `figures` over all groups, `groups` in each of them, `raw` the same losses before they were divided by the
    reference's. `hit_skill` is 1 - Brier ÷ climatology's; `hit_skill_base_rate` against the overall base rate known in
    hindsight, as is usual in publications. Shares are of windows. `ms_per_100` is None where it was not measured.
    """

    name: str
    figures: Mapping[str, Estimate]
    groups: Mapping[str, Mapping[str, float | None]]
    raw: Mapping[str, float | None]
    hit_skill: Estimate
    hit_skill_base_rate: float | None
    reliability: tuple[Bin, ...]
    ms_per_100: float | None
    unanswered_share: float
    fell_back_share: float


@dataclass(frozen=True, slots=True)
class Result:
    """`models` in the order asked for; `failed` names the others with their errors."""

    plan: Plan
    settings: Settings
    windows_of: Mapping[str, int]
    models: tuple[ModelResult, ...]
    failed: Mapping[str, str]
    base_rate: float | None


def backtest(
    groups: Mapping[str, Sequence[Series]],
    candidates: Sequence[Candidate],
    settings: Settings,
    clock_s: Callable[[], float] | None = None,
    on_progress: Progress = lambda name, done, each: None,
) -> Result:
    """Every candidate over the windows of all groups; the first candidate is the reference.

    `clock_s` tells what models cost; without one it is not measured. Raises `NothingToJudge` where no window is left.
    """
    plan = planned(groups, settings.spread)
    cases = cases_of(plan)
    scores: dict[str, dict[str, GroupScores]] = {}
    costs: dict[str, float | None] = {}
    failed: dict[str, str] = {}
    for candidate in candidates:
        done = _Counter(candidate.name, sum(case.origins for case in cases), on_progress)
        try:
            scores[candidate.name], costs[candidate.name] = _judged(candidate, cases, settings, clock_s, done.one)
        except Exception as error:  # whatever a model raises is its result, and the others go on
            if candidate.name == REFERENCE:
                raise
            failed[candidate.name] = f"{type(error).__name__}: {error}"
        done.rest()
    reference = scores[REFERENCE]
    resamples = resampling({group: found.series for group, found in reference.items()}, settings.conditions.seed)
    return Result(
        plan=plan,
        settings=settings,
        windows_of={group: found.series.size for group, found in reference.items()},
        models=tuple(
            _result(name, found, reference, resamples, settings.conditions.horizons, costs[name])
            for name, found in scores.items()
        ),
        failed=failed,
        base_rate=_base_rate(_pooled(reference)),
    )


def _result(
    name: str,
    ours: Mapping[str, GroupScores],
    theirs: Mapping[str, GroupScores],
    resamples: Resampling,
    horizons: Sequence[int],
    cost_ms: float | None,
) -> ModelResult:
    figures: dict[str, Estimate] = {}
    groups: dict[str, dict[str, float | None]] = {group: {} for group in ours}
    raw: dict[str, float | None] = {}
    for figure in (*FIGURES, *figures_within(horizons)):
        figures[figure.name], by_group = estimated(figure, ours, theirs, resamples)
        for group, value in by_group.items():
            groups[group][figure.name] = value
        if figure.is_ratio:
            raw[figure.name] = estimated(replace(figure, is_ratio=False), ours, theirs, resamples)[0].value
    pooled = _pooled(ours)
    return ModelResult(
        name=name,
        figures=figures,
        groups=groups,
        raw=raw,
        hit_skill=_skill(ours, theirs, resamples),
        hit_skill_base_rate=_skill_in_hindsight(pooled),
        reliability=reliability(pooled.probability, pooled.hit),
        ms_per_100=cost_ms,
        unanswered_share=float(1.0 - pooled.answered.mean()),
        fell_back_share=float(pooled.fell_back.mean()),
    )


def _skill(ours: Mapping[str, GroupScores], theirs: Mapping[str, GroupScores], resamples: Resampling) -> Estimate:
    def mean(figure: Figure) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        return over_groups(
            figure,
            [
                group_values(figure, scores.scores, theirs[group].scores, resamples.weights[group])
                for group, scores in ours.items()
            ],
        )

    brier, climatology = (mean(figure) for figure in MEANS if figure.name.startswith("hit_brier"))
    ratio = np.divide(brier, climatology, out=np.full_like(brier, np.nan), where=climatology > 0.0)
    return estimate(1.0 - ratio)


def _base_rate(scores: WindowScores) -> float | None:
    """Share of windows that crossed their threshold, None where nothing is known of any."""
    known = scores.hit[np.isfinite(scores.hit)]
    return float(known.mean()) if known.size else None


def _skill_in_hindsight(scores: WindowScores) -> float | None:
    rate, known = _base_rate(scores), np.isfinite(scores.hit)
    if rate is None or rate in (0.0, 1.0):
        return None
    brier = float(np.mean((scores.probability[known] - scores.hit[known]) ** 2))
    return 1.0 - brier / (rate * (1.0 - rate))


def _judged(
    candidate: Candidate,
    cases: Sequence[Case],
    settings: Settings,
    clock_s: Callable[[], float] | None,
    on_origin: Callable[[], None],
) -> tuple[dict[str, GroupScores], float | None]:
    """Scores of all groups, and the cost of a hundred of their series in milliseconds."""
    scores = {}
    conditions = settings.conditions if candidate.learns else replace(settings.conditions, warm_up=0)
    for case in cases:
        forecaster = candidate.made(case.group, known_before(case.cohorts), settings.training)
        scores[case.group] = replayed(forecaster, case, conditions, on_origin)
    if clock_s is None:
        return scores, None
    cohorts = [cohort for case in cases for cohort in case.cohorts]
    return scores, ms_per_100(forecaster, batch_of(cohorts), settings.spread.horizon_steps, clock_s)


def _pooled(groups: Mapping[str, GroupScores]) -> WindowScores:
    return joined([found.scores for found in groups.values()])


class _Counter:
    """Origins that a candidate has finished; a failing one finishes the rest at once, so that bars reach their end."""

    def __init__(self, name: str, total: int, on_progress: Progress) -> None:
        self._name, self._total, self._left, self._on_progress = name, total, total, on_progress

    def one(self) -> None:
        self._left -= 1
        self._on_progress(self._name, 1, self._total)

    def rest(self) -> None:
        if self._left:
            self._on_progress(self._name, self._left, self._total)
            self._left = 0
