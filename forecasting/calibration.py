"""Slow correction of a forecaster's spread by what came true, lead by lead, for each series and for all together.

Quantile tracking with delayed feedback (the proportional term of conformal PID): each quantile has an offset, in units
of the forecast's own half-width, that rises when an outcome fell outside and sinks a little when it did not. In the
long run the share outside is then the nominal one, whatever the model does. Offsets are capped; a flash sale is
not calibration's business. Beside it, measured coverage and skill.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools
from forecasting.quantiles import LEVEL_ROW, MEDIAN, NORMAL_SCORES, lead_interpolation, pinball

#: Levels whose offsets are tracked. The ones between are interpolated on the normal-score axis.
TRACKED_LEVELS: tuple[float, ...] = (0.02, 0.10, 0.90, 0.98)
#: Levels kept of every issued forecast: the tracked ones and the median, for coverage and skill.
KEPT_LEVELS: tuple[float, ...] = (0.02, 0.10, 0.50, 0.90, 0.98)
#: Rise of an offset, in half-widths, for one outcome outside.
RATE = 0.02
#: The same for the mean over all series, which move together: what is learned of one helps the others.
SHARED_RATE = 0.2
#: A batch of this many series shares half of that; one series alone is too noisy for it.
HALF_SHARED = 4.0
NARROWEST_OFFSET, WIDEST_OFFSET = -0.3, 2.0
#: Coverage and skill are averages that forget with this many outcomes, and are told from this many on.
MEMORY_OUTCOMES = 240.0
FEWEST_OUTCOMES = 20.0

_KEPT = [LEVELS.index(level) for level in KEPT_LEVELS]
_KEPT_ROW: Floats = np.asarray(KEPT_LEVELS)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learned so far and which forecasts still wait for their outcome.

    `leads` are the tracked ones, in steps. `offsets` `(rows, leads, tracked levels)`. Waiting forecasts: their time
    `(waiting,)`, the place of their lead `(waiting,)` and values `(rows, waiting, 2, kept levels)`, ours and seasonal
    naive's. `inside`, `loss`, `naive_loss` and `outcomes` `(rows,)` are forgetting sums.
    """

    leads: tuple[int, ...]
    offsets: Floats
    waiting_at_s: Floats
    waiting_lead: Floats
    waiting: Floats
    inside: Floats
    loss: Floats
    naive_loss: Floats
    outcomes: Floats

    @property
    def rows(self) -> int:
        return int(self.offsets.shape[0])

    def coverage(self) -> Floats:
        """Share of outcomes inside the 80 % band, `(rows,)`, NaN before `FEWEST_OUTCOMES`."""
        told = self.outcomes >= FEWEST_OUTCOMES
        return np.where(told, self.inside / np.maximum(self.outcomes, 1.0), np.nan)

    def skill(self) -> Floats:
        """1 - pinball / seasonal naive's pinball, `(rows,)`, NaN before `FEWEST_OUTCOMES` or if naive was perfect."""
        told = (self.outcomes >= FEWEST_OUTCOMES) & (self.naive_loss > 0.0)
        return np.where(told, 1.0 - self.loss / np.where(told, self.naive_loss, 1.0), np.nan)


def uncalibrated(rows: int, leads: tuple[int, ...]) -> Calibration:
    """No corrections, nothing waiting."""
    none = np.zeros(rows)
    return Calibration(
        leads=leads,
        offsets=np.zeros((rows, len(leads), len(TRACKED_LEVELS))),
        waiting_at_s=np.zeros(0),
        waiting_lead=np.zeros(0),
        waiting=np.zeros((rows, 0, 2, len(KEPT_LEVELS))),
        inside=none,
        loss=none,
        naive_loss=none,
        outcomes=none,
    )


def corrected(quantiles: Floats, calibration: Calibration) -> Floats:
    """Forecast quantiles `(rows, steps, levels)` with their distances from the median stretched by the offsets."""
    if not calibration.offsets.any():
        return quantiles
    stretch = lead_interpolation(calibration.leads, quantiles.shape[1]) @ (calibration.offsets @ _ACROSS_LEVELS)
    middle = quantiles[:, :, MEDIAN, None]
    stretch += 1.0
    stretch *= quantiles - middle
    stretch += middle
    return np.asarray(stretch)


def issued(calibration: Calibration, quantiles: Floats, naive: Floats, last_at_s: float, step_s: float) -> Calibration:
    """With this forecast added to those that wait for their outcome.

    `quantiles` `(rows, steps, levels)`; `naive` `(rows, leads, levels)` is seasonal naive's at the tracked leads.
    """
    places = [lead - 1 for lead in calibration.leads]
    both = np.stack([quantiles[:, places][:, :, _KEPT], naive[:, :, _KEPT]], axis=2)
    # Stored as float32, so that a dump of the state is small and exact.
    both = both.astype(np.float32).astype(np.float64)
    return replace(
        calibration,
        waiting_at_s=np.append(calibration.waiting_at_s, last_at_s + step_s * np.asarray(calibration.leads)),
        waiting_lead=np.append(calibration.waiting_lead, np.arange(len(calibration.leads), dtype=np.float64)),
        waiting=np.concatenate([calibration.waiting, both], axis=1),
    )


