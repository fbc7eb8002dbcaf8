"""Medians, quantiles, shares and slopes with their 95 % intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

from chaos.calibration.fit import UNKNOWN, Measured
from forecasting.forecast import Floats

RESAMPLES = 1000
_BEYOND = 1.96  # standard errors


def median(groups: Sequence[Sequence[float]], least: int, rng: np.random.Generator) -> Measured:
    """Of all values; those of a group happened together, so the interval is drawn over groups."""
    values = np.concatenate([np.asarray(group, dtype=np.float64) for group in groups]) if groups else np.zeros(0)
    if values.size < least or len(groups) < 2:
        return Measured(None, None, None, int(values.size))
    arrays = [np.asarray(group, dtype=np.float64) for group in groups]
    drawn = rng.integers(len(arrays), size=(RESAMPLES, len(arrays)))
    medians = [np.median(np.concatenate([arrays[i] for i in row])) for row in drawn]
    low, high = np.quantile(medians, [0.025, 0.975])
    return Measured(float(np.median(values)), float(low), float(high), int(values.size))


def quantile(values: Floats, level: float, least: int) -> Measured:
    """By order statistics: the interval ends at values whose ranks the quantile has with 95 %."""
    size = int(values.size)
    if size < least:
        return Measured(None, None, None, size)
    ordered = np.sort(values)
    middle, reach = level * size, _BEYOND * float(np.sqrt(size * level * (1.0 - level)))
    low, high = (int(np.clip(np.round(middle + way * reach), 0, size - 1)) for way in (-1.0, 1.0))
    return Measured(float(np.quantile(ordered, level)), float(ordered[low]), float(ordered[high]), size)


def share(count: int, total: int, least: int) -> Measured:
    """Of independent draws, by Wilson's interval."""
    if total < least:
        return Measured(None, None, None, total)
    ratio, z2 = count / total, _BEYOND**2
    centre = (ratio + z2 / (2 * total)) / (1 + z2 / total)
    reach = _BEYOND * float(np.sqrt(ratio * (1 - ratio) / total + z2 / (4 * total**2))) / (1 + z2 / total)
    return Measured(ratio, max(0.0, centre - reach), min(1.0, centre + reach), total)


@dataclass(frozen=True, slots=True)
class Line:
    """y = idle + slope × x."""

    slope: Measured
    idle: Measured


def line(x: Floats, y: Floats, least: int) -> Line:
    """Least squares, with errors that may grow with x (HC3): more requests, more noise in what they cost."""
    size = int(x.size)
    if size < max(least, 3) or np.ptp(x) == 0.0:
        unknown = Measured(None, None, None, size)
        return Line(unknown, unknown)
    design = np.column_stack((np.ones(size), x))
    inverse = np.linalg.inv(design.T @ design)
    found = inverse @ design.T @ y
    leverage = np.einsum("ij,jk,ik->i", design, inverse, design)
    residuals = (y - design @ found) / np.maximum(1.0 - leverage, 1e-9)
    spread = inverse @ (design.T * residuals**2) @ design @ inverse
    reach = float(stdtrit(size - 2, 0.975)) * np.sqrt(np.diag(spread))
    idle, slope = (
        Measured(float(value), float(value - far), float(value + far), size)
        for value, far in zip(found, reach, strict=True)
    )
    return Line(slope, idle)


def ratio(above: Floats, below: Floats, least: int, rng: np.random.Generator) -> Measured:
    """Σ above ÷ Σ below, its interval drawn over their elements."""
    if above.size < least or below.sum() <= 0.0:
        return Measured(None, None, None, int(above.size)) if above.size else UNKNOWN
    drawn = rng.integers(above.size, size=(RESAMPLES, above.size))
    ratios = above[drawn].sum(axis=1) / np.maximum(below[drawn].sum(axis=1), 1e-12)
    low, high = np.quantile(ratios, [0.025, 0.975])
    return Measured(float(above.sum() / below.sum()), float(low), float(high), int(above.size))
