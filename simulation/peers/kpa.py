"""Knative's pod autoscaler: a stable and a panic window over concurrency or requests per second.

Algorithm from knative/serving, pkg/autoscaler/scaling/autoscaler.go, defaults from its config-autoscaler. It replaces
the HPA. Left out: scale to zero, the activator's burst capacity, the optional scale-down delay. A second without a
reading is left out of the averages; Knative would count it as idle.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import ceil, floor, isnan
from typing import NamedTuple


@dataclass(frozen=True, slots=True)
class KpaSettings:
    target_per_pod: float  # requests in progress, or per second, that one pod should carry
    min_replicas: int = 1
    max_replicas: int = 100
    stable_window_s: float = 60.0
    panic_window_pct: float = 10.0  # of the stable window
    panic_threshold_pct: float = 200.0  # panic when the panic window needs so much of the ready pods
    max_scale_up: float = 1000.0  # at most so many times the ready pods
    max_scale_down: float = 2.0  # at least the ready pods divided by this

    @property
    def panic_window_s(self) -> float:
        return self.stable_window_s * self.panic_window_pct / 100.0


class LoadPoint(NamedTuple):
    at_s: float
    load: float  # of all pods together, in the unit of the target


@dataclass(frozen=True, slots=True)
class KpaState:
    """`panic_at_s`: when the panic threshold was last exceeded, None outside panic."""

    points: tuple[LoadPoint, ...] = ()
    panic_at_s: float | None = None
    max_panic_pods: int = 0


def started(ready_pods: int, now_s: float) -> KpaState:
    """Memory of a fresh process: with several pods it begins in panic, so that empty windows shrink nothing."""
    if ready_pods > 1:
        return KpaState(panic_at_s=now_s, max_panic_pods=ready_pods)
    return KpaState(max_panic_pods=ready_pods)


def propose(
    settings: KpaSettings, state: KpaState, load: float | None, ready_pods: int, now_s: float
) -> tuple[int | None, KpaState]:
    """Replicas the autoscaler sets, and its memory. None: no reading in a window, nothing is changed.

    `load` is the sum over all pods now, None (or NaN) where it could not be read.
    """
    state = _with_point(settings, state, load, now_s)
    stable = _average(state.points, now_s - settings.stable_window_s)
    panic = _average(state.points, now_s - settings.panic_window_s)
    if stable is None or panic is None:
        return None, state

    pods = max(1, ready_pods)
    wanted_stable = ceil(stable / settings.target_per_pod)
    wanted_panic = ceil(panic / settings.target_per_pod)
    state = _panicked(settings, state, wanted_panic / pods >= settings.panic_threshold_pct / 100.0, now_s)
    lowest, highest = floor(pods / settings.max_scale_down), ceil(pods * settings.max_scale_up)
    desired = min(max(wanted_stable, lowest), highest)
    if state.panic_at_s is not None:
        # No way down while in panic; the stable window may still ask for more than the panic window does.
        desired = max(desired, min(max(wanted_panic, lowest), highest), state.max_panic_pods)
        state = replace(state, max_panic_pods=desired)
    return min(max(desired, settings.min_replicas), settings.max_replicas), state


def _with_point(settings: KpaSettings, state: KpaState, load: float | None, now_s: float) -> KpaState:
    kept = tuple(point for point in state.points if point.at_s > now_s - settings.stable_window_s)
    if load is not None and not isnan(load):
        kept = (*kept, LoadPoint(now_s, load))
    return replace(state, points=kept)


def _panicked(settings: KpaSettings, state: KpaState, over_threshold: bool, now_s: float) -> KpaState:
    """Panic starts or is prolonged over the threshold, and ends one stable window after it was last exceeded."""
    if over_threshold:
        return replace(state, panic_at_s=now_s)
    if state.panic_at_s is not None and state.panic_at_s + settings.stable_window_s < now_s:
        return replace(state, panic_at_s=None, max_panic_pods=0)
    return state


def _average(points: tuple[LoadPoint, ...], since_s: float) -> float | None:
    loads = [point.load for point in points if point.at_s > since_s]
    return sum(loads) / len(loads) if loads else None
