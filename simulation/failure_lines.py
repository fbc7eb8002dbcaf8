"""Least-squares lines over trailing windows, at every point of every series at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from forecasting.forecast import Floats
from forecasting.history import Ints

#: A segment since the last change of trend has one of these lengths, in points …
SEGMENTS = (10, 20, 40, 80, 160, 320)
#: … and is told from what lies before it in a stretch of this length.
STRETCH = 480


class Line(NamedTuple):
    """Value at the newest point, change per point, and share of the variance explained; all `(series, points)`."""

    level: Floats
    slope: Floats
    r2: Floats


class _Sums(NamedTuple):
    """Running sums from the first point on, `(series, points + 1)`: known points, x, y, xx, xy, yy."""

    known: Floats
    x: Floats
    y: Floats
    xx: Floats
    xy: Floats
    yy: Floats


def trailing_line(values: Floats, points: int) -> Line:
    """The line through the last `points` values at every point, NaN where fewer than two are known."""
    sums, centre = _running(values)
    end = np.arange(1, values.shape[1] + 1)
    return _line(_between(sums, np.maximum(end - points, 0), end), centre)


def line_since_change(values: Floats) -> Line:
    """The line through the values since the last change of trend, at every point.

    The change is where two lines, one before and one after it, leave the least of a stretch unexplained.
    """
    sums, centre = _running(values)
    end = np.arange(1, values.shape[1] + 1)
    begin = np.maximum(end - STRETCH, 0)
    best = _line(_between(sums, begin, end), centre)
    least = _unexplained(_between(sums, begin, end))
    for points in SEGMENTS:
        change = np.maximum(end - points, begin)
        after = _between(sums, change, end)
        left = _unexplained(_between(sums, begin, change)) + _unexplained(after)
        # Another segment has to explain clearly more, or noise would be cut into segments.
        better = left < 0.8 * least
        least = np.where(better, left, least)
        best = Line(*(np.where(better, new, old) for new, old in zip(_line(after, centre), best, strict=True)))
    return best


def _running(values: Floats) -> tuple[_Sums, Floats]:
    """Sums of values around each series' mean, and that mean `(series, 1)`."""
    known = np.isfinite(values)
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    centre = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    y = np.where(known, values - centre, 0.0)
    x = np.where(known, np.arange(values.shape[1], dtype=np.float64), 0.0)

    def running(part: Floats) -> Floats:
        return np.concatenate([np.zeros((values.shape[0], 1)), np.cumsum(part, axis=1)], axis=1)

    parts = (known.astype(np.float64), x, y, x * x, x * y, y * y)
    return _Sums(*(running(part) for part in parts)), centre


def _between(sums: _Sums, begin: Ints, end: Ints) -> _Sums:
    return _Sums(*(part[:, end] - part[:, begin] for part in sums))


def _line(sums: _Sums, centre: Floats) -> Line:
    count = np.maximum(sums.known, 1.0)
    sxx, sxy, syy = _centred(sums, count)
    enough = (sums.known >= 2.0) & (sxx > 0.0)
    slope = np.where(enough, sxy / np.where(enough, sxx, 1.0), np.nan)
    newest = np.arange(sums.known.shape[1], dtype=np.float64)
    level = sums.y / count + slope * (newest - sums.x / count) + centre
    varies = enough & (syy > 1e-15)
    r2 = np.where(varies, sxy**2 / np.where(varies, sxx * syy, 1.0), 0.0)
    return Line(level, slope, r2)


def _unexplained(sums: _Sums) -> Floats:
    """Squared error that the best line leaves; zero where there are too few points for one."""
    sxx, sxy, syy = _centred(sums, np.maximum(sums.known, 1.0))
    explained = np.where(sxx > 0.0, sxy**2 / np.where(sxx > 0.0, sxx, 1.0), 0.0)
    return np.maximum(syy - explained, 0.0)


def _centred(sums: _Sums, count: Floats) -> tuple[Floats, Floats, Floats]:
    return (
        sums.xx - sums.x**2 / count,
        sums.xy - sums.x * sums.y / count,
        np.maximum(sums.yy - sums.y**2 / count, 0.0),
    )
