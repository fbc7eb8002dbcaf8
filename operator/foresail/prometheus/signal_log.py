"""Failure signals of the past at 60 s, and which of them are worth a forecast."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from forecasting.alarm_evidence import LINGERS_POINTS, nearest_to_limit, worth_forecasting
from forecasting.forecast import Floats
from policies.model import SignalHistory, SignalTarget

#: `worth_forecasting` looks back so many points.
_LOOKS_BACK = 9


@dataclass(frozen=True, slots=True)
class SignalTable:
    """Signals over some steps: `values` `(targets, steps)` in the kind's unit, `limits` `(targets,)`."""

    targets: tuple[SignalTarget, ...]
    values: Floats
    limits: Floats


class SignalLog:
    """The newest `points` columns of every signal whose owner still exists, NaN before it was born.

    What is watched follows from the values alone, so that a restart changes nothing.
    """

    def __init__(self, points: int, step_s: float) -> None:
        self._points, self._step_s = points, step_s
        self.last: int | None = None  # step of the newest column
        self._targets: tuple[SignalTarget, ...] = ()
        self._values: Floats = np.empty((0, points))
        self._limits: Floats = np.empty(0)

    @property
    def nbytes(self) -> int:
        return int(self._values.nbytes + self._limits.nbytes)

    def write(self, last: int, table: SignalTable, exists: Callable[[SignalTarget], bool]) -> None:
        """Columns that end at step `last`. Signals whose owner is gone, and those that nobody knows, are forgotten."""
        ends = last if self.last is None else max(last, self.last)
        moved = 0 if self.last is None else ends - self.last
        rows = {target: row for row, target in enumerate(self._targets) if exists(target)}
        targets = (*rows, *(target for target in table.targets if target not in rows))
        place = {target: row for row, target in enumerate(targets)}
        values = np.full((len(targets), self._points), np.nan)
        limits = np.empty(len(targets))
        old = list(rows.values())
        limits[: len(old)] = self._limits[old]
        if moved < self._points:
            values[: len(old), : self._points - moved] = self._values[old, moved:]
        new = np.asarray([place[target] for target in table.targets], dtype=np.intp)
        limits[new] = table.limits
        columns = self._points - (ends - last) - np.arange(table.values.shape[1])[::-1] - 1
        there = columns >= 0
        into = np.ix_(new, columns[there])
        values[into] = np.where(np.isnan(values[into]), table.values[:, there], values[into])
        alive = ~np.isnan(values).all(axis=1)
        self._targets = tuple(target for target, kept in zip(targets, alive.tolist(), strict=True) if kept)
        self._values, self._limits, self.last = values[alive], limits[alive], ends

    def history(self) -> SignalHistory | None:
        """What is watched, and of every workload the signal that is nearest to its limit."""
        if self.last is None or not self._targets:
            return None
        shown = sorted(
            {
                *np.flatnonzero(self._watched()).tolist(),
                *nearest_to_limit([target.workload for target in self._targets], self._values, self._limits),
            }
        )
        return SignalHistory(
            tuple(self._targets[row] for row in shown),
            self._values[shown],
            self._limits[shown],
            self._step_s,
            self.last * self._step_s,
        )

    def _watched(self) -> NDArray[np.bool_]:
        watched = np.zeros(len(self._targets), dtype=bool)
        for ago in range(min(LINGERS_POINTS, self._points - _LOOKS_BACK + 1)):
            watched |= worth_forecasting(self._values[:, : self._points - ago], self._limits)
        return watched
