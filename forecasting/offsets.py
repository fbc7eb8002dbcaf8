"""How much quantiles have to be stretched: stochastic approximation of offsets from outcomes inside and outside.

An offset is the logarithm of what the distance from the median to a quantile is multiplied by. It is the sum of what
all series share and of what one series differs by. Steps are those of Robbins and Monro for a quantile (a miss divided
by the density there, times one over the outcomes so far), which learn a lot from the first outcomes and less from each
later one; what is remembered is capped, so that they never stop learning. On the logarithmic axis the density at the
right place is the same whatever the forecaster's mistake is.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from statistics import NormalDist

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools
from forecasting.quantiles import LEVEL_ROW, NORMAL_SCORES

#: Levels whose offsets are tracked: the ends of the 80 % and of the 98 % band, each side by itself. The levels between
#: are interpolated on the normal-score axis.
TRACKED_LEVELS: tuple[float, ...] = (0.01, 0.10, 0.90, 0.99)
NARROWEST_OFFSET, WIDEST_OFFSET = log(0.25), log(4.0)
#: The tail of a series may be heavier than its forecast's by this much beyond what the 80 % band has to be stretched: a
#: student's with two degrees of freedom beside a normal one. One jump must not stretch tails for days.
TAIL_REACH = 0.7
#: Series of one batch move together: this many tell as much as infinitely many.
INDEPENDENT_SERIES = 32.0
#: Outcomes that the offset 0 is worth before the first one, and that are remembered at most.
SHARED_PRIOR, SHARED_MEMORY = 20.0, 150.0
OWN_PRIOR, OWN_MEMORY = 50.0, 150.0
#: A batch of this many series leaves half of what it missed in common to each of them; one alone is mostly its own.
HALF_SHARED = 4.0
#: No single batch of outcomes moves an offset further, or this times its weight.
LARGEST_STEP = 0.25

_LEVELS: Floats = np.asarray(TRACKED_LEVELS)
_UPPER = _LEVELS > 0.5
NOMINAL: Floats = np.where(_UPPER, 1.0 - _LEVELS, _LEVELS)
#: Density of a normal outcome at each level, per unit of the logarithm of its distance from the median.
DENSITY: Floats = np.asarray(
    [abs(score) * NormalDist().pdf(score) for score in (NormalDist().inv_cdf(level) for level in TRACKED_LEVELS)]
)


@dataclass(frozen=True, slots=True)
class Offsets:
    """Of one lead: `shared` and the outcomes behind it `(tracked levels,)`, `own` `(rows, tracked levels)` and the
    outcomes behind each row's `(rows,)`."""

    shared: Floats
    shared_outcomes: Floats
    own: Floats
    own_outcomes: Floats

    def total(self) -> Floats:
        """Offsets of each row, `(rows, tracked levels)`."""
        return total(self.shared, self.own)

    def after(self, outside: Bools, telling: Bools, weight: float = 1.0) -> Offsets:
        """Moved by one outcome of each row.

        `outside` `(rows, tracked levels)` says beyond which of its quantiles, stretched by these offsets, it fell,
        `telling` of the same shape where that says anything; `weight` is what it counts beside an independent one.
        """
        series = telling.sum(axis=0)
        missed = np.where(telling, outside - NOMINAL, 0.0)
        common = missed.sum(axis=0) / np.maximum(series, 1)
        news = weight * series / (1.0 + series / INDEPENDENT_SERIES)
        shared_gain = news / (SHARED_PRIOR + self.shared_outcomes + news)
        differing = missed - telling * (series / (series + HALF_SHARED)) * common
        own_gain = weight / (OWN_PRIOR + self.own_outcomes)
        return Offsets(
            _bounded(self.shared + _step(shared_gain * common, weight)),
            np.minimum(self.shared_outcomes + news, SHARED_MEMORY),
            _bounded(self.own + _step(own_gain[:, None] * differing, weight)),
            np.minimum(self.own_outcomes + weight * telling.any(axis=1), OWN_MEMORY),
        )


def total(shared: Floats, own: Floats) -> Floats:
    """Shared and own offsets together, within what a correction may do."""
    return np.clip(shared + own, NARROWEST_OFFSET, WIDEST_OFFSET)


def outside(kept: Floats, middle: Floats, stretch: Floats, outcome: Floats) -> Bools:
    """Beyond which tracked quantiles an outcome fell, `(rows, tracked levels)`.

    `kept` `(rows, tracked levels)` are the quantiles, `middle` `(rows,)` their median, `stretch` what their distance
    from it is to be multiplied by before they are compared.
    """
    quantiles = middle[:, None] + (kept - middle[:, None]) * stretch
    return np.where(_UPPER, outcome[:, None] > quantiles, outcome[:, None] < quantiles)


def _step(missed: Floats, weight: float) -> Floats:
    return np.clip(missed / DENSITY, -weight * LARGEST_STEP, weight * LARGEST_STEP)


def _bounded(offsets: Floats) -> Floats:
    """Within the limits, also of a tail against its band; what lies beyond is not remembered either."""
    offsets = np.clip(offsets, NARROWEST_OFFSET, WIDEST_OFFSET)
    for outer, inner in ((0, 1), (-1, -2)):
        offsets[..., outer] = np.minimum(offsets[..., outer], np.maximum(offsets[..., inner], 0.0) + TAIL_REACH)
    return offsets


def _across_levels() -> Floats:
    """`(tracked levels, levels)`: offsets at all levels; those of one side act on that side only."""
    scores = np.interp(TRACKED_LEVELS, LEVEL_ROW, NORMAL_SCORES)
    carried = np.zeros((len(TRACKED_LEVELS), len(LEVELS)))
    lower, upper = NORMAL_SCORES < -1e-9, NORMAL_SCORES > 1e-9
    for place in range(len(TRACKED_LEVELS)):
        unit = np.eye(len(TRACKED_LEVELS))[place]
        carried[place, lower] = np.interp(NORMAL_SCORES[lower], scores[:2], unit[:2])
        carried[place, upper] = np.interp(NORMAL_SCORES[upper], scores[2:], unit[2:])
    return carried


#: `(tracked levels, levels)`: offsets at the tracked levels @ this = offsets at all levels.
ACROSS_LEVELS = _across_levels()
