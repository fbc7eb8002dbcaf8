"""Models that are trained on what the backtest knows before its first origin, as on a user's own history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from forecasting.backtesting.classical import ClassicalForecaster, ModelFailed, Past
from forecasting.backtesting.errors import CandidateUnavailable
from forecasting.forecast import Floats, Forecast, Forecaster, ForecastRequest
from forecasting.series_files import Series


@dataclass(frozen=True, slots=True)
class PerStep:
    """One forecaster for each step length; implements `Forecaster`. Unknown steps have no forecast."""

    forecasters: Mapping[float, Forecaster]

    def forecast(
        self, request: ForecastRequest, state: tuple[float, Any] | None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, tuple[float, Any]]:
        before = state[1] if state is not None and state[0] == request.step_s else None
        forecast, after = self._of(request.step_s).forecast(request, before, now_s, rng)
        return forecast, (request.step_s, after)

    def dump(self, state: tuple[float, Any] | None) -> Any:
        return None if state is None else [state[0], self._of(state[0]).dump(state[1])]

    def load(self, dumped: Any) -> tuple[float, Any] | None:
        return None if dumped is None else (dumped[0], self._of(dumped[0]).load(dumped[1]))

    def _of(self, step_s: float) -> Forecaster:
        return self.forecasters.get(step_s, ClassicalForecaster("untrained", _untrained))


def trained_per_step(kind: str, history: Sequence[Series], seconds: float, seed: int, folder: Path) -> PerStep:
    """A model for each step length of the history, sharing the seconds. Steps with too little of it get none.

    Raises `CandidateUnavailable` where the libraries are missing.
    """
    try:
        from forecasting.own_models.errors import TrainingImpossible
        from forecasting.own_models.runner import OwnModelForecaster
        from forecasting.own_models.training import fit
    except ImportError as error:
        raise CandidateUnavailable(
            "needs darts and torch: pip install 'foresail[train]', or leave this model out"
        ) from error
    forecasters: dict[float, Forecaster] = {}
    steps = sorted({series.step_s for series in history})
    for step_s in steps:
        alike = [series for series in history if series.step_s == step_s]
        try:
            written = fit(alike, kind, seconds / len(steps), seed, folder / f"{step_s:g}-s")
        except TrainingImpossible:
            continue
        forecasters[step_s] = OwnModelForecaster.from_folder(written)
    return PerStep(forecasters)


def _untrained(past: Past, horizon: int) -> Floats:
    raise ModelFailed("no model was trained for this step")
