"""Samples at any times → one even grid: sorted, doubles averaged, what is missing NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats

#: A grid may have so many points per sample; beyond that nearly everything would be missing.
MOST_POINTS_PER_SAMPLE: Final = 20
MOST_POINTS: Final = 20_000_000
#: When a larger share of the samples meets another one on the grid, no step fits them.
MOST_COLLISIONS: Final = 0.25
#: A measured step this close to whole seconds is meant to be whole seconds: clocks and tickers jitter.
_JITTER: Final = 0.005


class StepUnknown(Exception):
    """The samples have no common step; the message says what was seen and the fix."""


@dataclass(frozen=True, slots=True)
class Grid:
    """Where each sample belongs: point `place[i]` of `points`, which lie at `start_s + step_s * k`."""

    place: NDArray[np.int64]
    points: int
    start_s: float
    step_s: float

    def means(self, values: Floats) -> Floats:
        """`(points,)` from `(samples,)`: the mean of the known samples of each point, NaN where there is none."""
        known = ~np.isnan(values)
        counts = np.bincount(self.place[known], minlength=self.points)
        # Shares are summed, not values: the sum of two huge values would be infinite.
        shares = values[known] / counts[self.place[known]]
        sums = np.bincount(self.place[known], weights=shares, minlength=self.points)
        return np.asarray(np.where(counts > 0, sums, np.nan))

    def anywhere(self, marks: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """`(points,)` from `(samples,)`: whether any sample of the point is marked."""
        return np.asarray(np.bincount(self.place[marks], minlength=self.points) > 0)


def grid_of(times_s: Floats, step_s: float | None = None) -> Grid:
    """The grid with step `step_s`, or the median difference between distinct times.

    Samples may lie up to half a step beside their point. Raises `StepUnknown`.
    """
    distinct = np.unique(times_s)
    if distinct.size < 2:
        raise StepUnknown("all lines have the same time: correct the times, or drop their column and give --step-s")
    step = _median_step_s(distinct) if step_s is None else float(step_s)
    if float(distinct[-1] - distinct[0]) / step + 1.0 > min(
        MOST_POINTS, max(1000, MOST_POINTS_PER_SAMPLE * distinct.size)
    ):
        raise StepUnknown(
            f"with a step of {step:g} s more than 19 in 20 points would be missing between the first and the last "
            "time: split the file, or give a longer --step-s"
        )
    start_s = float(distinct[0]) + _phase_s(distinct, step)
    place = np.rint((times_s - start_s) / step).astype(np.int64)
    start_s += float(place.min()) * step
    place -= place.min()
    points = int(place.max()) + 1
    collided = 1.0 - np.unique(np.rint((distinct - start_s) / step)).size / distinct.size
    if step_s is None and collided > MOST_COLLISIONS:
        raise StepUnknown(
            f"the times have no even step: {collided:.0%} of the lines are closer to each other than the usual "
            f"{step:g} s; give --step-s, over which they are averaged"
        )
    return Grid(place, points, start_s, step)


def _median_step_s(distinct: Floats) -> float:
    """The median difference, refined by the whole length (jitter of single samples does not add up)."""
    differences = np.diff(distinct)
    median = float(np.median(differences))
    steps = np.rint(differences / median)
    regular = (steps >= 1) & (steps <= MOST_POINTS_PER_SAMPLE)
    refined = float(differences[regular].sum() / steps[regular].sum())
    if abs(refined - median) > 0.05 * median:
        return median
    whole = round(refined)
    return float(whole) if whole >= 1 and abs(refined - whole) <= _JITTER * whole else refined


def _phase_s(distinct: Floats, step_s: float) -> float:
    """How far the grid lies beside the first time, so that most samples are near their point; a circular mean."""
    angle = (2.0 * np.pi / step_s) * np.mod(distinct - distinct[0], step_s)
    middle = np.exp(1j * angle).mean()
    if abs(middle) < 0.5:  # samples at all phases: nothing to align with
        return 0.0
    phase = float(np.angle(middle)) * step_s / (2.0 * np.pi)
    return 0.0 if abs(phase) < 0.01 * step_s else phase
