"""Raw rows as Prometheus gives them → rows that a model can read, and a named reason where it cannot.

Unknown points stay marked in `known`; `values` is filled everywhere, so that linear filters run on it without masks.
What is scored or learned reads only known points.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats, ForecastRequest, NoForecastReason, SeriesKind

Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

#: A gap of up to this many steps is bridged by a straight line and counts as known; a longer one stays unknown.
SHORT_GAP_STEPS = 4
#: A series whose newest known point is older than this many steps has no forecast.
STALE_AFTER_STEPS = 10
#: Fewer known points than this say nothing about spread.
FEWEST_POINTS = 8
#: The fallback's filters read at most this many of the newest points.
LONGEST_HISTORY = 1024
#: Histories are extended to a multiple of this, so that cached filter weights fit histories that are still growing.
LENGTH_STEP = 64
#: Larger magnitudes are read as infinite: their squares and filters would overflow.
LARGEST_VALUE = 1e30
#: A series with a larger share of infinite points is refused; below it they are gaps.
INFINITE_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class History:
    """The usable rows of a request.

    `values` `(rows, points)` is finite, oldest first; `known` `(rows, points)` says where it was measured, `judged`
    where it also counts as an outcome (not censored); `gap_steps` `(rows,)` counts the unknown points at the end;
    `rows` maps each row to its place in the request; `demand` `(rows,)` says which are demand.
    """

    rows: Ints
    values: Floats
    known: Bools
    judged: Bools
    gap_steps: Ints
    demand: Bools
    unavailable: dict[str, NoForecastReason]

    def only(self, rows: Ints) -> History:
        """Some of the rows, by their places here; the reasons for series without a row stay."""
        if rows.size == self.rows.size:
            return self
        return History(
            self.rows[rows],
            self.values[rows],
            self.known[rows],
            self.judged[rows],
            self.gap_steps[rows],
            self.demand[rows],
            self.unavailable,
        )


def clean(request: ForecastRequest, now_s: float, longest: int = LONGEST_HISTORY) -> History:
    """Rows that can be forecast, filled and marked, and the reasons for the others; the newest `longest` points."""
    raw = np.asarray(request.values, dtype=np.float64)
    if raw.shape[1] == 0:
        return _nothing(dict.fromkeys(request.series, NoForecastReason.EMPTY))
    raw = raw[:, -(longest + 1) :]
    infinite = (raw > LARGEST_VALUE) | (raw < -LARGEST_VALUE)  # false for NaN
    if infinite.any():
        raw = np.where(infinite, np.nan, raw)
    raw = _rates_of_counters(raw, request.kinds, request.step_s)[:, -longest:]
    infinite = infinite[:, -longest:]

    known = ~np.isnan(raw)
    rows, reasons = _usable(request, known, infinite, now_s)
    if rows.size == 0:
        return _nothing(reasons)
    if rows.size < len(request.series):
        raw, known = raw[rows], known[rows]
    first = int(np.argmax(known.any(axis=0)))  # before it nobody knows anything
    raw, known = raw[:, first:], known[:, first:]
    kinds = request.kinds or (SeriesKind.GAUGE,) * len(request.series)
    demand = np.asarray([kinds[row] is SeriesKind.DEMAND for row in rows], dtype=bool)
    censored = _censored(request, rows, raw.shape[1])
    if known.all():
        return _padded(
            History(rows, raw, known, known & ~censored, np.zeros(rows.size, dtype=np.intp), demand, reasons)
        )
    filled, gaps = bridged_gaps(raw, known)
    points = known.shape[1]
    trailing = points - 1 - _last_true(known)
    bridged = known | ((gaps <= SHORT_GAP_STEPS) & (np.arange(points) < (points - trailing)[:, None]))
    return _padded(History(rows, filled, bridged, bridged & ~censored, trailing, demand, reasons))


def rates(counter: Floats, step_s: float) -> Floats:
    """Increase per second of cumulative counters, `(rows, points)`; a drop is a restart from zero.

    The first known point has no rate. An increase over a gap belongs to the point that ends it, as an average.
    """
    known = ~np.isnan(counter)
    index = np.where(known, np.arange(counter.shape[1]), -1)
    previous = np.concatenate(
        [np.full((counter.shape[0], 1), -1), np.maximum.accumulate(index, axis=1)[:, :-1]], axis=1
    )
    before = np.take_along_axis(counter, np.maximum(previous, 0), axis=1)
    steps = np.arange(counter.shape[1]) - previous
    increase = np.where(counter >= before, counter - before, counter)
    return np.where(known & (previous >= 0), increase / (steps * step_s), np.nan)


def _rates_of_counters(raw: Floats, kinds: Sequence[SeriesKind], step_s: float) -> Floats:
    counters = [row for row, kind in enumerate(kinds) if kind is SeriesKind.COUNTER]
    if not counters:
        return raw
    converted = raw.copy()
    converted[counters] = rates(raw[counters], step_s)
    return converted


def _usable(
    request: ForecastRequest, known: Bools, infinite: Bools, now_s: float
) -> tuple[Ints, dict[str, NoForecastReason]]:
    points = known.shape[1]
    counts = known.sum(axis=1)
    gap = points - 1 - _last_true(known)
    late_s = max(0.0, now_s - request.last_at_s)
    stale = gap * request.step_s + late_s > STALE_AFTER_STEPS * request.step_s
    refused = infinite[:, -1] | (infinite.mean(axis=1) > INFINITE_SHARE)
    usable = (counts >= FEWEST_POINTS) & ~stale & ~refused
    reasons: dict[str, NoForecastReason] = {}
    for row in np.flatnonzero(~usable):
        if refused[row]:
            reason = NoForecastReason.NOT_FINITE
        elif counts[row] == 0:
            reason = NoForecastReason.ALL_MISSING
        elif counts[row] < FEWEST_POINTS:
            reason = NoForecastReason.TOO_SHORT
        else:
            reason = NoForecastReason.STALE
        reasons[request.series[row]] = reason
    return np.flatnonzero(usable), reasons


def _censored(request: ForecastRequest, rows: Ints, points: int) -> Bools:
    if request.censored is None:
        return np.zeros((1, points), dtype=bool)
    return np.asarray(request.censored, dtype=bool)[rows, -points:]


def bridged_gaps(raw: Floats, known: Bools) -> tuple[Floats, Ints]:
    """Straight lines over the gaps (level at both ends), and for every point the length of the gap it lies in."""
    points = raw.shape[1]
    # Only what is missing is looked at, in rows laid end to end: mostly a few points.
    present, missing = np.flatnonzero(known), np.flatnonzero(~known)
    following = np.searchsorted(present, missing)
    left, right = present[np.maximum(following - 1, 0)], present[np.minimum(following, present.size - 1)]
    row = missing // points
    after, before = left // points == row, right // points == row
    after &= left < missing
    before &= right > missing
    start, end = np.where(after, left, right), np.where(before, right, left)
    share = (missing - start) / np.maximum(end - start, 1)
    flat = raw.reshape(-1)
    filled, lengths = raw.copy(), np.zeros(raw.shape, dtype=np.intp)
    filled.reshape(-1)[missing] = flat[start] + (flat[end] - flat[start]) * np.clip(share, 0.0, 1.0)
    # Before the first known point nothing is bridged.
    widths = np.where(before, right, (row + 1) * points) - left - 1
    lengths.reshape(-1)[missing] = np.where(after, widths, points)
    return filled, lengths


def _last_true(known: Bools) -> Ints:
    """Index of the newest true column, -1 where there is none."""
    points = known.shape[1]
    newest = points - 1 - np.argmax(known[:, ::-1], axis=1)
    return np.where(known.any(axis=1), newest, -1)


def _padded(history: History) -> History:
    missing = -history.values.shape[1] % LENGTH_STEP
    if missing == 0:
        return history
    first = np.repeat(history.values[:, :1], missing, axis=1)
    unknown = np.zeros((history.rows.size, missing), dtype=bool)
    return History(
        history.rows,
        np.concatenate([first, history.values], axis=1),
        np.concatenate([unknown, history.known], axis=1),
        np.concatenate([unknown, history.judged], axis=1),
        history.gap_steps,
        history.demand,
        history.unavailable,
    )


def _nothing(reasons: dict[str, NoForecastReason]) -> History:
    none = np.zeros(0, dtype=np.intp)
    nothing = np.zeros((0, LENGTH_STEP), dtype=bool)
    return History(none, np.zeros((0, LENGTH_STEP)), nothing, nothing, none, np.zeros(0, dtype=bool), reasons)