def observed(
    calibration: Calibration,
    values: Floats,
    known: Bools,
    last_at_s: float,
    step_s: float,
    censored: Bools | None = None,
) -> Calibration:
    """With all outcomes taken in that are known by now, and dropped from those that wait.

    `values` and `known` `(rows, points)` end at `last_at_s`. Outcomes marked in `censored` (saturated demand, windows
    of a failure that was acted on) say nothing about the forecast and do not count; nor do unknown ones.
    """
    due = calibration.waiting_at_s <= last_at_s + 0.5 * step_s
    if not due.any():
        return calibration
    offsets = calibration.offsets.copy()
    sums = np.stack([calibration.inside, calibration.loss, calibration.naive_loss, calibration.outcomes])
    keep = 1.0 - 1.0 / MEMORY_OUTCOMES
    points = values.shape[1]
    for place in np.flatnonzero(due):
        column = points - 1 - round((last_at_s - float(calibration.waiting_at_s[place])) / step_s)
        if column < 0:
            continue  # older than the history given: nobody knows
        counted = known[:, column] & (True if censored is None else ~censored[:, column])
        ours, naive = calibration.waiting[:, place, 0], calibration.waiting[:, place, 1]
        counted &= ~np.isnan(ours[:, 0])  # a series that was not there when this was issued
        outcome = np.where(counted, values[:, column], 0.0)
        lead = int(calibration.waiting_lead[place])
        moved = _moved_offsets(offsets[:, lead], ours, outcome, counted)
        offsets[counted, lead] = moved[counted]
        news = np.stack(
            [
                (outcome >= ours[:, 1]) & (outcome <= ours[:, 3]),
                pinball(ours, _KEPT_ROW, outcome),
                pinball(naive, _KEPT_ROW, outcome),
                np.ones(calibration.rows),
            ]
        )
        sums = np.where(counted, sums * keep + news, sums)
    return replace(
        calibration,
        offsets=offsets,
        waiting_at_s=calibration.waiting_at_s[~due],
        waiting_lead=calibration.waiting_lead[~due],
        waiting=calibration.waiting[:, ~due],
        inside=sums[0],
        loss=sums[1],
        naive_loss=sums[2],
        outcomes=sums[3],
    )


def selected(calibration: Calibration, rows: Sequence[int]) -> Calibration:
    """The state of some rows, -1 standing for a new one: it starts from what the others learned on average, and has
    nothing waiting."""
    index = np.asarray(rows, dtype=np.intp)
    new = index < 0

    def taken(values: Floats, blank: Floats | float) -> Floats:
        if values.shape[0] == 0:
            return np.full((index.size, *values.shape[1:]), blank)
        chosen = values[np.maximum(index, 0)]
        chosen[new] = blank
        return chosen

    return replace(
        calibration,
        offsets=taken(calibration.offsets, _learned_by_all(calibration)),
        waiting=taken(calibration.waiting, np.nan),
        inside=taken(calibration.inside, 0.0),
        loss=taken(calibration.loss, 0.0),
        naive_loss=taken(calibration.naive_loss, 0.0),
        outcomes=taken(calibration.outcomes, 0.0),
    )


def _learned_by_all(calibration: Calibration) -> Floats | float:
    """Mean offsets of the series that have had outcomes, `(leads, tracked levels)`."""
    measured = calibration.outcomes > 0.0
    return np.asarray(calibration.offsets[measured].mean(axis=0)) if measured.any() else 0.0


def _moved_offsets(offsets: Floats, kept: Floats, outcome: Floats, counted: Bools) -> Floats:
    """Offsets `(rows, tracked levels)` after one outcome: up when it fell outside at that level, else down a little."""
    tracked = kept[:, [0, 1, 3, 4]]
    levels = np.asarray(TRACKED_LEVELS)
    upper = levels > 0.5
    outside = np.where(upper, outcome[:, None] > tracked, outcome[:, None] < tracked)
    nominal = np.where(upper, 1.0 - levels, levels)
    missed = outside - nominal
    series = int(counted.sum())
    shared = SHARED_RATE / (series + HALF_SHARED) * missed[counted].sum(axis=0)
    return np.asarray(np.clip(offsets + RATE * missed + shared, NARROWEST_OFFSET, WIDEST_OFFSET))


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


_ACROSS_LEVELS = _across_levels()
