"""Arrays and forecast requests as JSON values, exact to the bit."""

from __future__ import annotations

import base64
import zlib
from typing import Any

import numpy as np

from forecasting.forecast import Floats, ForecastRequest


def dump_array(values: Floats | None) -> Any:
    """Compressed little-endian doubles; NaN and infinities survive."""
    if values is None:
        return None
    packed = zlib.compress(np.ascontiguousarray(values, dtype="<f8").tobytes(), level=1)
    return {"shape": list(values.shape), "doubles": base64.b64encode(packed).decode("ascii")}


def load_array(dumped: Any) -> Floats | None:
    if dumped is None:
        return None
    packed = zlib.decompress(base64.b64decode(dumped["doubles"]))
    return np.frombuffer(packed, dtype="<f8").astype(np.float64).reshape(dumped["shape"])


def dump_request(request: ForecastRequest) -> Any:
    """A request without events, kinds and yesterdays: those of failure signals have none."""
    return {
        "series": list(request.series),
        "values": dump_array(request.values),
        "step_s": request.step_s,
        "last_at_s": request.last_at_s,
        "horizon_steps": request.horizon_steps,
        "lower_limit": dump_array(request.lower_limit),
        "samples": request.samples,
        "wall_clock": request.wall_clock,
    }


def load_request(dumped: Any) -> ForecastRequest:
    values = load_array(dumped["values"])
    assert values is not None
    return ForecastRequest(
        series=tuple(dumped["series"]),
        values=values,
        step_s=dumped["step_s"],
        last_at_s=dumped["last_at_s"],
        horizon_steps=dumped["horizon_steps"],
        lower_limit=load_array(dumped["lower_limit"]),
        samples=dumped["samples"],
        wall_clock=dumped["wall_clock"],
    )
