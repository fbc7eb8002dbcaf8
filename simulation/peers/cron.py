"""Scheduled scaling: a minimum of replicas by the time of day, the HPA reacts above it.

As KEDA's cron trigger and CronHPA do (keda.sh, scalers/cron): between start and end of a window its replicas are
wanted, outside nothing is. Where windows overlap the largest counts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class CronWindow:
    """From `start_s` (included) to `end_s` (excluded) of the day; an end before the start lies on the next day."""

    start_s: float
    end_s: float
    replicas: int


@dataclass(frozen=True, slots=True)
class CronSettings:
    windows: tuple[CronWindow, ...]
    day_s: float = 86_400.0
    midnight_s: float = 0.0  # a time on the clock of `now_s` at which a day begins


@dataclass(frozen=True, slots=True)
class CronState:
    """A schedule remembers nothing; the type keeps the peers' entry points alike."""


def propose(settings: CronSettings, state: CronState, now_s: float) -> tuple[int | None, CronState]:
    """The scheduled minimum now; None outside every window."""
    time_s = (now_s - settings.midnight_s) % settings.day_s
    active = [window.replicas for window in settings.windows if _covers(window, time_s)]
    return max(active, default=None), state


def windows_from_demand(
    times_s: NDArray[np.float64],
    rates_rps: NDArray[np.float64],
    *,
    target_rps_per_pod: float,
    slot_s: float,
    day_s: float = 86_400.0,
    midnight_s: float = 0.0,
) -> tuple[CronWindow, ...]:
    """The schedule that an attentive person writes down: for every slot of the day the pods its busiest minute needed.

    `times_s` and `rates_rps` are `(samples,)` of the past, NaN where unknown. Slots never seen get no window.
    """
    known = np.isfinite(rates_rps)
    slots = (((times_s[known] - midnight_s) % day_s) // slot_s).astype(np.int64)
    rates_rps = rates_rps[known]
    return tuple(
        CronWindow(
            float(slot) * slot_s,
            min((float(slot) + 1.0) * slot_s, day_s),
            _pods(rates_rps[slots == slot], target_rps_per_pod),
        )
        for slot in _sorted_unique(slots)
    )


def _sorted_unique(slots: NDArray[np.int64]) -> Sequence[int]:
    return [int(slot) for slot in np.unique(slots)]


def _pods(rates_rps: NDArray[np.float64], target_rps_per_pod: float) -> int:
    return ceil(float(rates_rps.max()) / target_rps_per_pod)


def _covers(window: CronWindow, time_s: float) -> bool:
    if window.start_s <= window.end_s:
        return window.start_s <= time_s < window.end_s
    return time_s >= window.start_s or time_s < window.end_s
