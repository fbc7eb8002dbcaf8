"""Many scores as one summary: per arm, pair by pair, and fault by fault. `summary_json.py` writes it down."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from forecasting.forecast import Floats
from simulation.scenario import Group, Scenario
from simulation.scoring.fault_outcome import FaultOutcome
from simulation.scoring.scoreboard import FIGURES, SIGNED, TIMES, Score, against
from simulation.scoring.statistics import LEAST_BASELINE_S, Comparison, Estimate, compare, estimate, resample_weights

#: Who is compared against when present, best first: faults that do not hurt it are not counted.
BASELINES = ("hpa-tuned", "hpa-default", "hpa-tuned-fast-lane")


#: Where the runs were made.
Origin = Literal["simulated", "live"]


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that broke; the others still count."""

    scenario: str
    arm: str
    seed: int
    error: str


@dataclass(frozen=True, slots=True)
class FaultLine:
    """One fault over the seeds of one arm. It counts when the baseline was hurt by it under some seed."""

    runs: int
    hurt: int
    averted: int  # of the seeds under which the baseline was hurt
    masked: int  # began during another fault's outage: nobody can tell
    censored: int
    detected: int
    time_to_recover_s: float | None
    downtime_s: float


@dataclass(frozen=True, slots=True)
class FaultSummary:
    scenario: str
    index: int
    kind: str
    label: str
    start_s: float
    end_s: float
    predictable: bool
    hurts_baseline: int  # seeds
    baseline_runs: int
    arms: Mapping[str, FaultLine]

    @property
    def counted(self) -> bool:
        return self.hurts_baseline > 0


@dataclass(frozen=True, slots=True)
class GroupSummary:
    """The arms over the scenarios of one group. A single scenario is its own group and gets none."""

    scenarios: tuple[str, ...]
    arms: Mapping[str, Mapping[str, Estimate]]
    paired: Mapping[tuple[str, str], Mapping[str, Comparison]]


@dataclass(frozen=True, slots=True)
class Summary:
    """The scoreboard. `arms` keeps the order in which arms were asked for; pairs are (left, right)."""

    scenarios: tuple[str, ...]
    seeds: tuple[int, ...]
    baseline: str
    arms: Mapping[str, Mapping[str, Estimate]]
    paired: Mapping[tuple[str, str], Mapping[str, Comparison]]
    groups: Mapping[Group, GroupSummary]
    faults: tuple[FaultSummary, ...]
    failures: tuple[Failure, ...]
    scores: tuple[Score, ...]  # completed beside the baseline
    starts_at: str  # clock time of t = 0, and length, of the first scenario
    duration_s: float
    origin: Origin = "simulated"

    def mean(self, arm: str, figure: str) -> float | None:
        return self.arms[arm][figure].mean

    def comparison(self, left: str, right: str, figure: str) -> Comparison:
        return self.paired[left, right][figure]


def baseline_of(arms: Sequence[str]) -> str:
    """The tuned HPA where it took part, else the default one, else the first arm."""
    return next((b for b in BASELINES if b in arms), arms[0])


def summarise(
    scenarios: Sequence[Scenario],
    arms: Sequence[str],
    seeds: Sequence[int],
    scores: Sequence[Score],
    failures: Sequence[Failure] = (),
    origin: Origin = "simulated",
) -> Summary:
    """Everything that can be said about the runs; arms without any run keep unknown figures."""
    baseline = baseline_of(arms)
    reference = {(s.scenario, s.seed): s for s in scores if s.arm == baseline}
    full = tuple(against(s, reference[s.scenario, s.seed]) if (s.scenario, s.seed) in reference else s for s in scores)

    whole = _group(scenarios, arms, seeds, full)
    return Summary(
        scenarios=whole.scenarios,
        seeds=tuple(seeds),
        baseline=baseline,
        arms=whole.arms,
        paired=whole.paired,
        groups={
            group: _group([s for s in scenarios if s.group == group], arms, seeds, full)
            for group in dict.fromkeys(s.group for s in scenarios if len(scenarios) > 1)
        },
        faults=_fault_summaries(full, arms, baseline),
        failures=tuple(failures),
        scores=full,
        starts_at=scenarios[0].starts_at,
        duration_s=scenarios[0].duration_s,
        origin=origin,
    )


