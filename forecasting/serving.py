"""The default forecaster: the generative network, corrected by what came true, with the fallback standing by.

Each tick: read the history, free it of declared events, ask the network for all rows at once, stretch its quantiles by
what calibration learned, keep them within what the history makes believable, and impose ranks on samples. Whatever goes
wrong in the model, the fallback answers and says so. It also answers, as a matter of course, for series that are too
young, and for signals on a straight way out of their range: the network takes such a climb for noise too often.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forecasting import served_state as states
from forecasting.answer import answered, silent, taken_in
from forecasting.atoms import snapped
from forecasting.baselines import Baseline, one_filter
from forecasting.calibration import corrected, forgetting, issued, observed
from forecasting.copula import copula_paths
from forecasting.drift import expecting, noticed, units
from forecasting.events import with_events, without_events
from forecasting.fallback import FallbackForecaster
from forecasting.features import LONGEST_CONTEXT
from forecasting.forecast import Floats, Forecast, Forecaster, ForecastRequest
from forecasting.history import History, Ints, clean
from forecasting.linear_trend import linear_quantiles
from forecasting.mixture import deseasonalised, hard_limits
from forecasting.naive import naive_quantiles
from forecasting.network_model import FEWEST_KNOWN, NetworkModel, Outlook
from forecasting.onnx_session import ModelFailed, ModelRefused
from forecasting.paths import joint_paths
from forecasting.quantiles import monotone
from forecasting.served_state import ServedState
from forecasting.straightness import straight

#: Weights of the release, beside this file.
DEFAULT_MODEL = Path(__file__).parent / "models" / "foresail-s"
Ranks = Literal["past", "copula"]
#: The past from which dependence is taken, and by which simple forecasts are judged.
RECENT_STEPS, JUDGED_STEPS = 1024, 512
#: What is taken to have been believed at each past moment, when samples are ranked by what came after it.
BELIEVED = Baseline("level-6", 6.0)
#: Forecasts stay within the range of the past, widened by this many times its width and that of its trends.
RANGE_SHARE, TREND_SHARE = 1.0, 1.5


@dataclass(frozen=True, slots=True)
class GenerativeForecaster:
    """Implements `Forecaster`. `model` None: it could not be loaded, and every forecast says that it fell back.

    `ranks`: where the order of samples comes from, the series' own past or the network's copula. `calibrated` False
    leaves quantiles as the network says them. `calibrate_s`: a forecast is put aside for calibration this often.
    """

    model: NetworkModel | None
    standby: Forecaster = field(default_factory=FallbackForecaster)
    ranks: Ranks = "copula"
    calibrated: bool = True
    calibrate_s: float = 60.0

    def forecast(
        self, request: ForecastRequest, state: ServedState | None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, ServedState]:
        if state is None or state.step_s != request.step_s or state.horizon_steps != request.horizon_steps:
            state = states.blank(request.step_s, request.horizon_steps)
        history = clean(request, now_s, LONGEST_CONTEXT)
        if self.model is None:
            return self._standing_by(request, state, now_s, rng)
        climbing = straight(history.values, history.known) & ~history.demand
        mine = np.flatnonzero((history.known.sum(axis=1) >= FEWEST_KNOWN) & ~climbing)
        try:
            forecast, after = self._forecast(self.model, request, history.only(mine), state, now_s, rng)
        except ModelFailed:
            return self._standing_by(request, state, now_s, rng)
        failed = [row for row in history.rows[mine] if request.series[row] in forecast.unavailable]
        others = np.union1d(np.delete(history.rows, mine), np.asarray(failed, dtype=np.intp))
        if others.size:
            forecast, after = self._with_others(request, others, forecast, after, now_s, rng)
        return replace(forecast, fell_back=bool(failed)), after

    def dump(self, state: ServedState | None) -> Any:
        if state is None:
            return None
        return states.dump(state, None if state.standby is None else self.standby.dump(state.standby))

    def load(self, dumped: Any) -> ServedState | None:
        if dumped is None:
            return None
        standby = dumped["standby"]
        return states.load(dumped, None if standby is None else self.standby.load(standby))

    def _forecast(
        self,
        model: NetworkModel,
        request: ForecastRequest,
        history: History,
        before: ServedState,
        now_s: float,
        rng: np.random.Generator,
    ) -> tuple[Forecast, ServedState]:
        view = without_events(request, history.rows, history.values, history.known)
        history = replace(history, values=view.values)
        names = tuple(request.series[row] for row in history.rows)
        state = _learned(states.rows_for(before, names), history, request, rng)
        if not names:
            return silent(request, model.name, history.unavailable, now_s), before
        said = model.outlook(request, history)
        limits = hard_limits(history.rows, request)
        quantiles = corrected(said.quantiles, state.calibration) if self.calibrated else said.quantiles
        quantiles = snapped(monotone(quantiles), history.values, history.known)
        quantiles = _believable(quantiles, said, history, limits)
        paths = self._paths(quantiles, said, history, limits, request.samples, rng)
        state = replace(state, drift=expecting(state.drift, quantiles[:, 0], request.last_at_s + request.step_s))
        if request.last_at_s >= state.issued_at_s + self.calibrate_s:
            state = _issued(state, quantiles, said, history, request)
        if view.scenarios:
            quantiles, paths = with_events(quantiles, paths, view.scenarios, rng)
            lower, upper = (limit[:, None, None] for limit in limits)
            quantiles, paths = np.clip(quantiles, lower, upper), np.clip(paths, lower, upper)
        said_now = (quantiles, paths)
        reasons, calibration = history.unavailable, state.calibration
        forecast = answered(request, history.rows, model.name, said_now, calibration, reasons, now_s, state.drift)
        return forecast, states.merged(state, before, request.series)

    def _paths(
        self,
        quantiles: Floats,
        said: Outlook,
        history: History,
        limits: tuple[Floats, Floats],
        samples: int,
        rng: np.random.Generator,
    ) -> Floats:
        if self.ranks == "copula":
            return copula_paths(quantiles, said.copula, limits, samples, rng)
        values, known = history.values[:, -RECENT_STEPS:], history.known[:, -RECENT_STEPS:]
        values = deseasonalised(values, said.season)
        level, slope = one_filter(values, BELIEVED)
        return joint_paths(quantiles, values, known, level, slope, limits, samples, rng)

    def _standing_by(
        self, request: ForecastRequest, state: ServedState, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, ServedState]:
        forecast, standby = self.standby.forecast(request, state.standby, now_s, rng)
        return replace(forecast, fell_back=True), replace(state, standby=standby)

    def _with_others(
        self,
        request: ForecastRequest,
        rows: Ints,
        forecast: Forecast,
        state: ServedState,
        now_s: float,
        rng: np.random.Generator,
    ) -> tuple[Forecast, ServedState]:
        """`forecast` with the standby's for series that are not the network's, or on which it failed."""
        own, standby = self.standby.forecast(request.only(rows), state.standby, now_s, rng)
        whole = taken_in(forecast, own, rows)
        return replace(whole, unavailable={**whole.unavailable, **own.unavailable}), replace(state, standby=standby)


def default_forecaster(
    folder: Path | None = None, *, calibrated: bool = True, ranks: Ranks = "copula", threads: int = 2
) -> GenerativeForecaster:
    """The forecaster of the weights in `folder` (default: those of the release).

    Weights of the release that cannot be loaded leave the fallback in charge, flagged; a folder that is named must hold
    a model, else `ModelRefused` is raised.
    """
    try:
        model = NetworkModel.from_folder(folder or DEFAULT_MODEL, threads=threads)
    except ModelRefused:
        if folder is not None:
            raise
        return GenerativeForecaster(None)
    return GenerativeForecaster(model, ranks=ranks, calibrated=calibrated)


def _learned(state: ServedState, history: History, request: ForecastRequest, rng: np.random.Generator) -> ServedState:
    """The state after the newest points were compared with what was said of them."""
    if not state.names:
        return state
    newest, judged, unit = history.values[:, -1], history.judged[:, -1], units(history.values[:, :-1])
    drift = noticed(state.drift, newest, judged, request.last_at_s, request.step_s, rng, unit)
    calibration = observed(state.calibration, history.values, history.judged, request.last_at_s, request.step_s)
    return replace(state, calibration=forgetting(calibration, drift.alarmed()), drift=drift)


def _issued(
    state: ServedState, quantiles: Floats, said: Outlook, history: History, request: ForecastRequest
) -> ServedState:
    values, known = history.values[:, -JUDGED_STEPS:], history.known[:, -JUDGED_STEPS:]
    leads = state.calibration.leads
    naive = naive_quantiles(values, known, leads, said.season)
    line = linear_quantiles(values, known, leads)
    calibration = issued(state.calibration, quantiles, naive, request.last_at_s, request.step_s, line)
    return replace(state, calibration=calibration, issued_at_s=request.last_at_s)


def _believable(quantiles: Floats, said: Outlook, history: History, limits: tuple[Floats, Floats]) -> Floats:
    """Quantiles within what the past makes believable, and within the hard limits."""
    values = history.values
    low, high, last = values.min(axis=1), values.max(axis=1), values[:, -1]
    room = RANGE_SHARE * (high - low)
    rise = TREND_SHARE * np.maximum(said.lines[:, :, 1] - last[:, None], 0.0)
    fall = TREND_SHARE * np.minimum(said.lines[:, :, 0] - last[:, None], 0.0)
    lower, upper = (limit[:, None] for limit in limits)
    top = np.clip((high + room)[:, None] + rise, lower, upper)
    bottom = np.clip((low - room)[:, None] + fall, lower, upper)
    return np.clip(quantiles, bottom[:, :, None], top[:, :, None])
