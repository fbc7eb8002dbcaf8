"""Serves a model trained on the user's history: implements `Forecaster` with numpy and onnxruntime alone."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from forecasting import served_state as states
from forecasting.answer import answered, silent
from forecasting.baselines import Baseline, one_filter
from forecasting.calibration import corrected, issued, observed
from forecasting.events import with_events, without_events
from forecasting.features import LONGEST_CONTEXT
from forecasting.forecast import Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.history import History, clean
from forecasting.linear_trend import linear_quantiles
from forecasting.mixture import deseasonalised, hard_limits
from forecasting.naive import naive_quantiles
from forecasting.onnx_session import ModelFailed
from forecasting.own_models.networks import OnnxModel
from forecasting.paths import joint_paths
from forecasting.quantiles import monotone, sampling_weights
from forecasting.seasons import season_steps
from forecasting.served_state import ServedState

#: The past from which dependence is taken, and from which naive forecasts are judged.
RECENT_STEPS = 1024
#: What a one-pass model is taken to have believed at each past moment, when its samples are ranked by the past.
BELIEVED = Baseline("level-6", 6.0)
#: Forecasts stay within the range of the past, widened by this many times its width.
RANGE_SHARE = 1.0


class OwnModel(Protocol):
    """Foretells rows of a history. `step_s` None: any. See `networks.OnnxModel` and `hub.HubWorker`."""

    @property
    def step_s(self) -> float | None: ...

    @property
    def input_steps(self) -> int: ...

    @property
    def fewest_known(self) -> int: ...

    @property
    def reach_steps(self) -> int: ...

    def foretold(
        self, request: ForecastRequest, history: History, rng: np.random.Generator
    ) -> tuple[Floats, Floats | None]: ...


@dataclass(frozen=True, slots=True)
class OwnModelForecaster:
    """Answers for every series of its model's step with enough recent history, and names a reason for all others.

    A request of another step, or further ahead than the model reaches, has no forecast at all (`MODEL_FAILED`).
    `forecast` may be called from several threads.
    """

    name: str
    model: OwnModel

    @classmethod
    def from_folder(cls, folder: Path, name: str | None = None, threads: int = 1) -> OwnModelForecaster:
        """Serves what `fit` made; raises `ModelInvalid` for anything else. Nothing is unpickled."""
        model = OnnxModel.from_folder(folder, threads)
        return cls(name or f"own-{model.card.kind}", model)

    def forecast(
        self, request: ForecastRequest, state: ServedState | None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, ServedState]:
        if state is None or state.step_s != request.step_s or state.horizon_steps != request.horizon_steps:
            state = states.blank(request.step_s, request.horizon_steps)
        if not self.answers(request):
            unfit = dict.fromkeys(request.series, NoForecastReason.MODEL_FAILED)
            return silent(request, self.name, unfit, now_s), state
        history, reasons = self._readable(request, clean(request, now_s, LONGEST_CONTEXT))
        if not history.rows.size:
            return silent(request, self.name, reasons, now_s), state

        view = without_events(request, history.rows, history.values, history.known)
        history = replace(history, values=view.values)
        names = tuple(request.series[row] for row in history.rows)
        rows = states.rows_for(state, names)
        calibration = observed(rows.calibration, history.values, history.judged, request.last_at_s, request.step_s)
        try:
            quantiles, futures = self.model.foretold(request, history, rng)
        except ModelFailed:
            failed = dict.fromkeys(names, NoForecastReason.MODEL_FAILED)
            return silent(request, self.name, {**reasons, **failed}, now_s), state
        limits = hard_limits(history.rows, request)
        quantiles = _believable(monotone(corrected(quantiles, calibration)), history, limits)
        recent, known = history.values[:, -RECENT_STEPS:], history.known[:, -RECENT_STEPS:]
        season = season_steps(recent, known)
        if futures is None:
            past = deseasonalised(recent, season)
            level, slope = one_filter(past, BELIEVED)
            paths = joint_paths(quantiles, past, known, level, slope, limits, request.samples, rng)
        else:
            paths = _ordered(quantiles, futures, limits)
        calibration = issued(
            calibration,
            quantiles,
            naive_quantiles(recent, known, calibration.leads, season),
            request.last_at_s,
            request.step_s,
            linear_quantiles(recent, known, calibration.leads),
        )
        if view.scenarios:
            quantiles, paths = with_events(quantiles, paths, view.scenarios, rng)
            lower, upper = (limit[:, None, None] for limit in limits)
            quantiles, paths = np.clip(quantiles, lower, upper), np.clip(paths, lower, upper)
        said = (quantiles, paths)
        forecast = answered(request, history.rows, self.name, said, calibration, reasons, now_s)
        return forecast, states.merged(replace(rows, calibration=calibration), state, request.series)

    def answers(self, request: ForecastRequest) -> bool:
        """Whether the model can read and foretell what is asked."""
        return self.model.step_s in (None, request.step_s) and request.horizon_steps <= self.model.reach_steps

    def dump(self, state: ServedState | None) -> Any:
        return None if state is None else states.dump(state, None)

    def load(self, dumped: Any) -> ServedState | None:
        return None if dumped is None else states.load(dumped, None)

    def _readable(self, request: ForecastRequest, history: History) -> tuple[History, dict[str, NoForecastReason]]:
        """Rows of which the newest stretch is known well enough, and the reasons for all others."""
        enough = history.known[:, -self.model.input_steps :].sum(axis=1) >= self.model.fewest_known
        reasons = dict(history.unavailable)
        if enough.all():
            return history, reasons
        reasons |= {request.series[row]: NoForecastReason.TOO_SHORT for row in history.rows[~enough]}
        chosen = history.only(np.flatnonzero(enough))
        return chosen, reasons


def _believable(quantiles: Floats, history: History, limits: tuple[Floats, Floats]) -> Floats:
    """Quantiles within what the past makes believable, and within the hard limits."""
    low, high = history.values.min(axis=1), history.values.max(axis=1)
    room = RANGE_SHARE * (high - low)
    lowest, highest = np.maximum(low - room, limits[0]), np.minimum(high + room, limits[1])
    return np.clip(quantiles, lowest[:, None, None], np.maximum(lowest, highest)[:, None, None])


def _ordered(quantiles: Floats, futures: Floats, limits: tuple[Floats, Floats]) -> Floats:
    """Samples of the quantiles in the order of the model's own futures, `(rows, samples, steps)`: theirs is how steps
    depend on each other, the quantiles' is how far out they lie."""
    drawn = quantiles @ sampling_weights(futures.shape[1])
    drawn = np.clip(drawn, limits[0][:, None, None], limits[1][:, None, None])
    ranks = np.argsort(np.argsort(futures, axis=1), axis=1)
    return np.take_along_axis(drawn.swapaxes(1, 2), ranks, axis=1)
