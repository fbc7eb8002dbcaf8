"""When clients come: a Poisson process whose rate changes over time, drawn before anything is sent."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from forecasting.forecast import Floats

GRID_S = 0.05  # between these points the rate is taken to be a line


class Rate(Protocol):
    """Requests per second at each of the times."""

    def __call__(self, times_s: Floats, /) -> Floats: ...


def expected_arrivals(rate_rps: Rate, duration_s: float) -> float:
    """How many arrivals [0, duration) holds on average."""
    return float(_cumulative(rate_rps, duration_s)[1][-1])


def poisson_arrivals(rate_rps: Rate, duration_s: float, rng: np.random.Generator) -> Floats:
    """Sorted times in [0, duration) of a Poisson process with that rate.

    Time is warped: given their number, arrivals are uniform in the integral of the rate, and its inverse brings them
    back to seconds. Exact but for the rate being a line between points `GRID_S` apart.
    """
    times_s, expected = _cumulative(rate_rps, duration_s)
    uniform = np.sort(rng.random(rng.poisson(expected[-1]))) * expected[-1]
    arrivals = np.interp(uniform, expected, times_s)
    return np.asarray(np.minimum(arrivals, np.nextafter(duration_s, 0.0)))


def _cumulative(rate_rps: Rate, duration_s: float) -> tuple[Floats, Floats]:
    """Grid times and the expected number of arrivals before each of them."""
    steps = max(1, int(np.ceil(duration_s / GRID_S)))
    times_s = np.linspace(0.0, duration_s, steps + 1)
    # The last instant belongs to the run: a step that ends with it must not pull the rate down.
    rates = rate_rps(np.minimum(times_s, np.nextafter(duration_s, 0.0)))
    areas = (rates[1:] + rates[:-1]) / 2.0 * np.diff(times_s)
    return times_s, np.concatenate(([0.0], np.cumsum(areas)))
