"""A method under the settings that tuning chose for it: its figures on the test split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from forecasting.failures import SignalKind
from forecasting.forecast import Floats
from forecasting.history import Bools
from simulation.failure_alarms import CONFIRMED, Outcome, Setting, Tally
from simulation.failure_episodes import WEEK_POINTS, Episode, Panel
from simulation.failure_methods import FailureMethod
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
    resampled,
    watched_weeks,
)
from simulation.scoring.statistics import Estimate

#: Chances are judged for failures within so many minutes.
JUDGED_MINUTES = (30, 60)
#: Recall is also told for these numbers of false alarms per week and 100 workloads.
BUDGETS = (1.0, 2.0, 5.0, 10.0, 20.0)
#: Signals that come and go with the load. Settings are chosen for them and for memory and disks apart, as alert rules
#: are: a burst looks like a failure for minutes, while what memory has taken stays taken.
FLUCTUATING = frozenset(SignalKind) - {SignalKind.MEMORY, SignalKind.DISK}


@dataclass(frozen=True, slots=True)
class Worked:
    """What a method made of some episodes. `looks` is None where chances are not judged."""

    tally: Tally
    looks: Looks | None
    fell_back: bool


class Seen(NamedTuple):
    """What a method made of one split, and the split."""

    episodes: Worked
    panel: Panel
    weeks: Worked
    fleet: tuple[Episode, ...]


class Budget(NamedTuple):
    """False alarms asked for per week, and how many weeks were watched, both of 100 workloads."""

    per_week: float
    weeks: float


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


def judged(
    method: FailureMethod,
    budget: Budget,
    tuning: Seen,
    test: Seen,
    measured: tuple[Worked, tuple[Episode, ...]] | None,
    rng: np.random.Generator,
) -> MethodResult:
    """Settings from the tuning split, figures from the test split. On `measured` series every alarm is false."""

    def tuned_for(per_week: float) -> Mapping[bool, Setting]:
        return {fluctuating: _setting(tuning, fluctuating, per_week, budget.weeks) for fluctuating in (False, True)}

    settings = tuned_for(budget.per_week)
    panel, tally, healthy = test.panel, test.episodes.tally, test.weeks.tally
    outcome, weeks = _under(tally, panel.episodes, settings), _under(healthy, test.fleet, settings)
    failures, misses = np.flatnonzero(panel.fails), np.flatnonzero(~panel.fails)
    kinds = np.asarray([episode.kind.value for episode in panel.episodes])
    sources = np.asarray([episode.source for episode in panel.episodes])
    workloads = [signal.workload for signal in test.fleet]
    alarmed = (outcome.false_alarms[misses] > 0).astype(np.float64)
    return MethodResult(
        name=method.name,
        settings=tuple(_in_words(method, fluctuating, setting) for fluctuating, setting in settings.items()),
        overall=foreseen(outcome, failures, rng),
        by_kind={kind.value: foreseen(outcome, failures[kinds[failures] == kind.value], rng) for kind in SignalKind},
        by_source={
            source: foreseen(outcome, failures[sources[failures] == source], rng)
            for source in dict.fromkeys(sources.tolist())
        },
        false_alarms_per_week=false_per_week(weeks, workloads, watched_weeks(test.fleet), rng),
        false_alarms_by_kind=_by_kind(test.fleet, weeks),
        precision=_precision(outcome, weeks, rng),
        near_misses_alarmed=resampled(alarmed, lambda drawn: float(drawn.mean()) if drawn.size else float("nan"), rng),
        measured_alarms=_on_measured(measured, settings),
        chances=_chances(method, settings, tuning, test),
        budgets={
            asked: (
                float(foreseen(_under(tally, panel.episodes, tuned), failures, rng).recall.mean or 0.0),
                float(_under(healthy, test.fleet, tuned).false_alarms.sum()) / budget.weeks,
            )
            for asked in BUDGETS
            for tuned in (tuned_for(asked),)
        },
        fell_back=test.episodes.fell_back or test.weeks.fell_back,
    )


def _setting(tuning: Seen, fluctuating: bool, per_week: float, weeks: float) -> Setting:
    """The best setting for the signals that fluctuate, or for those that do not, at half of the false alarms each."""
    rows, signals = _fluctuates(tuning.panel.episodes) == fluctuating, _fluctuates(tuning.fleet) == fluctuating
    allowed = allowed_alarms(0.5 * per_week, weeks)
    return chosen_setting(
        tuning.episodes.tally.of(rows), tuning.panel.fails[rows], tuning.weeks.tally.of(signals), allowed
    )


def _under(tally: Tally, episodes: Sequence[Episode], settings: Mapping[bool, Setting]) -> Outcome:
    return tally.under([settings[fluctuating] for fluctuating in _fluctuates(episodes).tolist()])


def _on_measured(measured: tuple[Worked, tuple[Episode, ...]] | None, settings: Mapping[bool, Setting]) -> float | None:
    if measured is None:
        return None
    part, signals = measured
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


def _chances(method: FailureMethod, settings: Mapping[bool, Setting], tuning: Seen, test: Seen) -> tuple[Chances, ...]:
    """A method's own chances, or those that its scores had on the tuning split."""
    looks, known = test.episodes.looks, tuning.episodes.looks
    if looks is None or known is None:
        return ()
    asked_about = _fluctuates(test.panel.episodes)[looks.episodes]
    known_about = _fluctuates(tuning.panel.episodes)[known.episodes]
    found = []
    for minutes in JUDGED_MINUTES:
        variant = method.chances.get(minutes)
        if variant is not None:
            found.append(chances(looks, minutes, looks.scores[variant].astype(np.float64)))
            continue
        said = np.zeros(looks.minutes_left.size)
        for fluctuating, setting in settings.items():
            asked, learned_from = asked_about == fluctuating, known_about == fluctuating
            if asked.any() and learned_from.any():
                said[asked] = learned_chances(
                    looks.scores[setting.variant][asked].astype(np.float64),
                    known.scores[setting.variant][learned_from].astype(np.float64),
                    (known.minutes_left[learned_from] <= minutes).astype(np.float64),
                )
        found.append(chances(looks, minutes, said))
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
