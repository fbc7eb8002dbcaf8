"""`foresail tune`: the same number of trials for every arm, on tuning scenarios and seeds only.

A trial is one setting of an arm run over all tuning scenarios and seeds. Arms are searched by the same quasi-random
sequence over their own spaces, ours included; the first trial of each arm is what tuned.yaml says now.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import qmc

from simulation.arms import ARM_NAMES, Knob, arm_settings, search_space
from simulation.scenario import SCENARIOS, Scenario, load_scenario
from simulation.studies.frontier import Frontier, Point, frontier
from simulation.studies.sweep import Done, Job, sweep

FIRST_SEED = 10_000  # reported runs use smaller ones
GRID = 12  # costs at which arms are compared
NEAR_BEST = 2.0  # times the fewest bad requests that the baseline can have …
NEGLIGIBLE = 50.0  # … counting at least this many


class TuningInvalid(Exception):
    """The search cannot be done as asked; the message says why."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting of an arm over all tuning runs: summed pod-hours and bad requests."""

    arm: str
    number: int
    settings: Mapping[str, float]
    pod_hours: float
    bad_requests: float
    failed_runs: int


@dataclass(frozen=True, slots=True)
class Choice:
    """What an arm gets: the trial with fewest bad requests within the budget, or its cheapest where none fits."""

    arm: str
    trial: Trial
    within_budget: bool


def tuning_scenarios() -> tuple[Scenario, ...]:
    """The shipped scenarios that are for tuning and never reported."""
    return tuple(load_scenario(path) for path in sorted((SCENARIOS / "tuning").glob("*.yaml")))


def tunable_arms() -> tuple[str, ...]:
    return tuple(arm for arm in ARM_NAMES if search_space(arm))


def settings_of(arm: str, trials: int, seed: int) -> tuple[Mapping[str, float], ...]:
    """The settings to try: first the present ones, then a scrambled Halton sequence over the arm's search space."""
    space = search_space(arm)
    unit = qmc.Halton(d=len(space), scramble=True, rng=np.random.default_rng([seed, len(space)])).random(trials - 1)
    drawn = [{name: _scaled(knob, u) for (name, knob), u in zip(space.items(), row, strict=True)} for row in unit]
    present = arm_settings(arm)
    return ({name: value for name in space if (value := getattr(present, name)) is not None}, *drawn)


def tune(
    scenarios: Sequence[Scenario],
    arms: Sequence[str],
    trials: int,
    seeds: Sequence[int],
    log: Path,
    workers: int | None = None,
    on_done: Callable[[Done], None] = lambda _: None,
) -> tuple[Trial, ...]:
    """All trials. Each is added to `log` when it is complete and not run again when the search is resumed.

    Raises `TuningInvalid` for scenarios or seeds that are reported.
    """
    for scenario in scenarios:
        if scenario.role != "tuning":
            raise TuningInvalid(f"{scenario.name} is reported: tune on scenarios with `role: tuning` only")
    if min(seeds) < FIRST_SEED:
        raise TuningInvalid(f"seed {min(seeds)} is for reported runs: tuning seeds start at {FIRST_SEED}")
    plan = {(arm, i): s for arm in arms for i, s in enumerate(settings_of(arm, trials, FIRST_SEED))}
    known = {(t.arm, t.number): t for t in _read(log) if plan.get((t.arm, t.number)) == t.settings}
    missing = {key: settings for key, settings in plan.items() if key not in known}
    for trial in _run(missing, scenarios, seeds, workers, on_done):
        known[trial.arm, trial.number] = trial
        with log.open("a", encoding="utf-8") as out:
            out.write(json.dumps(asdict(trial)) + "\n")
    return tuple(known[key] for key in plan if key in known)


def choose(trials: Sequence[Trial], baseline: str = "hpa-tuned") -> tuple[float, tuple[Choice, ...]]:
    """The budget in pod-hours, and each arm's setting within it.

    The budget is what the tuned HPA's cheapest trial costs that has at most twice the fewest bad requests of any of
    its trials: a good setting of it, not an interpolated one. Every arm may spend as much.
    """
    usable = [t for t in trials if not t.failed_runs]
    reference = [t for t in usable if t.arm == baseline]
    if not reference:
        raise TuningInvalid(f"no usable trial of {baseline}: it sets the budget for all arms")
    enough = NEAR_BEST * max(min(t.bad_requests for t in reference), NEGLIGIBLE)
    budget = min(t.pod_hours for t in reference if t.bad_requests <= enough)
    choices = []
    for arm in dict.fromkeys(t.arm for t in usable):
        own = [t for t in usable if t.arm == arm]
        affordable = [t for t in own if t.pod_hours <= budget]
        best_trial = (
            min(affordable, key=lambda t: t.bad_requests) if affordable else min(own, key=lambda t: t.pod_hours)
        )
        choices.append(Choice(arm, best_trial, bool(affordable)))
    return budget, tuple(choices)


def frontier_of(trials: Sequence[Trial], arm: str) -> Frontier:
    return frontier([Point(t.pod_hours, t.bad_requests) for t in trials if t.arm == arm and not t.failed_runs])


def cost_grid(trials: Sequence[Trial], arms: Sequence[str]) -> tuple[float, ...]:
    """Costs shared by all arms: from where the last of them can be had to where the first stops improving."""
    ends = [(f.points[0].pod_hours, f.points[-1].pod_hours) for arm in arms if (f := frontier_of(trials, arm)).points]
    if not ends:
        return ()
    low, high = max(e[0] for e in ends), max(e[1] for e in ends)
    return tuple(float(c) for c in np.linspace(low, max(high, low), GRID))


def _run(
    plan: Mapping[tuple[str, int], Mapping[str, float]],
    scenarios: Sequence[Scenario],
    seeds: Sequence[int],
    workers: int | None,
    on_done: Callable[[Done], None],
) -> Iterator[Trial]:
    runs = [(key, Job(sc, key[0], seed, plan[key])) for key in plan for sc in scenarios for seed in seeds]
    each = len(scenarios) * len(seeds)
    batch: list[Done] = []
    for (key, _), done in zip(runs, sweep([job for _, job in runs], workers), strict=True):
        on_done(done)
        batch.append(done)
        if len(batch) == each:
            yield _trial(key, plan[key], batch)
            batch = []


def _trial(key: tuple[str, int], settings: Mapping[str, float], runs: Sequence[Done]) -> Trial:
    figures = [done.score.figures for done in runs if done.score is not None]
    return Trial(
        arm=key[0],
        number=key[1],
        settings=dict(settings),
        pod_hours=sum(f.pod_hours for f in figures),
        bad_requests=sum(f.bad_requests for f in figures),
        failed_runs=len(runs) - len(figures),
    )


def _scaled(knob: Knob, unit: float) -> float:
    if knob.kind == "log":
        return round(float(knob.low * (knob.high / knob.low) ** unit), 4)
    value = float(knob.low + unit * (knob.high - knob.low))
    return round(value) if knob.kind == "int" else round(value, 4)


def _read(log: Path) -> Iterator[Trial]:
    if not log.is_file():
        return
    for number, line in enumerate(log.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            raw: dict[str, Any] = json.loads(line)
            yield Trial(**raw)
        except (json.JSONDecodeError, TypeError) as error:
            raise TuningInvalid(f"{log}: line {number} is no trial ({error}): remove it or the file") from None
