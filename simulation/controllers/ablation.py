"""What a forecast buys, by taking parts of it away: arms that know less than Foresail and are alike in all else."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from forecasting.forecast import LEVELS, Floats, Forecast, Forecaster, ForecastRequest

Ablation = Literal["independent", "point"]
_MEDIAN = LEVELS.index(0.50)


@dataclass(frozen=True, slots=True)
class AblatedForecaster:
    """Answers with another forecaster's forecast, impoverished; implements `Forecaster`.

    `independent`: the same quantiles and the same samples at each step, but drawn for each step and series by
    themselves, so that no sample is one coherent future. `point`: one future only, the median of each step.
    """

    forecaster: Forecaster
    ablation: Ablation

    def forecast(
        self, request: ForecastRequest, state: Any, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, Any]:
        whole, state = self.forecaster.forecast(request, state, now_s, rng)
        less = _independent(whole, rng) if self.ablation == "independent" else _point(whole)
        return replace(less, model=f"{whole.model}-{self.ablation}"), state

    def dump(self, state: Any) -> Any:
        return self.forecaster.dump(state)

    def load(self, dumped: Any) -> Any:
        return self.forecaster.load(dumped)


def _independent(whole: Forecast, rng: np.random.Generator) -> Forecast:
    """Samples change places at each step by itself: every step keeps its distribution, paths lose theirs."""
    return replace(whole, paths=rng.permuted(whole.paths, axis=1))


def _point(whole: Forecast) -> Forecast:
    median: Floats = whole.quantiles[:, :, _MEDIAN]
    return replace(
        whole,
        quantiles=np.broadcast_to(median[:, :, None], whole.quantiles.shape),
        paths=np.broadcast_to(median[:, None, :], whole.paths.shape),
    )
