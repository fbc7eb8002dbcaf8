"""What a served model says of the rows that it could read → a forecast over all series that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from forecasting.calibration import Calibration
from forecasting.drift import DriftState
from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason
from forecasting.history import Ints


def silent(request: ForecastRequest, model: str, reasons: Mapping[str, NoForecastReason], now_s: float) -> Forecast:
    """A forecast of nothing, with the reasons for it."""
    series, steps = len(request.series), request.horizon_steps
    return Forecast(
        series=request.series,
        levels=LEVELS,
        quantiles=np.full((series, steps, len(LEVELS)), np.nan),
        paths=np.full((series, request.samples, steps), np.nan),
        issued_at_s=now_s,
        last_at_s=request.last_at_s,
        step_s=request.step_s,
        model=model,
        coverage=np.full(series, np.nan),
        skill=np.full(series, np.nan),
        unavailable=reasons,
    )


def answered(
    request: ForecastRequest,
    rows: Ints,
    model: str,
    said: tuple[Floats, Floats],
    calibration: Calibration,
    reasons: Mapping[str, NoForecastReason],
    now_s: float,
    drift: DriftState | None = None,
) -> Forecast:
    """The forecast of `rows` of the request, whose quantiles and paths are `said`; the others are NaN and named.

    Rows that are not finite are `MODEL_FAILED`. Rows of `calibration` and `drift` are those of `rows`.
    """
    quantiles, paths = said
    # A sum is finite where all of it is: values are smaller than `history.LARGEST_VALUE`.
    broken = ~np.isfinite(quantiles.sum(axis=(1, 2)) + paths.sum(axis=(1, 2)))
    failed = {request.series[row]: NoForecastReason.MODEL_FAILED for row in rows[broken]}
    # Without a copy where nothing is broken, as good as always.
    good = np.flatnonzero(~broken) if broken.any() else slice(None)
    right = rows[good]
    if right.size == len(request.series):
        forecast = _whole(request, model, said, now_s)
    else:
        forecast = silent(request, model, {**reasons, **failed}, now_s)
        forecast.quantiles[right], forecast.paths[right] = quantiles[good], paths[good]

    def scattered(values: Floats) -> Floats:
        everywhere = np.full(len(request.series), np.nan)
        everywhere[right] = values[good]
        return everywhere

    return replace(
        forecast,
        coverage=scattered(calibration.coverage()),
        coverage98=scattered(calibration.coverage98()),
        skill=scattered(calibration.skill()),
        skill_linear=scattered(calibration.skill_linear()),
        reached=scattered(calibration.reached()),
        surprise=None if drift is None else scattered(drift.surprise()),
        drifting=None if drift is None else scattered(drift.drifting().astype(np.float64)) == 1.0,
    )


def _whole(request: ForecastRequest, model: str, said: tuple[Floats, Floats], now_s: float) -> Forecast:
    """A forecast of all series in their order, without copies: samples of a thousand series are 50 MB."""
    unknown = np.full(len(request.series), np.nan)
    return Forecast(
        series=request.series,
        levels=LEVELS,
        quantiles=np.ascontiguousarray(said[0]),
        paths=np.ascontiguousarray(said[1]),
        issued_at_s=now_s,
        last_at_s=request.last_at_s,
        step_s=request.step_s,
        model=model,
        coverage=unknown,
        skill=unknown,
    )


def joined(forecast: Forecast, other: Forecast, rows: Ints) -> Forecast:
    """`forecast` with the series that `other` answered, which are `rows` of it; the others stay as they are.

    Where a model failed it is said so.
    """
    own: dict[str, Any] = {name: values.copy() for name, values in _by_series(forecast).items()}
    return taken_in(replace(forecast, **own), other, rows)


def taken_in(forecast: Forecast, other: Forecast, rows: Ints) -> Forecast:
    """As `joined`, written into the arrays of `forecast`, which nobody else may hold."""
    answers = np.asarray(
        [place for place, name in enumerate(other.series) if name not in other.unavailable], dtype=np.intp
    )
    failed = any(reason is NoForecastReason.MODEL_FAILED for reason in other.unavailable.values())
    if not answers.size:
        return replace(forecast, fell_back=forecast.fell_back or failed)
    theirs = _by_series(other)
    for name, mine in _by_series(forecast).items():
        if name in theirs:
            mine[rows[answers]] = theirs[name][answers]
    now_answered = {other.series[place] for place in answers}
    return replace(
        forecast,
        model=f"{forecast.model} + {other.model}",
        unavailable={name: reason for name, reason in forecast.unavailable.items() if name not in now_answered},
        fell_back=forecast.fell_back or failed,
    )


def _by_series(forecast: Forecast) -> dict[str, NDArray[Any]]:
    """The arrays of a forecast that have a row for each series."""
    found = {one.name: getattr(forecast, one.name) for one in fields(Forecast)}
    return {
        name: values
        for name, values in found.items()
        if isinstance(values, np.ndarray) and values.shape[:1] == (len(forecast.series),)
    }
