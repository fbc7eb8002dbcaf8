"""What the fallback forecaster remembers between ticks: a value, one row per series, JSON and back without loss."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np

from forecasting import drift
from forecasting.baselines import BASELINES
from forecasting.calibration import Calibration, rejoined, selected, uncalibrated
from forecasting.drift import DriftState
from forecasting.forecast import LEVELS, Floats
from forecasting.history import Ints
from forecasting.packing import packed, unpacked

#: Leads at which errors are measured; everything between is interpolated.
MEASURED_LEADS = 10
#: Leads that calibration tracks: a step, about a minute, about four, and the horizon.
TRACKED_LEADS = (1, 4, 16)


@dataclass(frozen=True, slots=True)
class FallbackState:
    """Rows belong to `names`. All times in seconds.

    `refreshed_at_s` `(rows,)` is when seasons and residuals were last measured, `season` `(rows,)` in steps, 0 for
    none. `slow`, `quick` `(rows, leads, baselines)` and `residuals`, `naive_residuals` `(rows, leads, levels)` are as
    in `rolling.Backtest`. `same_time` `(rows, 2, past)` and `next_same_time` `(rows, 2)` recall what requests said of
    the same time yesterday and last week, up to the newest point and one step beyond.
    """

    names: tuple[str, ...]
    step_s: float
    horizon_steps: int
    last_at_s: float
    issued_at_s: float
    refreshed_at_s: Floats
    season: Ints
    slow: Floats
    quick: Floats
    residuals: Floats
    naive_residuals: Floats
    same_time: Floats
    next_same_time: Floats
    calibration: Calibration
    drift: DriftState


@lru_cache(maxsize=16)
def leads_of(horizon_steps: int) -> tuple[int, ...]:
    """Leads at which errors are measured: geometric, from one step to the horizon."""
    leads = np.unique(np.round(np.geomspace(1, horizon_steps, MEASURED_LEADS)).astype(np.intp))
    return tuple(int(lead) for lead in leads)


def tracked_places(leads: tuple[int, ...]) -> tuple[int, ...]:
    """Indices into `leads` of those that calibration tracks."""
    places = np.searchsorted(leads, [lead for lead in TRACKED_LEADS if lead <= leads[-1]])
    return tuple(int(place) for place in np.unique([*places, len(leads) - 1]))


def blank(step_s: float, horizon_steps: int) -> FallbackState:
    """A state of no rows."""
    leads = leads_of(horizon_steps)
    tracked = tracked_places(leads)
    return FallbackState(
        names=(),
        step_s=step_s,
        horizon_steps=horizon_steps,
        last_at_s=-np.inf,
        issued_at_s=-np.inf,
        refreshed_at_s=np.zeros(0),
        season=np.zeros(0, dtype=np.intp),
        slow=np.zeros((0, len(leads), BASELINES)),
        quick=np.zeros((0, len(leads), BASELINES)),
        residuals=np.zeros((0, len(leads), len(LEVELS))),
        naive_residuals=np.zeros((0, len(tracked), len(LEVELS))),
        same_time=np.zeros((0, 2, horizon_steps + 1)),
        next_same_time=np.zeros((0, 2)),
        calibration=uncalibrated(0, tuple(leads[place] for place in tracked)),
        drift=drift.undrifted(0),
    )


def rows_for(state: FallbackState, names: tuple[str, ...]) -> FallbackState:
    """The state with exactly these rows, in this order; new ones are due for a refresh and know nothing."""
    if names == state.names:
        return state
    places = {name: place for place, name in enumerate(state.names)}
    index = np.asarray([places.get(name, -1) for name in names], dtype=np.intp)
    new = index < 0

    def taken(values: Floats, missing: float) -> Floats:
        if values.shape[0] == 0:
            return np.full((index.size, *values.shape[1:]), missing)
        chosen = values[np.maximum(index, 0)]
        chosen[new] = missing
        return chosen

    return replace(
        state,
        names=names,
        refreshed_at_s=taken(state.refreshed_at_s, -np.inf),
        season=taken(state.season.astype(np.float64), 0.0).astype(np.intp),
        slow=taken(state.slow, np.nan),
        quick=taken(state.quick, np.nan),
        residuals=taken(state.residuals, 0.0),
        naive_residuals=taken(state.naive_residuals, 0.0),
        same_time=taken(state.same_time, np.nan),
        next_same_time=taken(state.next_same_time, np.nan),
        calibration=selected(state.calibration, [int(place) for place in index]),
        drift=drift.selected(state.drift, [int(place) for place in index]),
    )


def merged(current: FallbackState, before: FallbackState, requested: tuple[str, ...]) -> FallbackState:
    """`current` with the rows of requested series that had no forecast this time, as they were learned before.

    Only what lasts is kept: what waited for an outcome during the gap is dropped.
    """
    if len(current.names) == len(requested):
        return current
    missing = set(requested) - set(current.names)
    absent = tuple(name for name in before.names if name in missing)
    if not absent:
        return current
    whole = rows_for(current, current.names + absent)
    old = rows_for(before, absent)
    first = len(current.names)

    def joined(mine: Floats, theirs: Floats) -> Floats:
        return np.concatenate([mine[:first], theirs])

    return replace(
        whole,
        refreshed_at_s=joined(whole.refreshed_at_s, old.refreshed_at_s),
        season=np.concatenate([whole.season[:first], old.season]),
        slow=joined(whole.slow, old.slow),
        quick=joined(whole.quick, old.quick),
        residuals=joined(whole.residuals, old.residuals),
        naive_residuals=joined(whole.naive_residuals, old.naive_residuals),
        calibration=rejoined(whole.calibration, first, old.calibration),
    )


def rounded(values: Floats) -> Floats:
    """To float32 precision: what is remembered is small in a dump, and the same before and after it."""
    return values.astype(np.float32).astype(np.float64)


def dump(state: FallbackState) -> Any:
    """JSON without loss."""
    return packed(state)


def load(dumped: Any) -> FallbackState:
    """The state that was dumped."""
    values = unpacked(dumped)
    return FallbackState(
        **{
            **values,
            "season": values["season"].astype(np.intp),
            "calibration": Calibration(**values["calibration"]),
            "drift": DriftState(**values["drift"]),
        }
    )
