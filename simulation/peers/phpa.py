"""The Predictive Horizontal Pod Autoscaler: a model over the HPA's own replica counts, the larger of both wins.

Algorithm from jthomperoo/predictive-horizontal-pod-autoscaler (models `Linear` and `HoltWinters`, decision type
`maximum`, downscale stabilisation). It takes over the scale: the HPA below it is computed, not applied.

Holt-Winters is additive with fixed smoothing factors. Upstream runs it afresh over the stored seasons each time, with
initial values found by an optimiser; here the first two seasons initialise it and every further value updates it,
which forgets the beginning at the pace of the smoothing factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, NamedTuple

import numpy as np

from simulation.hpa.values import HpaDecision
from simulation.peers.line import Line, fitted_line


@dataclass(frozen=True, slots=True)
class PhpaSettings:
    model: Literal["linear", "holt-winters"]
    min_replicas: int = 1
    max_replicas: int = 100
    interval_s: float = 15.0  # one value of the history; upstream's interval × perInterval
    look_ahead_s: float = 15.0
    downscale_stabilization_s: float = 300.0
    stored_values: int = 60  # linear: how many values the line is fitted to
    season_s: float = 86_400.0  # holt-winters
    alpha: float = 0.9  # level; upstream's example, it has no default
    beta: float = 0.9  # trend
    gamma: float = 0.9  # season

    @property
    def season_steps(self) -> int:
        return max(2, round(self.season_s / self.interval_s))

    @property
    def look_ahead_steps(self) -> int:
        return max(1, round(self.look_ahead_s / self.interval_s))


class Count(NamedTuple):
    at_s: float
    replicas: int


class Smoothed(NamedTuple):
    """Holt-Winters after its last value. `season[i]` belongs to the i-th next value."""

    level: float
    trend: float
    season: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class PhpaState:
    """`history` holds what the linear model is fitted to, or what Holt-Winters still lacks for its two seasons."""

    history: tuple[Count, ...] = ()
    smoothed: Smoothed | None = None
    stored_at_s: float | None = None
    targets: tuple[Count, ...] = ()


def learned(settings: PhpaSettings, history: Sequence[Count]) -> PhpaState:
    """Memory of an operator that has stored these counts already, oldest first, one per interval."""
    state = PhpaState()
    for count in history:
        state = _stored(settings, state, count)
    return replace(state, stored_at_s=history[-1].at_s) if history else state


def propose(settings: PhpaSettings, state: PhpaState, hpa: HpaDecision, now_s: float) -> tuple[int | None, PhpaState]:
    """Replicas set now: the largest of the HPA's count, the prediction, and their maximum of the last minutes.

    None: the HPA failed, then nothing is scaled and nothing is learnt.
    """
    proposal = hpa_proposal(hpa)
    if proposal is None:
        return None, state
    if state.stored_at_s is None or now_s >= state.stored_at_s + settings.interval_s:
        state = replace(_stored(settings, state, Count(now_s, proposal)), stored_at_s=now_s)
    predicted = _predicted(settings, state, now_s)
    target = proposal if predicted is None else max(proposal, predicted)
    target = min(max(target, settings.min_replicas), settings.max_replicas)
    oldest_s = now_s - settings.downscale_stabilization_s
    targets = (*(one for one in state.targets if one.at_s >= oldest_s), Count(now_s, target))
    return max(one.replicas for one in targets), replace(state, targets=targets)


def hpa_proposal(hpa: HpaDecision) -> int | None:
    """What the HPA's metrics ask for before stabilisation; None where it failed, is disabled or saw nothing."""
    if hpa.driver is not None:
        return hpa.metrics[hpa.driver].proposal
    return hpa.desired if hpa.rescaled else None  # back into its bounds without reading a metric


def _stored(settings: PhpaSettings, state: PhpaState, count: Count) -> PhpaState:
    if settings.model == "linear":
        return replace(state, history=(*state.history, count)[-settings.stored_values :])
    if state.smoothed is not None:
        return replace(state, smoothed=_updated(settings, state.smoothed, float(count.replicas)))
    history = (*state.history, count)
    if len(history) < 2 * settings.season_steps:
        return replace(state, history=history)
    return replace(state, history=(), smoothed=_initial(settings, [float(one.replicas) for one in history]))


def _predicted(settings: PhpaSettings, state: PhpaState, now_s: float) -> int | None:
    """Replicas at the end of the look-ahead, rounded up; None until the model has enough values."""
    if settings.model == "linear":
        line = _line(state.history)
        return None if line is None else _whole(line.at(now_s + settings.look_ahead_s))
    if state.smoothed is None:
        return None
    level, trend, season = state.smoothed
    steps = settings.look_ahead_steps
    return _whole(level + steps * trend + season[(steps - 1) % len(season)])


def _line(history: tuple[Count, ...]) -> Line | None:
    times_s = np.array([count.at_s for count in history], dtype=np.float64)
    return fitted_line(times_s, np.array([count.replicas for count in history], dtype=np.float64))


def _initial(settings: PhpaSettings, values: list[float]) -> Smoothed:
    """Level, trend and season from the first two seasons, then updated with the second one.

    The trend is the change between the seasons' means per step, the season what remains of the first.
    """
    steps = settings.season_steps
    first, second = np.array(values[:steps]), np.array(values[steps : 2 * steps])
    trend = float(second.mean() - first.mean()) / steps
    offsets = (np.arange(steps) - (steps - 1) / 2.0) * trend
    season = first - first.mean() - offsets
    level = float(first.mean()) + trend * (steps - 1) / 2.0
    smoothed = Smoothed(level, trend, tuple(float(one) for one in season))
    for value in second:
        smoothed = _updated(settings, smoothed, float(value))
    return smoothed


def _updated(settings: PhpaSettings, smoothed: Smoothed, value: float) -> Smoothed:
    level, trend, season = smoothed
    seasonal = season[0]
    new_level = settings.alpha * (value - seasonal) + (1.0 - settings.alpha) * (level + trend)
    new_trend = settings.beta * (new_level - level) + (1.0 - settings.beta) * trend
    new_seasonal = settings.gamma * (value - level - trend) + (1.0 - settings.gamma) * seasonal
    return Smoothed(new_level, new_trend, (*season[1:], new_seasonal))


def _whole(replicas: float) -> int:
    """Rounded up, but not for what only float arithmetic added to a whole number."""
    return ceil(replicas - 1e-9)
