"""The benchmark of failure forecasts: labelled episodes, every method tuned to the same false alarms, then compared.

Two splits with seeds of their own: settings are chosen on one, all figures come from the other. Each split holds
episodes (failing ones and near-misses, from the simulated shop and from a generator) and healthy weeks of a fleet.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, NamedTuple

import joblib

from forecasting.fallback import FallbackForecaster
from forecasting.forecast import Forecaster
from simulation.failure_alarms import tallied
from simulation.failure_episodes import FIRST_SEED, WEEK_POINTS, Episode, panel_of
from simulation.failure_generator import drawn_kinds, failing, healthy_week, near_miss
from simulation.failure_judging import Budget, MethodResult, Seen, Worked, judged
from simulation.failure_measured import measured_episodes
from simulation.failure_methods import ByForecast, ByTrend, FailureMethod
from simulation.failure_rules import ByChangePoint, ByLevel, ByLine
from simulation.failure_scores import (
    looks_of,
)
from simulation.failure_shop import EPISODES_PER_RUN, shop_episodes
from simulation.streams import generator

Split = Literal["tuning", "test"]
Part = Literal["episodes", "weeks", "measured"]
SPLITS: tuple[Split, ...] = ("tuning", "test")
PARTS: tuple[Part, ...] = ("weeks", "episodes")  # the long ones first
#: Healthy weeks are looked at every five minutes, and every minute while something is suspicious.
WEEK_LOOKS_EVERY = 5
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
    data: Path | None = None  # measured series, on which every alarm is false

    @property
    def weeks(self) -> float:
        """Weeks of 100 workloads in one split."""
        return self.days / 7.0 * self.workloads / 100.0


@dataclass(frozen=True, slots=True)
class Result:
    plan: Plan
    methods: tuple[MethodResult, ...]
    episodes: int
    failing: int
    workload_weeks: float
    sources: Mapping[str, int]


class _Job(NamedTuple):
    method: str
    split: Split
    part: Part


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
    "trend-precedents": ByTrend,
    "predict-linear": ByLine,
    "change-point": ByChangePoint,
    "static-threshold": ByLevel,
}
DEFAULT_METHODS = (
    "foresail", "foresail-fallback", "trend-precedents", "predict-linear", "change-point", "static-threshold",
)  # fmt: skip


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
    """Every method on every part; `on_done` hears of each finished job (there are `jobs(plan)` of them).

    Raises `MethodUnknown`, and `MeasuredDataMissing` where `plan.data` holds nothing to use.
    """
    for name in plan.models:
        method_named(name)
    shop = _simulated(plan, on_done)
    episodes = {split: episodes_of(split, plan, shop[split]) for split in SPLITS}
    todo = [_Job(name, split, part) for part in PARTS for name in plan.models for split in SPLITS]
    measured = () if plan.data is None else measured_episodes(plan.data, FIRST_SEED + plan.seed)
    if measured:
        todo += [_Job(name, "test", "measured") for name in plan.models]
    parts: dict[_Job, Worked] = {}
    given = {(split, "episodes"): episodes[split] for split in SPLITS} | {("test", "measured"): measured}
    work = (joblib.delayed(_carried_out)(job, plan, given.get((job.split, job.part))) for job in todo)
    for job, part in zip(todo, _spread(work, len(todo), plan.workers), strict=True):
        parts[job] = part
        on_done(f"{job.method} · {job.part} · {job.split}")
    fleets = {split: weeks_of(split, plan) for split in SPLITS}
    panels = {split: panel_of(episodes[split]) for split in SPLITS}

    def seen(name: str, split: Split) -> Seen:
        own, weeks = parts[_Job(name, split, "episodes")], parts[_Job(name, split, "weeks")]
        return Seen(own, panels[split], weeks, fleets[split])

    budget = Budget(plan.false_alarms_per_week, plan.weeks)
    methods = tuple(
        judged(
            method_named(name),
            budget,
            seen(name, "tuning"),
            seen(name, "test"),
            (parts[_Job(name, "test", "measured")], measured) if measured else None,
            generator(FIRST_SEED + plan.seed, "bootstrap", name),
        )
        for name in plan.models
    )
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
    return 2 * _shop_runs(plan) + (4 if plan.data is None else 5) * len(plan.models)


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


def _carried_out(job: _Job, plan: Plan, episodes: tuple[Episode, ...] | None) -> Worked:
    panel = panel_of(weeks_of(job.split, plan) if episodes is None else episodes)
    method = method_named(job.method)
    scores, fell_back = method.scores(panel, 1 if job.part == "episodes" else WEEK_LOOKS_EVERY)
    looks = looks_of(panel, scores) if job.part == "episodes" else None
    return Worked(tallied(panel, scores, method.thresholds), looks, fell_back)
