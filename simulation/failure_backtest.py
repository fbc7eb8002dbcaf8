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
import numpy as np

from forecasting.failures import SignalKind
from forecasting.fallback import FallbackForecaster
from forecasting.forecast import Floats, Forecaster
from forecasting.history import Bools
from simulation.failure_alarms import CONFIRMED, Outcome, Setting, Tally, tallied
from simulation.failure_episodes import FIRST_SEED, WEEK_POINTS, Episode, Panel, panel_of
from simulation.failure_generator import drawn_kinds, failing, healthy_week, near_miss
from simulation.failure_measured import measured_episodes
from simulation.failure_methods import ByChangePoint, ByForecast, ByLevel, ByLine, ByTrend, FailureMethod
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
Part = Literal["episodes", "weeks", "measured"]
Fleet = tuple[Episode, ...]
SPLITS: tuple[Split, ...] = ("tuning", "test")
PARTS: tuple[Part, ...] = ("weeks", "episodes")  # the long ones first
#: Healthy weeks are looked at every five minutes, and every minute while something is suspicious.
WEEK_LOOKS_EVERY = 5
#: Chances are judged for failures within so many minutes.
JUDGED_MINUTES = (30, 60)
#: Recall is also told for these numbers of false alarms per week and 100 workloads.
BUDGETS = (1.0, 2.0, 5.0, 10.0, 20.0)
#: Signals that come and go with the load. Settings are chosen for them and for memory and disks apart, as alert rules
#: are: a burst looks like a failure for minutes, while what memory has taken stays taken.
FLUCTUATING = frozenset(SignalKind) - {SignalKind.MEMORY, SignalKind.DISK}
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
class MethodResult:
    """Figures of one method on the test split, and the settings that tuning chose."""

    name: str
    settings: tuple[str, ...]
    overall: Foreseen
    by_kind: Mapping[str, Foreseen]
    by_source: Mapping[str, Foreseen]
    false_alarms_per_week: Estimate
    false_alarms_by_kind: Mapping[str, int]
    precision: Estimate
    near_misses_alarmed: Estimate
    measured_alarms: float | None  # per week of minutes and 100 measured series, None without measured series
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
    parts: dict[_Job, _Part] = {}
    given = {(split, "episodes"): episodes[split] for split in SPLITS} | {("test", "measured"): measured}
    work = (joblib.delayed(_carried_out)(job, plan, given.get((job.split, job.part))) for job in todo)
    for job, part in zip(todo, _spread(work, len(todo), plan.workers), strict=True):
        parts[job] = part
        on_done(f"{job.method} · {job.part} · {job.split}")
    fleets: dict[Split, Fleet] = {split: weeks_of(split, plan) for split in SPLITS}
    panels = {split: panel_of(episodes[split]) for split in SPLITS}
    methods = tuple(_judged(name, plan, parts, panels, fleets, measured) for name in plan.models)
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


def _carried_out(job: _Job, plan: Plan, episodes: tuple[Episode, ...] | None) -> _Part:
    panel = panel_of(weeks_of(job.split, plan) if episodes is None else episodes)
    method = method_named(job.method)
    scores, fell_back = method.scores(panel, 1 if job.part == "episodes" else WEEK_LOOKS_EVERY)
    looks = looks_of(panel, scores) if job.part == "episodes" else None
    return _Part(tallied(panel, scores, method.thresholds), looks, fell_back)


def _judged(
    name: str,
    plan: Plan,
    parts: Mapping[_Job, _Part],
    panels: Mapping[Split, Panel],
    fleets: Mapping[Split, Fleet],
    measured: Fleet,
) -> MethodResult:
    method, rng = method_named(name), generator(FIRST_SEED + plan.seed, "bootstrap", name)
    test, panel, fleet = parts[_Job(name, "test", "episodes")], panels["test"], fleets["test"]
    healthy = parts[_Job(name, "test", "weeks")].tally

    def tuned_for(per_week: float) -> Mapping[bool, Setting]:
        tuning = _Tuning(
            parts[_Job(name, "tuning", "episodes")].tally, panels["tuning"], parts[_Job(name, "tuning", "weeks")].tally,
            fleets["tuning"],
        )  # fmt: skip
        return {fluctuating: _setting(tuning, fluctuating, per_week, plan.weeks) for fluctuating in (False, True)}

    settings = tuned_for(plan.false_alarms_per_week)
    outcome, weeks = _under(test.tally, panel.episodes, settings), _under(healthy, fleet, settings)
    failures, misses = np.flatnonzero(panel.fails), np.flatnonzero(~panel.fails)
    kinds = np.asarray([episode.kind.value for episode in panel.episodes])
    sources = np.asarray([episode.source for episode in panel.episodes])
    alarmed = (outcome.false_alarms[misses] > 0).astype(np.float64)
    return MethodResult(
        name=name,
        settings=tuple(_in_words(method, fluctuating, setting) for fluctuating, setting in settings.items()),
        overall=foreseen(outcome, failures, rng),
        by_kind={kind.value: foreseen(outcome, failures[kinds[failures] == kind.value], rng) for kind in SignalKind},
        by_source={
            source: foreseen(outcome, failures[sources[failures] == source], rng)
            for source in dict.fromkeys(sources.tolist())
        },
        false_alarms_per_week=false_per_week(weeks, [signal.workload for signal in fleet], watched_weeks(fleet), rng),
        false_alarms_by_kind=_by_kind(fleet, weeks),
        precision=_precision(outcome, weeks, rng),
        near_misses_alarmed=resampled(alarmed, lambda drawn: float(drawn.mean()) if drawn.size else float("nan"), rng),
        measured_alarms=_on_measured(parts.get(_Job(name, "test", "measured")), measured, settings),
        chances=_chances(
            method, settings, parts[_Job(name, "tuning", "episodes")].looks, panels["tuning"], test.looks, panel
        ),
        budgets={
            budget: (
                float(foreseen(_under(test.tally, panel.episodes, tuned), failures, rng).recall.mean or 0.0),
                float(_under(healthy, fleet, tuned).false_alarms.sum()) / plan.weeks,
            )
            for budget in BUDGETS
            for tuned in (tuned_for(budget),)
        },
        fell_back=test.fell_back or parts[_Job(name, "test", "weeks")].fell_back,
    )


