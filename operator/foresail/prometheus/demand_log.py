"""Offered demand of the past, one column per step of 15 s, as one matrix for all workloads."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats

#: Columns are dropped so many at once, so that what was handed out stays where it is most of the time.
_SLACK = 512


class DemandLog:
    """At least the newest `points` columns; unknown ones are NaN. Steps are counted from the epoch.

    What is known is never overwritten: an answer about the past can only fill gaps. Columns that nobody wrote stay
    unknown, so a late tick leaves a gap and never repeats a value.
    """

    def __init__(self, points: int) -> None:
        self._points = points
        self.workloads: tuple[str, ...] = ()
        self._origin = 0  # step of the first column
        self._values: Floats = np.empty((0, 0))
        self._saturated: NDArray[np.bool_] = np.empty((0, 0), dtype=bool)
        self._first_known: int | None = None

    @property
    def nbytes(self) -> int:
        return int(self._values.nbytes + self._saturated.nbytes)

    @property
    def oldest(self) -> int:
        """The first step that may be written."""
        return self._origin

    def keep(self, workloads: Sequence[str]) -> None:
        """From now on these rows: rows of others are forgotten, new ones know nothing."""
        names = tuple(workloads)
        if names == self.workloads:
            return
        before = {name: row for row, name in enumerate(self.workloads)}
        columns = self._values.shape[1]
        values = np.full((len(names), columns), np.nan)
        saturated = np.zeros((len(names), columns), dtype=bool)
        pairs = [(row, before[name]) for row, name in enumerate(names) if name in before]
        if pairs:
            new, old = (list(side) for side in zip(*pairs, strict=True))
            values[new], saturated[new] = self._values[old], self._saturated[old]
        self.workloads, self._values, self._saturated = names, values, saturated

    def write(self, first: int, workloads: Sequence[str], values: Floats, saturated: NDArray[np.bool_]) -> None:
        """Columns from step `first` on, `(workloads, steps)`. Workloads without a row and steps too old are dropped."""
        last = first + values.shape[1] - 1
        self._reach(last)
        skipped = max(0, self._origin - first)
        if skipped >= values.shape[1]:
            return
        values, saturated, first = values[:, skipped:], saturated[:, skipped:], first + skipped
        place = {name: row for row, name in enumerate(self.workloads)}
        taken = [row for row, name in enumerate(workloads) if name in place]
        rows = [place[workloads[row]] for row in taken]
        columns = slice(first - self._origin, first - self._origin + values.shape[1])
        known = self._values[rows, columns]
        self._values[rows, columns] = np.where(np.isnan(known), values[taken], known)
        self._saturated[rows, columns] |= saturated[taken]
        found = np.flatnonzero(~np.isnan(values[taken]).all(axis=0))
        if found.size:
            earliest = first + int(found[0])
            self._first_known = earliest if self._first_known is None else min(self._first_known, earliest)

    def window(self, last: int, points: int) -> tuple[Floats, Floats]:
        """Values and saturation `(workloads, ≤ points)` up to step `last`, from the first step that anybody knows on.

        The values may be a view that holds until the next `write`.
        """
        self._reach(last)
        first = last + 1 if self._first_known is None else max(self._first_known, last + 1 - points, self._origin)
        columns = slice(first - self._origin, last + 1 - self._origin)
        marked = self._saturated[:, columns]
        saturated = np.zeros(marked.shape)
        if marked.any():
            saturated[marked] = 1.0
        return self._values[:, columns], saturated

    def between(self, first: int, last: int) -> Floats | None:
        """Values `(workloads, steps)` of two steps and all between, None where nothing of it is known."""
        columns = np.arange(first, last + 1) - self._origin
        there = (columns >= 0) & (columns < self._values.shape[1])
        answer = np.full((len(self.workloads), columns.size), np.nan)
        answer[:, there] = self._values[:, columns[there]]
        return answer if np.isfinite(answer).any() else None

    def _reach(self, last: int) -> None:
        """Makes room up to step `last`. What was handed out before stays as it is."""
        columns = self._values.shape[1]
        if columns == 0:
            self._origin = last + 1 - self._points
        if columns and last < self._origin + columns:
            return
        origin = max(self._origin, last + 1 - self._points)
        width = self._points + _SLACK
        values = np.full((len(self.workloads), width), np.nan)
        saturated = np.zeros((len(self.workloads), width), dtype=bool)
        kept = max(0, self._origin + columns - origin)
        if kept:
            values[:, :kept], saturated[:, :kept] = self._values[:, -kept:], self._saturated[:, -kept:]
        self._origin, self._values, self._saturated = origin, values, saturated
