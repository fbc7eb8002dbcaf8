"""What a served model says of the rows that it could read → a forecast over all series that were asked for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

import numpy as np

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
    right = rows[~broken]
    forecast = silent(request, model, {**reasons, **failed}, now_s)
    forecast.quantiles[right], forecast.paths[right] = quantiles[~broken], paths[~broken]

    def scattered(values: Floats) -> Floats:
        everywhere = np.full(len(request.series), np.nan)
        everywhere[right] = values[~broken]
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


def joined(forecast: Forecast, other: Forecast, rows: Ints) -> Forecast:
    """`forecast` with the series that `other` answered, which are `rows` of it; the others stay as they are.

    Where a model failed it is said so.
    """
    answers = np.asarray(
        [place for place, name in enumerate(other.series) if name not in other.unavailable], dtype=np.intp
    )
    failed = any(reason is NoForecastReason.MODEL_FAILED for reason in other.unavailable.values())
    if not answers.size:
        return replace(forecast, fell_back=forecast.fell_back or failed)
    changed: dict[str, Any] = {}
    for one in fields(Forecast):
        mine, theirs = getattr(forecast, one.name), getattr(other, one.name)
        by_series = isinstance(mine, np.ndarray) and mine.shape[:1] == (len(forecast.series),)
        if by_series and isinstance(theirs, np.ndarray):
            changed[one.name] = mine.copy()
            changed[one.name][rows[answers]] = theirs[answers]
    now_answered = {other.series[place] for place in answers}
    return replace(
        forecast,
        **changed,
        model=f"{forecast.model} + {other.model}",
        unavailable={name: reason for name, reason in forecast.unavailable.items() if name not in now_answered},
        fell_back=forecast.fell_back or failed,
    )
