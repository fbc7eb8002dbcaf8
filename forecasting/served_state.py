"""What the forecaster of a served model remembers between ticks: how well it did, series by series. JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from forecasting import calibration as calibrations
from forecasting import drift as drifts
from forecasting.calibration import Calibration, uncalibrated
from forecasting.drift import DriftState, undrifted
from forecasting.fallback_state import TRACKED_LEADS
from forecasting.packing import packed, unpacked


@dataclass(frozen=True, slots=True)
class ServedState:
    """Rows of `calibration` and `drift` belong to `names`; learned with forecasts of this step and horizon.

    `standby` is the state of the forecaster that answers where the model cannot.
    """

    names: tuple[str, ...]
    step_s: float
    horizon_steps: int
    issued_at_s: float
    calibration: Calibration
    drift: DriftState
    standby: Any = None


def blank(step_s: float, horizon_steps: int) -> ServedState:
    """Nothing learned of no series."""
    leads = tuple(sorted({lead for lead in TRACKED_LEADS if lead < horizon_steps} | {horizon_steps}))
    return ServedState((), step_s, horizon_steps, float("-inf"), uncalibrated(0, leads), undrifted(0))


def rows_for(state: ServedState, names: tuple[str, ...]) -> ServedState:
    """The state of exactly these series, new ones knowing only what all share."""
    if names == state.names:
        return state
    places = {name: place for place, name in enumerate(state.names)}
    index = [places.get(name, -1) for name in names]
    return replace(
        state,
        names=names,
        calibration=calibrations.selected(state.calibration, index),
        drift=drifts.selected(state.drift, index),
    )


def merged(current: ServedState, before: ServedState, requested: tuple[str, ...]) -> ServedState:
    """`current` with what was learned before of requested series that had no forecast this time.

    Their drift starts anew: nobody forecast their next point.
    """
    unanswered = set(requested) - set(current.names)
    absent = tuple(name for name in before.names if name in unanswered)
    if not absent:
        return current
    first = len(current.names)
    whole, old = rows_for(current, current.names + absent), rows_for(before, absent)
    return replace(
        whole,
        calibration=calibrations.rejoined(whole.calibration, first, old.calibration),
    )


def dump(state: ServedState, standby: Any) -> Any:
    """JSON without loss; `standby` is the standby forecaster's own dump."""
    return packed(replace(state, standby=None)) | {"standby": standby}


def load(dumped: Any, standby: Any) -> ServedState:
    """The state that was dumped."""
    values = unpacked({name: value for name, value in dumped.items() if name != "standby"})
    return ServedState(
        **{
            **values,
            "calibration": Calibration(**values["calibration"]),
            "drift": DriftState(**values["drift"]),
            "standby": standby,
        }
    )
