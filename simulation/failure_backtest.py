"""The benchmark of failure forecasts: labelled episodes, every method tuned to the same false alarms, then compared.

Two splits with seeds of their own: settings are chosen on one, all figures come from the other. Each split holds
episodes (failing ones and near-misses, from the simulated shop and from a generator) and healthy weeks of a fleet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import joblib
import numpy as np

from forecasting.failures import SignalKind
from forecasting.fallback import FallbackForecaster
from forecasting.forecast import Floats, Forecaster
from simulation.failure_alarms import CONFIRMED, Setting, Tally, tallied
from simulation.failure_episodes import FIRST_SEED, WEEK_POINTS, Episode, Panel, panel_of
from simulation.failure_generator import drawn_kinds, failing, healthy_week, near_miss
from simulation.failure_methods import ByChangePoint, ByForecast, ByLevel, ByLine, FailureMethod
from simulation.failure_scores import (
    Chances,
    Foreseen,
    Looks,
    allowed_alarms,
    chances,
    chosen_setting,
    false_per_week,
    foreseen,
    learned_chances,
    looks_of,
    resampled,
    watched_weeks,
)
from simulation.failure_shop import EPISODES_PER_RUN, shop_episodes
from simulation.scoring.statistics import Estimate
from simulation.streams import generator

Split = Literal["tuning", "test"]
SPLITS: tuple[Split, ...] = ("tuning", "test")
#: Healthy weeks are looked at every five minutes, and every minute while something is suspicious.
WEEK_LOOKS_EVERY = 5
#: Chances are judged for failures within so many minutes.
JUDGED_MINUTES = (30, 60)
_FAILING_SHARE = 0.6
_SHOP_SHARE = 0.33


class MethodUnknown(Exception):
    """No method has this name; the message lists those that exist."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. `episodes` and `workloads` are those of one split; `days` is how long the fleet is watched.

    `shop_runs` of one split: default as many as a third of the episodes needs.
    """

    models: tuple[str, ...]
    seed: int = 0
    episodes: int = 200
    workloads: int = 100
    days: float = 7.0
    false_alarms_per_week: float = 1.0
    workers: int | None = None
    shop_runs: int | None = None

    @property
    def weeks(self) -> float:
        """Weeks of 100 workloads in one split."""
        return self.days / 7.0 * self.workloads / 100.0


@dataclass(frozen=True, slots=True)
class MethodResult:
    """Figures of one method on the test split, and the setting that tuning chose."""

    name: str
    setting: str
    overall: Foreseen
    by_kind: Mapping[str, Foreseen]
    by_source: Mapping[str, Foreseen]
    false_alarms_per_week: Estimate
    false_alarms_by_kind: Mapping[str, int]
    precision: Estimate
    near_misses_alarmed: Estimate
    chances: tuple[Chances, ...]
    budgets: Mapping[float, tuple[float, float]]  # asked for → (recall, false alarms per week) on the test split
    fell_back: bool


@dataclass(frozen=True, slots=True)
class Result:
    plan: Plan
    methods: tuple[MethodResult, ...]
    episodes: int
    failing: int
    workload_weeks: float
    sources: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Part:
    """What one method made of one part of one split."""

    tally: Tally
    looks: Looks | None
    fell_back: bool


class _Job(NamedTuple):
    method: str
    split: Split
    weeks: bool


def _generative() -> Forecaster:
    from forecasting.serving import default_forecaster

    return default_forecaster(threads=1)  # methods and splits already run side by side


def _fallback() -> Forecaster:
    # Seasons and errors are measured again every quarter of an hour: healthy weeks are looked at every five minutes.
    return FallbackForecaster(refresh_s=900.0)


METHODS: Mapping[str, Callable[[], FailureMethod]] = {
    "foresail": lambda: ByForecast("foresail", _generative),
    "foresail-fallback": lambda: ByForecast("foresail-fallback", _fallback),
    "foresail-no-precedents": lambda: ByForecast("foresail-no-precedents", _generative, precedents=False),
    "predict-linear": ByLine,
    "change-point": ByChangePoint,
    "static-threshold": ByLevel,
}
DEFAULT_METHODS = ("foresail", "foresail-fallback", "predict-linear", "change-point", "static-threshold")


def method_named(name: str) -> FailureMethod:
    """Raises `MethodUnknown`."""
    if name not in METHODS:
        raise MethodUnknown(f"no method is called {name!r}: use one of {', '.join(METHODS)}")
    return METHODS[name]()


def episodes_of(split: Split, plan: Plan, shop: Sequence[Episode]) -> tuple[Episode, ...]:
    """The split's episodes: those of the shop, and generated ones until there are as many as asked for."""
    seed, missing = FIRST_SEED + plan.seed, max(0, plan.episodes - len(shop))
    rng = generator(seed, "failure kinds", split)
    failures = round(_FAILING_SHARE * missing)
    generated = [failing(f"{split}/failing-{i}", kind, seed) for i, kind in enumerate(drawn_kinds(failures, rng))]
    misses = [
        near_miss(f"{split}/near-miss-{i}", kind, seed) for i, kind in enumerate(drawn_kinds(missing - failures, rng))
    ]
    return (*shop[: plan.episodes], *generated, *misses)


