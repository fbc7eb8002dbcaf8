"""The one reader of series from files: `TimeStamp,Value[,Label]`, one number a line, or wide tables.

TimeStamp,Value,Label            12.5           time,cpu of a,cpu of b
2024-05-01 00:00:00,12.5,0       13.1           1714521600,0.5,0.25
2024-05-01 00:01:00,,1           nan            1714521660,0.6,
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from forecasting.series_grid import Grid, StepUnknown, grid_of
from forecasting.series_table import SeriesFileInvalid, Table, read_table
from forecasting.series_times import TimeUnreadable, times_s

__all__ = ["FEWEST_POINTS", "Series", "SeriesFileInvalid", "read_series"]

#: Of which a series must have at least so many that are known.
FEWEST_POINTS: Final = 2


@dataclass(frozen=True, slots=True)
class Series:
    """One measured quantity on an even grid.

    `values` `(points,)` is oldest first, NaN where nothing is known; `labels` `(points,)` marks anomalies that people
    found, None where nobody looked. `start_at_s` is the unix time of the first point, None: the file has no dates.
    """

    name: str
    group: str
    values: Floats
    step_s: float
    start_at_s: float | None = None
    labels: NDArray[np.bool_] | None = None

    def part(self, first: int, last: int) -> Series:
        """The points `first` to `last` (excluded), with their times and labels."""
        first, last = max(0, first), min(self.values.size, last)
        return replace(
            self,
            values=self.values[first:last],
            start_at_s=None if self.start_at_s is None else self.start_at_s + first * self.step_s,
            labels=None if self.labels is None else self.labels[first:last],
        )

    @property
    def known(self) -> int:
        """How many points were measured."""
        return int(np.count_nonzero(~np.isnan(self.values)))


def read_series(path: Path | str, step_s: float | None = None) -> tuple[Series, ...]:
    """Every series in a file, which may be gzipped. The group is the folder's name.

    `step_s` is the time between two points: necessary where the file has no times, else the median difference is
    taken, and a given one averages what falls into the same step. Empty cells, NaN and infinities are missing.
    Raises `SeriesFileInvalid`.
    """
    path = Path(path)
    if step_s is not None and not (np.isfinite(step_s) and step_s > 0):
        raise SeriesFileInvalid(f"{path}: a step of {step_s:g} s: give a number of seconds above 0")
    table = read_table(path)
    start_at_s: float | None
    if table.times is None:
        if step_s is None:
            raise SeriesFileInvalid(
                f"{path}: has no column of times: give --step-s, the seconds between two lines, "
                "or call the column TimeStamp"
            )
        start_at_s, step, columns, labels = None, step_s, table.columns, table.labels
    else:
        grid, is_unix = _grid(path, table, table.times, step_s)
        start_at_s, step = (grid.start_s if is_unix else None), grid.step_s
        columns = tuple(grid.means(column) for column in table.columns)
        labels = None if table.labels is None else grid.anywhere(table.labels)
    stem = path.name.removesuffix(".gz").rsplit(".", 1)[0] or path.name
    group = path.absolute().parent.name or stem
    names = (stem,) if len(columns) == 1 else tuple(f"{stem}/{name}" for name in table.names)
    series = tuple(
        Series(name, group, values, step, start_at_s, labels) for name, values in zip(names, columns, strict=True)
    )
    enough = tuple(one for one in series if one.known >= FEWEST_POINTS)
    if not enough:
        most = max(one.known for one in series)
        raise SeriesFileInvalid(
            f"{path}: no column holds {FEWEST_POINTS} numbers (the fullest: {most}): a series needs more points"
        )
    return enough


def _grid(path: Path, table: Table, texts: tuple[str, ...], step_s: float | None) -> tuple[Grid, bool]:
    if len(texts) < FEWEST_POINTS:
        raise SeriesFileInvalid(f"{path}: holds a single line of data: a series needs at least {FEWEST_POINTS} points")
    try:
        seconds, is_unix = times_s(texts)
        return grid_of(seconds, step_s), is_unix
    except TimeUnreadable as error:
        raise SeriesFileInvalid(
            f"{path}: line {table.lines[error.row]}: {error}: write ISO 8601 or unix seconds, or remove the column "
            "and give --step-s"
        ) from None
    except StepUnknown as error:
        raise SeriesFileInvalid(f"{path}: {error}") from None