def _group(
    scenarios: Sequence[Scenario], arms: Sequence[str], seeds: Sequence[int], scores: Sequence[Score]
) -> GroupSummary:
    pairs = [(scenario.name, seed) for scenario in scenarios for seed in seeds]
    weights = resample_weights([name for name, _ in pairs], np.random.default_rng(len(pairs)))
    tables = {arm: _table(scores, arm, pairs) for arm in arms}
    return GroupSummary(
        scenarios=tuple(s.name for s in scenarios),
        arms={arm: {figure: estimate(tables[arm][:, i], weights) for i, figure in enumerate(FIGURES)} for arm in arms},
        paired={
            (left, right): _compared(tables[left], tables[right], weights)
            for left in arms
            for right in arms
            if left != right
        },
    )


def _table(scores: Sequence[Score], arm: str, pairs: Sequence[tuple[str, int]]) -> Floats:
    """All figures of an arm, `(scenario × seed, figures)`, NaN where unknown or not run."""
    table = np.full((len(pairs), len(FIGURES)), np.nan)
    row_of = {pair: row for row, pair in enumerate(pairs)}
    for score in scores:
        if score.arm == arm and (score.scenario, score.seed) in row_of:
            values = (getattr(score.figures, figure) for figure in FIGURES)
            table[row_of[score.scenario, score.seed]] = [np.nan if v is None else v for v in values]
    return table


def _compared(left: Floats, right: Floats, weights: Floats) -> Mapping[str, Comparison]:
    return {
        figure: compare(
            left[:, i],
            right[:, i],
            weights,
            least=LEAST_BASELINE_S if figure in TIMES else 0.0,
            signed=figure in SIGNED,
        )
        for i, figure in enumerate(FIGURES)
    }


def _fault_summaries(scores: Sequence[Score], arms: Sequence[str], baseline: str) -> tuple[FaultSummary, ...]:
    by_fault: dict[tuple[str, int], list[tuple[Score, FaultOutcome]]] = {}
    for score in scores:
        for outcome in score.faults:
            by_fault.setdefault((score.scenario, outcome.index), []).append((score, outcome))
    return tuple(_fault_summary(scenario, seen, arms, baseline) for (scenario, _), seen in sorted(by_fault.items()))


def _fault_summary(
    scenario: str, seen: Sequence[tuple[Score, FaultOutcome]], arms: Sequence[str], baseline: str
) -> FaultSummary:
    first = seen[0][1]
    hurt_seeds = {score.seed for score, outcome in seen if score.arm == baseline and outcome.hurt}
    return FaultSummary(
        scenario=scenario,
        index=first.index,
        kind=first.kind,
        label=first.label,
        start_s=first.start_s,
        end_s=first.end_s,
        predictable=first.predictable,
        hurts_baseline=len(hurt_seeds),
        baseline_runs=sum(score.arm == baseline for score, _ in seen),
        arms={
            arm: _fault_line([(s.seed, o) for s, o in seen if s.arm == arm], hurt_seeds)
            for arm in arms
            if any(s.arm == arm for s, _ in seen)
        },
    )


def _fault_line(runs: Sequence[tuple[int, FaultOutcome]], hurt_seeds: set[int]) -> FaultLine:
    times = [t for _, o in runs if (t := o.time_to_recover_s) is not None]
    return FaultLine(
        runs=len(runs),
        hurt=sum(o.hurt for _, o in runs),
        averted=sum(not o.hurt and not o.masked and seed in hurt_seeds for seed, o in runs),
        masked=sum(o.masked for _, o in runs),
        censored=sum(o.censored for _, o in runs),
        detected=sum(o.detected_s is not None for _, o in runs),
        time_to_recover_s=float(np.mean(times)) if times else None,
        downtime_s=float(np.mean([o.down_s for _, o in runs])),
    )
