"""A measured figure beside what it should be."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Figure:
    """`value` in `unit`; None: it could not be measured, `detail` says why. `smaller_is_better` orders the limits."""

    name: str
    value: float | None
    unit: str
    at_least: float
    aim: float
    smaller_is_better: bool = True
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """`aim`, `reached`, `missed` or `unknown`."""
        if self.value is None:
            return "unknown"
        if self._as_good_as(self.aim):
            return "aim"
        return "reached" if self._as_good_as(self.at_least) else "missed"

    def _as_good_as(self, limit: float) -> bool:
        assert self.value is not None
        return self.value <= limit if self.smaller_is_better else self.value >= limit


def quantile(values: list[float], q: float) -> float:
    """The smallest value that at least a share `q` does not exceed. Raises `ValueError` when there is none."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(q * len(ordered)))]
