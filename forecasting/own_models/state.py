"""What an own model's forecaster remembers between ticks: how well it did, series by series. JSON and back."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from forecasting.calibration import Calibration, rejoined, selected, uncalibrated
from forecasting.fallback_state import TRACKED_LEADS
from forecasting.packing import packed, unpacked


@dataclass(frozen=True, slots=True)
class OwnState:
    """Rows of `calibration` belong to `names`; it was learned with forecasts of this step and horizon."""

    names: tuple[str, ...]
    step_s: float
    horizon_steps: int
    calibration: Calibration


def blank(step_s: float, horizon_steps: int) -> OwnState:
    """Nothing learned of no series."""
    leads = tuple(sorted({lead for lead in TRACKED_LEADS if lead < horizon_steps} | {horizon_steps}))
    return OwnState((), step_s, horizon_steps, uncalibrated(0, leads))


def rows_for(state: OwnState, names: tuple[str, ...]) -> Calibration:
    """The calibration of exactly these series, new ones knowing only what all share."""
    return _rows(state.calibration, state.names, names)


def after(state: OwnState, names: tuple[str, ...], calibration: Calibration, requested: tuple[str, ...]) -> OwnState:
    """`state` after `names` had forecasts, with what was learned before of requested series that had none now."""
    unanswered = set(requested) - set(names)
    absent = tuple(name for name in state.names if name in unanswered)
    if absent:
        widened = _rows(calibration, names, names + absent)
        calibration = rejoined(widened, len(names), rows_for(state, absent))
    return replace(state, names=names + absent, calibration=calibration)


def dump(state: OwnState) -> Any:
    """JSON without loss."""
    return packed(state)


def load(dumped: Any) -> OwnState:
    """The state that was dumped."""
    values = unpacked(dumped)
    return OwnState(**{**values, "calibration": Calibration(**values["calibration"])})


def _rows(calibration: Calibration, names: tuple[str, ...], wanted: tuple[str, ...]) -> Calibration:
    if names == wanted:
        return calibration
    places = {name: place for place, name in enumerate(names)}
    return selected(calibration, [places.get(name, -1) for name in wanted])
