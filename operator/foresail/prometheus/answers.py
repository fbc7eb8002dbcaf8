"""Answers of Prometheus as arrays: what is not a number of the right moment is NaN and counted by its reason."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from forecasting.forecast import Floats
from foresail.prometheus.reasons import UnknownReason

#: How far the time of a point may lie from what was asked for.
_TIME_TOLERANCE_S = 0.5
Labels = Mapping[str, str]
Counts = Mapping[UnknownReason, int]


@dataclass(frozen=True, slots=True)
class Frame:
    """Series of one answer: `values` `(series, steps)`, NaN where unknown. `problems` counts why, series and points."""

    labels: tuple[Labels, ...]
    values: Floats
    problems: Counts = field(default_factory=dict)

    @property
    def steps(self) -> int:
        return int(self.values.shape[1])


def joined(frames: Sequence[Frame]) -> Frame:
    """The series of several answers to the parts of one question, at least one."""
    if len(frames) == 1:
        return frames[0]
    problems: Counter[UnknownReason] = Counter()
    for frame in frames:
        problems.update(frame.problems)
    labels = tuple(row for frame in frames for row in frame.labels)
    return Frame(labels, np.concatenate([frame.values for frame in frames]), problems)


def vector(rows: Sequence[Any], at_s: float) -> Frame:
    """An instant answer as a frame of one step."""
    problems: Counter[UnknownReason] = Counter()
    labels: list[Labels] = []
    samples: list[tuple[Any, Any]] = []
    for row in rows:
        named = _labels(row)
        sample = row.get("value") if named is not None else None
        if named is None or not isinstance(sample, list) or len(sample) != 2:
            problems[UnknownReason.MALFORMED] += 1
            continue
        labels.append(named)
        samples.append((sample[0], sample[1]))
    numbers = _numbers(samples)
    values = numbers[:, 1]
    malformed = np.isnan(numbers[:, 0])
    timely = np.abs(numbers[:, 0] - at_s) <= _TIME_TOLERANCE_S
    finite = np.isfinite(values)
    problems[UnknownReason.MALFORMED] += int(malformed.sum())
    problems[UnknownReason.WRONG_TIME] += int((~timely & ~malformed).sum())
    problems[UnknownReason.NOT_FINITE] += int((timely & ~finite).sum())
    return _frame(labels, np.where(timely & finite, values, np.nan)[:, None], problems)


def matrix(rows: Sequence[Any], start_s: float, end_s: float, step_s: float) -> Frame:
    """A range answer as a frame with one column per step from `start_s` to `end_s`, both included."""
    steps = round((end_s - start_s) / step_s) + 1
    problems: Counter[UnknownReason] = Counter()
    labels: list[Labels] = []
    values: list[Floats] = []
    for row in rows:
        named = _labels(row)
        samples = row.get("values") if isinstance(row, dict) else None
        if named is None or not isinstance(samples, list):
            problems[UnknownReason.MALFORMED] += 1
            continue
        labels.append(named)
        values.append(_series(samples, start_s, step_s, steps, problems))
    stacked = np.stack(values) if values else np.zeros((0, steps))
    return _frame(labels, stacked, problems)


def _series(
    samples: Sequence[Any], start_s: float, step_s: float, steps: int, problems: Counter[UnknownReason]
) -> Floats:
    series = np.full(steps, np.nan)
    try:
        points = np.asarray(samples, dtype=np.float64).reshape(-1, 2)  # numpy reads the numbers in the texts
    except (TypeError, ValueError, OverflowError):
        problems[UnknownReason.MALFORMED] += 1
        return series
    columns = np.rint((points[:, 0] - start_s) / step_s)
    timely = np.abs(start_s + columns * step_s - points[:, 0]) <= _TIME_TOLERANCE_S
    timely &= (columns >= 0) & (columns < steps)
    finite = np.isfinite(points[:, 1])
    problems[UnknownReason.WRONG_TIME] += int((~timely).sum())
    problems[UnknownReason.NOT_FINITE] += int((timely & ~finite).sum())
    good = timely & finite
    series[columns[good].astype(np.intp)] = points[good, 1]
    return series


def _labels(row: Any) -> Labels | None:
    metric = row.get("metric") if isinstance(row, dict) else None
    if not isinstance(metric, dict):
        return None
    for value in metric.values():
        if not isinstance(value, str):
            return None
    return metric


def _numbers(samples: Sequence[tuple[Any, Any]]) -> Floats:
    """Times and values `(samples, 2)`, NaN where one is no number."""
    try:
        pairs = [(float(at), float(value)) for at, value in samples]
    except (TypeError, ValueError, OverflowError):
        pairs = [_pair(sample) for sample in samples]  # one by one, as only some may be bad
    return np.array(pairs, dtype=np.float64).reshape(-1, 2)


def _pair(sample: tuple[Any, Any]) -> tuple[float, float]:
    """Time and value; the time of what is no number is NaN."""
    try:
        return float(sample[0]), float(sample[1])
    except (TypeError, ValueError, OverflowError):
        return float("nan"), float("nan")


def _frame(labels: list[Labels], values: Floats, problems: Counter[UnknownReason]) -> Frame:
    """Series with the same labels contradict each other, so none of them is believed."""
    keys = [frozenset(row.items()) for row in labels]
    seen = Counter(keys)
    if len(seen) < len(keys):
        kept = [place for place, key in enumerate(keys) if seen[key] == 1]
        problems[UnknownReason.DUPLICATE] += len(keys) - len(kept)
        labels, values = [labels[place] for place in kept], values[kept]
    if not labels:
        problems[UnknownReason.EMPTY] += 1
    return Frame(tuple(labels), values, +problems)
