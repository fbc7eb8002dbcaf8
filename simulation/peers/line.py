"""A straight line through timed values, missing ones left out."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Line(NamedTuple):
    """`value_at_start` at `start_s`, changing by `slope` per second."""

    start_s: float
    value_at_start: float
    slope: float

    def at(self, time_s: float) -> float:
        return self.value_at_start + self.slope * (time_s - self.start_s)


def fitted_line(times_s: NDArray[np.float64], values: NDArray[np.float64]) -> Line | None:
    """Least squares through the finite values; None with fewer than two different times."""
    known = np.isfinite(values)
    times_s, values = times_s[known], values[known]
    if len(times_s) < 2:
        return None
    offsets_s = times_s - times_s.mean()
    spread = float(offsets_s @ offsets_s)
    if spread == 0.0:
        return None
    slope = float(offsets_s @ values) / spread
    return Line(float(times_s.mean()), float(values.mean()), slope)
