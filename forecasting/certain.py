"""A forecast that is certain of one path per series; what simple and clairvoyant forecasters answer with."""

from __future__ import annotations

import numpy as np

from forecasting.forecast import LEVELS, Floats, Forecast, ForecastRequest, NoForecastReason


def certain_forecast(
    request: ForecastRequest, expected: Floats, now_s: float, model: str, unavailable: dict[str, NoForecastReason]
) -> Forecast:
    """`expected` is `(series, steps)`; every quantile and every sample is that path, clamped to the hard limits."""
    if request.lower_limit is not None:
        expected = np.maximum(expected, request.lower_limit[:, None])
    if request.upper_limit is not None:
        expected = np.minimum(expected, request.upper_limit[:, None])
    series, steps = expected.shape
    unmeasured = np.full(series, np.nan)
    return Forecast(
        series=request.series,
        levels=LEVELS,
        quantiles=np.broadcast_to(expected[:, :, None], (series, steps, len(LEVELS))),
        paths=np.broadcast_to(expected[:, None, :], (series, request.samples, steps)),
        issued_at_s=now_s,
        last_at_s=request.last_at_s,
        step_s=request.step_s,
        model=model,
        coverage=unmeasured,
        skill=unmeasured,
        unavailable=unavailable,
    )