def weeks_of(split: Split, plan: Plan) -> tuple[Episode, ...]:
    """The split's healthy fleet."""
    seed, points = FIRST_SEED + plan.seed, round(plan.days * WEEK_POINTS / 7.0)
    return tuple(
        signal for i in range(plan.workloads) for signal in healthy_week(f"{split}/workload-{i}", seed, points)
    )


def backtest(plan: Plan, on_done: Callable[[str], None] = lambda _: None) -> Result:
    """Every method on every part; `on_done` hears of each finished job (there are `jobs(plan)` of them)."""
    for name in plan.models:
        method_named(name)
    shop = _simulated(plan, on_done)
    episodes = {split: episodes_of(split, plan, shop[split]) for split in SPLITS}
    todo = [_Job(name, split, weeks) for weeks in (True, False) for name in plan.models for split in SPLITS]
    parts: dict[_Job, _Part] = {}
    work = (joblib.delayed(_measured)(job, plan, None if job.weeks else episodes[job.split]) for job in todo)
    for job, part in zip(todo, _spread(work, len(todo), plan.workers), strict=True):
        parts[job] = part
        on_done(f"{job.method} · {'healthy weeks' if job.weeks else 'episodes'} · {job.split}")
    fleet = {split: weeks_of(split, plan) for split in SPLITS}
    panels = {split: panel_of(episodes[split]) for split in SPLITS}
    methods = tuple(_judged(name, plan, parts, panels, fleet["test"]) for name in plan.models)
    tested = episodes["test"]
    return Result(
        plan=plan,
        methods=methods,
        episodes=len(tested),
        failing=sum(episode.fails for episode in tested),
        workload_weeks=plan.weeks * 100.0,
        sources={source: sum(e.source == source for e in tested) for source in dict.fromkeys(e.source for e in tested)},
    )


def jobs(plan: Plan) -> int:
    """How often `on_done` is called."""
    return 2 * _shop_runs(plan) + 4 * len(plan.models)


def _shop_runs(plan: Plan) -> int:
    wanted = max(1, round(_SHOP_SHARE * plan.episodes / EPISODES_PER_RUN))
    return wanted if plan.shop_runs is None else plan.shop_runs


def _simulated(plan: Plan, on_done: Callable[[str], None]) -> dict[Split, list[Episode]]:
    runs: list[tuple[Split, int]] = [(split, i) for split in SPLITS for i in range(_shop_runs(plan))]
    seeds = {split: FIRST_SEED + 100_000 * (1 + place) + 1_000 * plan.seed for place, split in enumerate(SPLITS)}
    work = (joblib.delayed(shop_episodes)(f"{split}/shop-{i}", seeds[split] + i) for split, i in runs)
    found: dict[Split, list[Episode]] = {split: [] for split in SPLITS}
    for (split, i), episodes in zip(runs, _spread(work, len(runs), plan.workers), strict=True):
        found[split].extend(episodes)
        on_done(f"shop · {split} · run {i + 1}")
    return found


def _spread(work: Iterable[Any], count: int, workers: int | None) -> Iterator[Any]:
    """Results in the order of the work, here or in as many processes as asked for."""
    processes = min(workers or os.cpu_count() or 1, max(count, 1))
    if processes <= 1:
        yield from (function(*args, **kwargs) for function, args, kwargs in work)
        return
    yield from joblib.Parallel(n_jobs=processes, backend="loky", return_as="generator")(work)


def _measured(job: _Job, plan: Plan, episodes: tuple[Episode, ...] | None) -> _Part:
    panel = panel_of(weeks_of(job.split, plan) if episodes is None else episodes)
    method = method_named(job.method)
    scores, fell_back = method.scores(panel, WEEK_LOOKS_EVERY if job.weeks else 1)
    looks = None if job.weeks else looks_of(panel, scores)
    return _Part(tallied(panel, scores, method.thresholds), looks, fell_back)


