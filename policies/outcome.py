"""How good the forecasts were and what was done, from what was issued and what then happened. Shared by all reports."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from policies.acts import is_disruptive, is_undo, target_of, workloads_of
from policies.decision import (
    Action,
    Decision,
    DetachPod,
    EvictPod,
    ReattachPod,
    RestoreZone,
    SetBrownout,
    SetTraffic,
    SetWeights,
    ShiftZone,
    SwitchOver,
)
from policies.model import Rung


@dataclass(frozen=True, slots=True)
class ForecastScore:
    """Over all outcomes that were known. None where none was."""

    outcomes: int
    coverage: float | None  # share inside the band
    band: float  # nominal share of that band
    pinball: float | None  # mean over levels and outcomes, in the series' unit


def score(
    levels: Sequence[float], quantiles: Floats, actual: Floats, low: float = 0.1, high: float = 0.9
) -> ForecastScore:
    """Coverage of the band between two levels and pinball loss of forecasts against what came.

    `quantiles` is `(forecasts, levels)`, `actual` `(forecasts,)`. Rows with a NaN on either side are left out.
    """
    known = np.isfinite(actual) & np.isfinite(quantiles).all(axis=1)
    count = int(known.sum())
    if count == 0:
        return ForecastScore(0, None, high - low, None)
    rows, truth = quantiles[known], actual[known]
    below = np.array([np.interp(low, levels, row) for row in rows])
    above = np.array([np.interp(high, levels, row) for row in rows])
    error = truth[:, None] - rows
    taus = np.asarray(levels, dtype=np.float64)
    loss = np.maximum(taus * error, (taus - 1.0) * error)
    inside = (truth >= below) & (truth <= above)
    return ForecastScore(count, float(inside.mean()), high - low, float(loss.mean()))


@dataclass(frozen=True, slots=True)
class Act:
    """One disruptive act as a person would count it: the steps of a replacement are one, and so are renewals."""

    at_s: float
    rung: Rung
    workloads: tuple[str, ...]
    target: str


def rung_of(action: Action) -> Rung:
    """The rung an action stands on. A drain that is part of a replacement counts as a drain here."""
    match action:
        case SetWeights() | SetBrownout():
            return Rung.REWEIGHT
        case SetTraffic():
            return Rung.DRAIN
        case DetachPod() | ReattachPod() | EvictPod():
            return Rung.REPLACE
        case SwitchOver():
            return Rung.SWITCH_OVER
        case ShiftZone() | RestoreZone():
            return Rung.SHIFT_ZONE
        case _:
            return Rung.PRE_SCALE


def actions_by_rung(decisions: Iterable[Decision]) -> Mapping[Rung, int]:
    """How many actions were carried out on each rung, undoing left out."""
    counts = dict.fromkeys(Rung, 0)
    for decision in decisions:
        for action in decision.actions:
            if not is_undo(action):
                counts[rung_of(action)] += 1
    return counts


def acts(decisions: Iterable[Decision], merge_within_s: float = 900.0) -> tuple[Act, ...]:
    """The disruptive acts, in order. Steps and renewals on the same target within `merge_within_s` are one act."""
    found: list[Act] = []
    latest: dict[tuple[tuple[str, ...], str], float] = {}
    for decision in sorted(decisions, key=lambda decision: decision.at_s):
        for action in decision.actions:
            if not is_disruptive(action):
                continue
            key = (workloads_of(action), target_of(action))
            before = latest.get(key)
            latest[key] = decision.at_s
            if before is None or decision.at_s - before > merge_within_s:
                found.append(Act(decision.at_s, rung_of(action), *key))
    return tuple(found)


def needless(done: Iterable[Act], faults: Iterable[tuple[float, float]], grace_s: float = 300.0) -> tuple[Act, ...]:
    """Acts that no fault explains: none of `faults` (from, until) ran then or ended less than `grace_s` before."""
    windows = tuple(faults)
    return tuple(act for act in done if not any(start <= act.at_s <= end + grace_s for start, end in windows))


def per_week_and_100_workloads(count: int, duration_s: float, workloads: int) -> float | None:
    """A count as the rate that false actions are reported in; None where nothing was watched."""
    if duration_s <= 0.0 or workloads <= 0:
        return None
    return count * (7 * 86_400.0 / duration_s) * (100.0 / workloads)