class _Tuning(NamedTuple):
    """What one method did on the tuning split."""

    episodes: Tally
    panel: Panel
    weeks: Tally
    fleet: Fleet


def _setting(tuning: _Tuning, fluctuating: bool, per_week: float, weeks: float) -> Setting:
    """The best setting for the signals that fluctuate, or for those that do not, at half of the false alarms each."""
    rows, signals = _fluctuates(tuning.panel.episodes) == fluctuating, _fluctuates(tuning.fleet) == fluctuating
    allowed = allowed_alarms(0.5 * per_week, weeks)
    return chosen_setting(tuning.episodes.of(rows), tuning.panel.fails[rows], tuning.weeks.of(signals), allowed)


def _under(tally: Tally, episodes: Sequence[Episode], settings: Mapping[bool, Setting]) -> Outcome:
    return tally.under([settings[fluctuating] for fluctuating in _fluctuates(episodes).tolist()])


def _on_measured(part: _Part | None, signals: Fleet, settings: Mapping[bool, Setting]) -> float | None:
    if part is None:
        return None
    watched = sum(signal.watched_points for signal in signals) / WEEK_POINTS
    return float(_under(part.tally, signals, settings).false_alarms.sum()) / watched * 100.0


def _fluctuates(episodes: Sequence[Episode]) -> Bools:
    return np.asarray([episode.kind in FLUCTUATING for episode in episodes], dtype=bool)


def _precision(episodes: Outcome, weeks: Outcome, rng: np.random.Generator) -> Estimate:
    """Share of all alarms of the test split that were true: one per failing episode, and every false one."""
    true = np.concatenate([episodes.leads >= 0, np.zeros(weeks.leads.size, dtype=bool)]).astype(np.float64)
    false = np.concatenate([episodes.false_alarms, weeks.false_alarms]).astype(np.float64)

    def share(drawn: Floats) -> float:
        places = drawn.astype(np.intp)
        raised = float(true[places].sum() + false[places].sum())
        return float(true[places].sum()) / raised if raised else float("nan")

    return resampled(np.arange(true.size, dtype=np.float64), share, rng)


def _chances(
    method: FailureMethod,
    settings: Mapping[bool, Setting],
    tuning: Looks | None,
    tuning_panel: Panel,
    test: Looks | None,
    panel: Panel,
) -> tuple[Chances, ...]:
    """A method's own chances, or those that its scores had on the tuning split."""
    if tuning is None or test is None:
        return ()
    found = []
    for minutes in JUDGED_MINUTES:
        variant = method.chances.get(minutes)
        if variant is not None:
            found.append(chances(test, minutes, test.scores[variant].astype(np.float64)))
            continue
        said = np.zeros(test.minutes_left.size)
        for fluctuating, setting in settings.items():
            learned_from = _fluctuates(tuning_panel.episodes)[tuning.episodes] == fluctuating
            asked = _fluctuates(panel.episodes)[test.episodes] == fluctuating
            said[asked] = learned_chances(
                test.scores[setting.variant][asked].astype(np.float64),
                tuning.scores[setting.variant][learned_from].astype(np.float64),
                (tuning.minutes_left[learned_from] <= minutes).astype(np.float64),
            )
        found.append(chances(test, minutes, said))
    return tuple(found)


def _by_kind(signals: Sequence[Episode], weeks: Outcome) -> dict[str, int]:
    counts = {kind.value: 0 for kind in SignalKind}
    for signal, count in zip(signals, weeks.false_alarms.tolist(), strict=True):
        counts[signal.kind.value] += count
    return counts


def _in_words(method: FailureMethod, fluctuating: bool, setting: Setting) -> str:
    looks = CONFIRMED[setting.confirmed]
    in_a_row = "" if looks == 1 else f", {looks} looks in a row"
    signals = "fluctuating" if fluctuating else "memory and disk"
    return f"{signals}: {method.variants[setting.variant]}, from {method.thresholds.acts[setting.act]:g} on{in_a_row}"
