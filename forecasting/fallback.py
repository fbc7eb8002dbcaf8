"""The forecaster that always answers: simple baselines, weighted by how well they did lately, with measured errors.

Each tick: score the newest point, mix the baselines, spread the mixture by quantiles of its own past errors, correct
them by what calibration learned, and impose the ranks of the past on samples. Every few minutes the expensive part,
seasons and rolling origins over the whole history, is done again; its results are kept in the state.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, TypeVar

import numpy as np

from forecasting.baselines import SAME_TIME
from forecasting.calibration import corrected, forgetting, issued, observed
from forecasting.drift import expecting, noticed, units
from forecasting.events import with_events, without_events
from forecasting.fallback_state import (
    FallbackState,
    blank,
    dump,
    leads_of,
    load,
    merged,
    rounded,
    rows_for,
    tracked_places,
)
from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.history import History, Ints, clean
from forecasting.linear_trend import linear_quantiles
from forecasting.mixture import (
    believed_past,
    centre,
    clamped,
    hard_limits,
    mixture_now,
    naive_quantiles,
    same_time_of,
    spread,
    with_same_time,
)
from forecasting.paths import joint_paths
from forecasting.quantiles import monotone
from forecasting.rolling import backtest, newest_errors
from forecasting.seasons import season_steps
from forecasting.weights import half_lives, leading_filter, mixture_weights

A = TypeVar("A", bound=np.ndarray[Any, Any])

MODEL = "fallback"
#: Rows that are refreshed together; large fleets refresh in turns, so that no tick carries all of it.
REFRESH_GROUP = 64


@dataclass(frozen=True, slots=True)
class FallbackForecaster:
    """Answers for every series with enough history; implements `Forecaster`. Never raises for bad series.

    `refresh_s`: seasons and residuals are measured again after this long. `calibrate_s`: a forecast is put aside for
    calibration this often.
    """

    refresh_s: float = 300.0
    calibrate_s: float = 60.0

    def forecast(
        self, request: ForecastRequest, state: FallbackState | None, now_s: float, rng: np.random.Generator
    ) -> tuple[Forecast, FallbackState]:
        history = clean(request, now_s)
        view = without_events(request, history.rows, history.values, history.known)
        history = replace(history, values=view.values)
        names = tuple(request.series[row] for row in history.rows)
        state = _fitting(state, request)
        rows = rows_for(state, names)
        # A stream of its own, so that samples do not depend on how many points lie on ties.
        rows = self._learned(rows, history, request, rng.spawn(1)[0])
        rows = self._refreshed(rows, history, request, now_s)

        mixture = mixture_now(rows, history, request)
        quantiles = spread(centre(mixture, rows, history), rows, history)
        quantiles = clamped(monotone(corrected(quantiles, rows.calibration)), mixture, history, request)
        past, level, slope = believed_past(mixture, rows, history)
        limits = hard_limits(history.rows, request)
        paths = joint_paths(quantiles, past, history.known, level, slope, limits, request.samples, rng)
        if request.last_at_s >= rows.issued_at_s + self.calibrate_s and names:
            rows = self._issued(rows, history, request, quantiles)
        rows = replace(rows, drift=expecting(rows.drift, quantiles[:, 0], request.last_at_s + request.step_s))
        if view.scenarios:
            quantiles, paths = with_events(quantiles, paths, view.scenarios, rng)
            lower, upper = (limit[:, None, None] for limit in limits)
            quantiles, paths = np.clip(quantiles, lower, upper), np.clip(paths, lower, upper)
        return _assembled(request, history, rows, quantiles, paths, now_s), merged(rows, state, request.series)

    def dump(self, state: FallbackState | None) -> Any:
        return None if state is None else dump(state)

    def load(self, dumped: Any) -> FallbackState | None:
        return None if dumped is None else load(dumped)

    def _issued(
        self, state: FallbackState, history: History, request: ForecastRequest, quantiles: Floats
    ) -> FallbackState:
        """The state with this forecast put aside for calibration."""
        naive = naive_quantiles(state, history)
        linear = linear_quantiles(history.values, history.known, state.calibration.leads)
        calibration = issued(state.calibration, quantiles, naive, request.last_at_s, request.step_s, linear)
        return replace(state, calibration=calibration, issued_at_s=request.last_at_s)

    def _learned(
        self, state: FallbackState, history: History, request: ForecastRequest, rng: np.random.Generator
    ) -> FallbackState:
        """The state after the newest point has been compared with what every baseline said of it before."""
        elapsed = round(min((request.last_at_s - state.last_at_s) / state.step_s, 1e6))
        if elapsed < 1 or not state.names:
            return state
        leads = leads_of(state.horizon_steps)
        same_time = _moved_on(state, elapsed)
        anchors = np.zeros(len(state.names), dtype=np.intp)
        if np.isfinite(same_time[:, :, -1]).any():
            anchors = leading_filter(mixture_weights(state.slow, state.quick, leads))
        errors = newest_errors(history.values, history.demand, state.season, same_time, anchors, leads)
        errors[~history.judged[:, -1]] = np.nan
        slow_lives, quick_lives = half_lives(leads)
        slow, quick = state.slow, state.quick
        scored = np.asarray(np.isfinite(errors[:, :, SAME_TIME]).any(axis=1))
        if scored.any():
            slow, quick = with_same_time(slow, scored), with_same_time(quick, scored)
        at_s, step_s = request.last_at_s, request.step_s
        newest, judged, unit = history.values[:, -1], history.judged[:, -1], units(history.values[:, :-1])
        drift = noticed(state.drift, newest, judged, at_s, step_s, rng, unit)
        calibration = observed(state.calibration, history.values, history.judged, at_s, step_s)
        return replace(
            state,
            slow=_decayed(slow, errors, slow_lives, elapsed),
            quick=_decayed(quick, errors, quick_lives, elapsed),
            same_time=same_time,
            calibration=forgetting(calibration, drift.alarmed()),
            drift=drift,
        )

    def _refreshed(
        self, state: FallbackState, history: History, request: ForecastRequest, now_s: float
    ) -> FallbackState:
        """The state with seasons and residuals measured again for the rows whose turn it is."""
        due = np.flatnonzero(~(now_s - state.refreshed_at_s < self.refresh_s))
        if due.size:
            leads = leads_of(state.horizon_steps)
            values, known, judged = history.values[due], history.known[due], history.judged[due]
            season = season_steps(values, known)
            measured = backtest(values, judged, history.demand[due], season, leads, tracked_places(leads))
            slow, quick = measured.slow, measured.quick
            slow[:, :, SAME_TIME] = state.slow[due][:, :, SAME_TIME]
            quick[:, :, SAME_TIME] = state.quick[due][:, :, SAME_TIME]
            first = ~np.isfinite(state.refreshed_at_s[due])
            groups = max(1, -(-due.size // REFRESH_GROUP))
            early = np.where(first, (np.arange(due.size) // REFRESH_GROUP) / groups * self.refresh_s, 0.0)
            state = replace(
                state,
                refreshed_at_s=_replaced(state.refreshed_at_s, due, now_s - early),
                season=_replaced(state.season, due, season),
                slow=_replaced(state.slow, due, rounded(slow)),
                quick=_replaced(state.quick, due, rounded(quick)),
                residuals=_replaced(state.residuals, due, rounded(measured.residuals)),
                naive_residuals=_replaced(state.naive_residuals, due, rounded(measured.naive_residuals)),
            )
        given = same_time_of(request, history.rows)
        return replace(state, last_at_s=request.last_at_s, next_same_time=rounded(given[:, :, 0]))


def _fitting(state: FallbackState | None, request: ForecastRequest) -> FallbackState:
    """The state, or a blank one where it was made for another step or horizon."""
    if state is None or state.step_s != request.step_s or state.horizon_steps != request.horizon_steps:
        return blank(request.step_s, request.horizon_steps)
    return state


def _moved_on(state: FallbackState, elapsed: int) -> Floats:
    """What is remembered of yesterday and last week, moved on by `elapsed` steps; skipped ones are unknown."""
    past = state.same_time.shape[2]
    if elapsed >= past:
        return np.full_like(state.same_time, np.nan)
    moved = np.full_like(state.same_time, np.nan)
    moved[:, :, : past - elapsed] = state.same_time[:, :, elapsed:]
    if elapsed == 1:
        moved[:, :, -1] = state.next_same_time
    return moved


def _decayed(losses: Floats, errors: Floats, half_lives_steps: Floats, elapsed: int) -> Floats:
    keep = (0.5 ** (elapsed / half_lives_steps))[:, None]
    updated = np.where(np.isnan(losses), errors, losses * keep + errors * (1.0 - keep))
    return rounded(np.where(np.isnan(errors), losses, updated))


def _replaced(values: A, rows: Ints, new: A) -> A:
    if rows.size == values.shape[0]:
        return new
    values = values.copy()
    values[rows] = new
    return values


def _assembled(
    request: ForecastRequest, history: History, state: FallbackState, quantiles: Floats, paths: Floats, now_s: float
) -> Forecast:
    """The forecast over all series of the request; rows without one are NaN and named."""
    # Samples are made of quantiles, and a sum is finite where all of it is: values are smaller than `LARGEST_VALUE`.
    broken = ~np.isfinite(quantiles.sum(axis=(1, 2)))
    unavailable = dict(history.unavailable)
    for place in np.flatnonzero(broken):
        unavailable[state.names[place]] = NoForecastReason.MODEL_FAILED
        quantiles[place], paths[place] = np.nan, np.nan
    count = len(request.series)
    quantiles, paths = _scattered(quantiles, history.rows, count), _scattered(paths, history.rows, count)
    calibration = state.calibration
    measured = [calibration.coverage(), calibration.skill(), calibration.coverage98(), calibration.skill_linear()]
    measured += [calibration.reached(), state.drift.surprise(), state.drift.drifting().astype(np.float64)]
    coverage, skill, coverage98, skill_linear, reached, surprise, drifting = (
        _scattered(values, history.rows, count) for values in measured
    )
    return Forecast(
        series=request.series,
        levels=LEVELS,
        quantiles=quantiles,
        paths=paths,
        issued_at_s=now_s,
        last_at_s=request.last_at_s,
        step_s=request.step_s,
        model=MODEL,
        coverage=coverage,
        skill=skill,
        unavailable=unavailable,
        coverage98=coverage98,
        skill_linear=skill_linear,
        reached=reached,
        surprise=surprise,
        drifting=drifting == 1.0,
    )


def _scattered(values: Floats, rows: Ints, count: int) -> Floats:
    """`values` of some rows at their places among `count`, NaN elsewhere."""
    if rows.size == count:
        return values
    full = np.full((count, *values.shape[1:]), np.nan)
    full[rows] = values
    return full
