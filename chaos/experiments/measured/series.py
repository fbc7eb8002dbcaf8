"""Rows become one value for each scored second; what was not seen is unknown, never the last value for ever."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from forecasting.forecast import Floats

#: So long a value seen still stands: samples come every second, and a slow answer is not an outage.
STANDS_S = 5.0


class _OfService(Protocol):
    @property
    def service(self) -> str: ...


Named = TypeVar("Named", bound=_OfService)


@dataclass(frozen=True, slots=True)
class Span:
    """The scored seconds: t = 0 in Unix seconds, and how many."""

    zero_s: float
    seconds: int

    @property
    def ends_s(self) -> Floats:
        """When each second ends, Unix."""
        return self.zero_s + np.arange(1, self.seconds + 1, dtype=np.float64)


def standing(times_s: Sequence[float], values: Sequence[float | None], span: Span) -> Floats:
    """`(seconds,)`: the last value seen by the end of each second, NaN where it is older than `STANDS_S`."""
    known = [(at_s, value) for at_s, value in zip(times_s, values, strict=True) if value is not None]
    if not known:
        return np.full(span.seconds, np.nan)
    at_s, seen = np.array(known, dtype=np.float64).T
    order = np.argsort(at_s, kind="stable")
    at_s, seen = at_s[order], seen[order]
    row = np.searchsorted(at_s, span.ends_s, side="right") - 1
    fresh = (row >= 0) & (span.ends_s - at_s[np.maximum(row, 0)] <= STANDS_S)
    return np.where(fresh, seen[np.maximum(row, 0)], np.nan)


def over_steps(times_s: Sequence[float], values: Sequence[float | None], step_s: float, span: Span) -> Floats:
    """`(seconds,)` of values that are each about the step before their time; NaN outside of all steps."""
    known = [(at_s, value) for at_s, value in zip(times_s, values, strict=True) if value is not None]
    if not known:
        return np.full(span.seconds, np.nan)
    at_s, seen = np.array(known, dtype=np.float64).T
    order = np.argsort(at_s, kind="stable")
    at_s, seen = at_s[order], seen[order]
    row = np.searchsorted(at_s, span.ends_s, side="left")  # the first value at or after the second's end
    last = at_s.size - 1
    there = (row <= last) & (at_s[np.minimum(row, last)] - span.ends_s < step_s)
    return np.where(there, seen[np.minimum(row, last)], np.nan)


def by_service(rows: Iterable[Named], services: Sequence[str]) -> dict[str, list[Named]]:
    """The rows of each service, in their order; services without rows have an empty list."""
    found: dict[str, list[Named]] = {service: [] for service in services}
    for row in rows:
        if row.service in found:
            found[row.service].append(row)
    return found