def _judged(
    name: str, plan: Plan, parts: Mapping[_Job, _Part], panels: Mapping[Split, Panel], fleet: Sequence[Episode]
) -> MethodResult:
    method, rng = method_named(name), generator(FIRST_SEED + plan.seed, "bootstrap", name)
    tuning, panel = parts[_Job(name, "tuning", False)], panels["test"]
    test, weeks = parts[_Job(name, "test", False)], parts[_Job(name, "test", True)].tally

    def tuned_for(per_week: float) -> Setting:
        allowed = allowed_alarms(per_week, plan.weeks)
        healthy = parts[_Job(name, "tuning", True)].tally
        return chosen_setting(tuning.tally, panels["tuning"].fails, healthy, allowed)

    setting = tuned_for(plan.false_alarms_per_week)
    failures = np.flatnonzero(panel.fails)
    misses = np.flatnonzero(~panel.fails)
    kinds = np.asarray([episode.kind.value for episode in panel.episodes])
    sources = np.asarray([episode.source for episode in panel.episodes])
    length = watched_weeks(fleet)
    names = [signal.workload for signal in fleet]
    alarmed = (test.tally.false_alarms[setting][misses] > 0).astype(np.float64)
    return MethodResult(
        name=name,
        setting=_setting_in_words(method, setting),
        overall=foreseen(test.tally, setting, failures, rng),
        by_kind={
            kind.value: foreseen(test.tally, setting, failures[kinds[failures] == kind.value], rng)
            for kind in SignalKind
        },
        by_source={
            source: foreseen(test.tally, setting, failures[sources[failures] == source], rng)
            for source in dict.fromkeys(sources.tolist())
        },
        false_alarms_per_week=false_per_week(weeks, setting, names, length, rng),
        false_alarms_by_kind=_by_kind(fleet, weeks.false_alarms[setting]),
        precision=_precision(test.tally, weeks, setting, rng),
        near_misses_alarmed=resampled(alarmed, lambda drawn: float(drawn.mean()) if drawn.size else float("nan"), rng),
        chances=_chances(method, setting, tuning.looks, test.looks),
        budgets={
            budget: (
                float(foreseen(test.tally, tuned, failures, rng).recall.mean or 0.0),
                float(weeks.false_alarms[tuned].sum(dtype=np.intp)) / plan.weeks,
            )
            for budget in (1.0, 2.0, 5.0, 10.0, 20.0)
            for tuned in (tuned_for(budget),)
        },
        fell_back=test.fell_back,
    )


def _precision(episodes: Tally, weeks: Tally, setting: Setting, rng: np.random.Generator) -> Estimate:
    """Share of all alarms of the test split that were true: one per failing episode, and every false one."""
    true = (episodes.leads[setting] >= 0).astype(np.float64)
    false = episodes.false_alarms[setting].astype(np.float64)
    both = np.concatenate(
        [np.stack([true, false]), np.stack([np.zeros(weeks.leads.shape[-1]), weeks.false_alarms[setting]])], axis=1
    )

    def share(drawn: Floats) -> float:
        places = drawn.astype(np.intp)
        raised = both[:, places].sum(axis=1)
        return float(raised[0] / raised.sum()) if raised.sum() else float("nan")

    return resampled(np.arange(both.shape[1], dtype=np.float64), share, rng)


def _chances(method: FailureMethod, setting: Setting, tuning: Looks | None, test: Looks | None) -> tuple[Chances, ...]:
    if tuning is None or test is None:
        return ()
    found = []
    for minutes in JUDGED_MINUTES:
        variant = method.chances.get(minutes)
        if variant is not None:
            said = test.scores[variant].astype(np.float64)
        else:
            came = (tuning.minutes_left <= minutes).astype(np.float64)
            score = tuning.scores[setting.variant].astype(np.float64)
            said = learned_chances(test.scores[setting.variant].astype(np.float64), score, came)
        found.append(chances(test, minutes, said))
    return tuple(found)


def _by_kind(signals: Sequence[Episode], alarms: Any) -> dict[str, int]:
    counts = {kind.value: 0 for kind in SignalKind}
    for signal, count in zip(signals, alarms.tolist(), strict=True):
        counts[signal.kind.value] += count
    return counts


def _setting_in_words(method: FailureMethod, setting: Setting) -> str:
    looks = CONFIRMED[setting.confirmed]
    in_a_row = "" if looks == 1 else f", {looks} looks in a row"
    return f"{method.variants[setting.variant]}, from {method.thresholds.acts[setting.act]:g} on{in_a_row}"
