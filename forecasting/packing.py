"""Forecaster states as JSON and back without loss: arrays as base64, in float32 where that is exact."""

from __future__ import annotations

import base64
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np


def packed(value: Any) -> Any:
    """A JSON value for arrays of numbers, frozen dataclasses of such fields, tuples and plain values."""
    if isinstance(value, np.ndarray):
        exact = value.astype(np.float64)
        with np.errstate(over="ignore"):
            small = exact.astype("<f4")
        kept = small if np.array_equal(small.astype(np.float64), exact, equal_nan=True) else exact.astype("<f8")
        text = base64.b64encode(kept.tobytes()).decode("ascii")
        return {"shape": list(value.shape), "type": kept.dtype.str, "base64": text}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: packed(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple):
        return [packed(one) for one in value]
    if isinstance(value, float) and not np.isfinite(value):
        return {"float": str(value)}
    return value


def unpacked(value: Any) -> Any:
    """What was packed: arrays as float64, dataclasses as dicts of their fields, tuples as tuples."""
    if isinstance(value, list):
        return tuple(unpacked(one) for one in value)
    if not isinstance(value, dict):
        return value
    if "base64" in value:
        flat = np.frombuffer(base64.b64decode(value["base64"]), dtype=value["type"])
        return flat.astype(np.float64).reshape(value["shape"])
    if "float" in value:
        return float(value["float"])
    return {name: unpacked(inner) for name, inner in value.items()}
