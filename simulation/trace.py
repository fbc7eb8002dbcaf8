"""Measured request rates from files, checked and put on an even grid."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import numpy as np

from forecasting.forecast import Floats
from simulation.scenario import MOST_RPS, Load, Scenario, ending_at
from simulation.scenario import Trace as TraceSpec

_MOST_MEASURED = 1e15  # whatever the unit; infinity and overflows are mistakes
_GAPS = frozenset({"", "nan", "na", "n/a", "null", "none", "-"})
_TIME_COLUMNS = frozenset({"timestamp", "time", "date", "datetime", "t", "t_s"})
_LABEL_COLUMNS = frozenset({"label", "is_anomaly", "anomaly"})


class TraceInvalid(Exception):
    """A trace file that cannot be used; the message names file, line or column, and the fix."""


@dataclass(frozen=True, slots=True)
class TraceSeries:
    """Requests per second at even steps. `filled` steps were missing and lie on a line between neighbours."""

    source: str
    step_s: float
    rates_rps: Floats
    filled: int

    @property
    def duration_s(self) -> float:
        return self.step_s * self.rates_rps.size


def with_trace(scenario: Scenario, trace: TraceSpec) -> Scenario:
    """The scenario under a measured load. It ends with the trace; faults that would come later do not happen.

    Before t = 0 the load is the mean of the trace's first minute. Raises `TraceInvalid`.
    """
    series = read_trace(trace)
    loaded = scenario.model_copy(update={"load": Load(trace=trace)})
    return ending_at(loaded, min(scenario.duration_s, series.duration_s), trace.file)


def read_trace(trace: TraceSpec) -> TraceSeries:
    """The series a trace names, scaled as it asks. Raises `TraceInvalid`."""
    path = Path(trace.file)
    try:
        modified_ns = path.stat().st_mtime_ns
    except OSError:
        raise TraceInvalid(f"{trace.file}: no such file: give the path of a file with request rates") from None
    return _read(trace, modified_ns)


@lru_cache(maxsize=8)
def _read(trace: TraceSpec, modified_ns: int) -> TraceSeries:
    try:
        text = Path(trace.file).read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TraceInvalid(f"{trace.file}: cannot be read as text: {error}") from None
    try:
        rows = [(number, row) for number, row in enumerate(csv.reader(text.splitlines(), strict=True), start=1)]
    except csv.Error as error:
        raise TraceInvalid(f"{trace.file}: not a CSV file: {error}") from None
    while rows and not any(cell.strip() for cell in rows[-1][1]):
        rows.pop()
    if not rows:
        raise TraceInvalid(
            f"{trace.file}: the file is empty: give one number a line, or a CSV with a column of numbers"
        )
    values = _evenly_spaced(*_columns(rows, trace), trace.file)
    filled = int(np.isnan(values).sum())
    if filled == values.size:
        raise TraceInvalid(f"{trace.file}: no line holds a number: choose another column with --trace-column")
    rates = _scaled(_filled(values), trace)
    if rates.max() > MOST_RPS:
        raise TraceInvalid(
            f"{trace.file}: asks for up to {rates.max():g} requests/s, at most {MOST_RPS:g} can be simulated: "
            "scale it with --trace-mean-rps or --trace-peak-rps"
        )
    return TraceSeries(trace.file, trace.step_s, rates, filled)


def _columns(rows: list[tuple[int, list[str]]], trace: TraceSpec) -> tuple[list[float], list[float] | None]:
    """Values (NaN: a gap) and times, where the file has a column of them."""
    header = [cell.strip() for cell in rows[0][1]]
    if len(header) == 1 and _is_value(header[0]):
        if trace.column is not None:
            raise TraceInvalid(f"{trace.file}: has one column and no header: leave --trace-column out")
        value_at, time_at = 0, None
    else:
        value_at = _value_column(header, trace)
        names = [name.lower() for name in header]
        time_at = next((i for i, name in enumerate(names) if name in _TIME_COLUMNS and i != value_at), None)
        rows = rows[1:]
        if not rows:
            raise TraceInvalid(f"{trace.file}: there is a header and no line of data: give at least one")
    values, times = [], []
    for number, row in rows:
        if time_at is not None and not any(cell.strip() for cell in row):
            continue
        values.append(_value(row[value_at] if value_at < len(row) else "", number, trace.file))
        if time_at is not None:
            times.append(_time_s(row[time_at] if time_at < len(row) else "", number, trace.file))
    return values, times if time_at is not None else None


def _is_value(text: str) -> bool:
    if text.lower() in _GAPS:
        return True
    try:
        float(text)
    except ValueError:
        return False
    return True


def _value_column(header: list[str], trace: TraceSpec) -> int:
    if trace.column is not None:
        if trace.column in header:
            return header.index(trace.column)
        raise TraceInvalid(f"{trace.file}: no column {trace.column!r}: there are {header}")
    lowered = [name.lower() for name in header]
    if "value" in lowered:
        return lowered.index("value")
    candidates = [i for i, name in enumerate(lowered) if name not in _TIME_COLUMNS and name not in _LABEL_COLUMNS]
    if len(candidates) == 1:
        return candidates[0]
    raise TraceInvalid(f"{trace.file}: which column holds the rate? Choose one of {header} with --trace-column")


def _value(text: str, line: int, source: str) -> float:
    if text.strip().lower() in _GAPS:
        return math.nan
    try:
        value = float(text)
    except ValueError:
        raise TraceInvalid(
            f"{source}: line {line}: {text.strip()!r} is not a number: correct it or leave it empty"
        ) from None
    if value > _MOST_MEASURED:
        raise TraceInvalid(f"{source}: line {line}: the rate {value:g} is no rate: correct it or leave it empty")
    if value < 0.0:
        raise TraceInvalid(f"{source}: line {line}: the rate {value:g} is negative: correct it or leave it empty")
    return value


def _time_s(text: str, line: int, source: str) -> float:
    try:
        return float(text)
    except ValueError:
        pass
    try:
        moment = datetime.fromisoformat(text.strip())
        return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).timestamp()
    except ValueError:
        raise TraceInvalid(
            f"{source}: line {line}: {text.strip()!r} is no time: write ISO 8601 or seconds, or drop the column"
        ) from None


def _evenly_spaced(values: list[float], times: list[float] | None, source: str) -> Floats:
    """Values at even steps: times that are missing become NaN, doubles (clocks set back) their mean."""
    if times is None or len(times) < 2:
        return np.array(values)
    steps, counts = np.unique(np.round(np.abs(np.diff(times)), 3), return_counts=True)
    if steps[-1] == 0.0:
        raise TraceInvalid(f"{source}: all lines have the same time: correct the column or drop it")
    counts[steps == 0.0] = 0
    step_s = float(steps[np.argmax(counts)])
    offsets = np.rint((np.array(times) - min(times)) / step_s).astype(np.int64)
    size = int(offsets.max()) + 1
    if size > 20 * len(values):
        raise TraceInvalid(f"{source}: more than 95 % of the lines are missing between the first and the last time")
    measured = np.array(values)
    known = ~np.isnan(measured)
    sums = np.bincount(offsets[known], weights=measured[known], minlength=size)
    counts = np.bincount(offsets[known], minlength=size)
    return np.where(counts > 0, sums / np.maximum(1, counts), np.nan)


def _filled(values: Floats) -> Floats:
    known = np.flatnonzero(~np.isnan(values))
    return np.asarray(np.interp(np.arange(values.size), known, values[known]))


def _scaled(rates: Floats, trace: TraceSpec) -> Floats:
    asked = trace.mean_rps if trace.mean_rps is not None else trace.peak_rps
    if asked is None:
        return rates
    present = float(rates.mean() if trace.mean_rps is not None else rates.max())
    if present == 0.0:
        raise TraceInvalid(f"{trace.file}: every rate is zero and cannot be scaled: leave the scaling out")
    return np.asarray(rates * (asked / present))
