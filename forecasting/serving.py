"""The default forecaster: the generative network, corrected by what came true, with the fallback standing by.

Each tick: read the history, free it of declared events, ask the network for all rows at once, stretch its quantiles by
what calibration learned, keep them within what the history makes believable, and impose ranks on samples. Whatever goes
wrong in the model, the fallback answers and says so.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from forecasting import served_state as states
from forecasting.atoms import snapped
from forecasting.baselines import Baseline, one_filter
from forecasting.calibration import corrected, forgetting, issued, observed
from forecasting.copula import copula_paths
from forecasting.drift import expecting, noticed
from forecasting.events import with_events, without_events
from forecasting.fallback import FallbackForecaster
from forecasting.features import LONGEST_CONTEXT
from forecasting.forecast import LEVELS, Floats, Forecast, Forecaster, ForecastRequest, NoForecastReason
from forecasting.history import History, Ints, clean
from forecasting.linear_trend import linear_quantiles
from forecasting.mixture import hard_limits
from forecasting.naive import naive_quantiles
from forecasting.network_model import FEWEST_KNOWN, NetworkModel, Outlook
from forecasting.onnx_session import ModelFailed, ModelRefused
from forecasting.paths import joint_paths
from forecasting.quantiles import monotone
from forecasting.served_state import ServedState

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
    ranks: Ranks = "past"
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
        old = np.flatnonzero(history.known.sum(axis=1) >= FEWEST_KNOWN)
        try:
            forecast, after = self._forecast(self.model, request, _chosen(history, old), state, now_s, rng)
        except ModelFailed:
            return self._standing_by(request, state, now_s, rng)
        failed = [row for row in history.rows[old] if request.series[row] in forecast.unavailable]
        others = np.union1d(np.delete(history.rows, old), np.asarray(failed, dtype=np.intp))
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
            return _assembled(request, history, state, _nothing(request), now_s, model.name), before
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
        forecast = _assembled(request, history, state, (quantiles, paths), now_s, model.name)
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
        values = _deseasonalised(values, said.season)
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
        """`forecast` with the standby's for series that are too young for the network, or on which it failed."""
        own, standby = self.standby.forecast(_only(request, rows), state.standby, now_s, rng)
        measured = ("coverage", "skill", "coverage98", "skill_linear", "reached", "surprise", "drifting")
        for name in ("quantiles", "paths", *measured):
            mine, theirs = getattr(forecast, name), getattr(own, name)
            if mine is not None and theirs is not None:
                mine[rows] = theirs
        kept = {name: reason for name, reason in forecast.unavailable.items() if name not in own.series}
        return replace(forecast, unavailable={**kept, **own.unavailable}), replace(state, standby=standby)


def default_forecaster(
    folder: Path | None = None, *, calibrated: bool = True, ranks: Ranks = "past", threads: int = 2
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
    newest, judged = history.values[:, -1], history.judged[:, -1]
    drift = noticed(state.drift, newest, judged, request.last_at_s, request.step_s, rng)
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


def _deseasonalised(values: Floats, season: Ints) -> Floats:
    """Differences over the season where there is one, else every sample would repeat a cycle out of phase."""
    rows = np.flatnonzero((season > 0) & (season < values.shape[1]))
    if rows.size == 0:
        return values
    place = np.arange(values.shape[1])
    back = place - season[rows, None]
    differenced = values.copy()
    earlier = np.take_along_axis(values[rows], np.maximum(back, 0), axis=1)
    differenced[rows] = np.where(back >= 0, values[rows] - earlier, 0.0)
    return differenced


def _chosen(history: History, rows: Ints) -> History:
    if rows.size == history.rows.size:
        return history
    return replace(
        history,
        rows=history.rows[rows],
        values=history.values[rows],
        known=history.known[rows],
        judged=history.judged[rows],
        gap_steps=history.gap_steps[rows],
        demand=history.demand[rows],
    )


def _only(request: ForecastRequest, rows: Ints) -> ForecastRequest:
    """The request for some of its series."""

    def part(values: Any) -> Any:
        return None if values is None else np.asarray(values)[rows]

    return replace(
        request,
        series=tuple(request.series[row] for row in rows),
        values=request.values[rows],
        kinds=tuple(request.kinds[row] for row in rows) if request.kinds else (),
        lower_limit=part(request.lower_limit),
        upper_limit=part(request.upper_limit),
        same_time_yesterday=part(request.same_time_yesterday),
        same_time_last_week=part(request.same_time_last_week),
        censored=part(request.censored),
    )


def _nothing(request: ForecastRequest) -> tuple[Floats, Floats]:
    return np.zeros((0, request.horizon_steps, len(LEVELS))), np.zeros((0, request.samples, request.horizon_steps))


def _assembled(
    request: ForecastRequest,
    history: History,
    state: ServedState,
    answer: tuple[Floats, Floats],
    now_s: float,
    model: str,
) -> Forecast:
    """The forecast over all series of the request; rows without one are NaN and named."""
    quantiles, paths = answer
    series = len(request.series)
    calibration, drift = state.calibration, state.drift
    broken = ~np.isfinite(quantiles.sum(axis=(1, 2)) + paths.sum(axis=(1, 2)))
    unavailable = dict(history.unavailable)
    for place in np.flatnonzero(broken):
        unavailable[state.names[place]] = NoForecastReason.MODEL_FAILED
    good = history.rows[~broken]

    def spread(values: Floats, missing: float = np.nan) -> Floats:
        if good.size == series:
            return values
        whole = np.full((series, *values.shape[1:]), missing)
        whole[good] = values[~broken]
        return whole

    return Forecast(
        series=request.series,
        levels=LEVELS,
        quantiles=spread(quantiles),
        paths=spread(paths),
        issued_at_s=now_s,
        last_at_s=request.last_at_s,
        step_s=request.step_s,
        model=model,
        coverage=spread(calibration.coverage()),
        skill=spread(calibration.skill()),
        unavailable=unavailable,
        coverage98=spread(calibration.coverage98()),
        skill_linear=spread(calibration.skill_linear()),
        reached=spread(calibration.reached()),
        surprise=spread(drift.surprise()),
        drifting=spread(drift.drifting().astype(np.float64), 0.0) == 1.0,
    )
