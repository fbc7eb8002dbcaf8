"""Slow correction of a forecaster's spread by what came true, lead by lead, for each series and for all together.

Quantile tracking with delayed feedback: each tracked quantile has an offset that rises when an outcome fell outside
and sinks a little when it did not (`forecasting.offsets`), so that in the long run the share outside is the nominal
one, whatever the model does. Offsets are capped; a flash sale is not calibration's business. Beside it, what was
measured: coverage of two bands, and skill against two baselines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from forecasting.forecast import LEVELS, Floats
from forecasting.history import Bools
from forecasting.offsets import ACROSS_LEVELS, TRACKED_LEVELS, Offsets, outside, total
from forecasting.quantiles import MEDIAN, lead_interpolation, pinball

#: Levels kept of every issued forecast: the tracked ones and the median.
KEPT_LEVELS: tuple[float, ...] = (0.01, 0.10, 0.50, 0.90, 0.99)
#: Levels at which losses are compared, and that are kept of both baselines.
SCORED_LEVELS: tuple[float, ...] = (0.10, 0.50, 0.90)
#: Coverage and skill are averages that forget with this many outcomes, and are told from this many on. The wide band
#: is told later: in 20 outcomes even a perfect one misses none, mostly.
MEMORY_OUTCOMES = 240.0
FEWEST_OUTCOMES = 20.0
FEWEST_FOR_TAILS = 60.0
#: A new forecast of a lead is kept when the last one is this share of the lead old: those between share its outcome.
LEAD_SHARE = 0.25
#: Outcomes closer than the lead, or than this many steps, are of one and the same jump or ramp, and count less.
APART_STEPS = 16.0
#: What is left of a row's experience once its series has drifted away from it.
AFTER_DRIFT = 0.25

_KEPT = [LEVELS.index(level) for level in KEPT_LEVELS]
_SCORED = [LEVELS.index(level) for level in SCORED_LEVELS]
_SCORED_ROW: Floats = np.asarray(SCORED_LEVELS)
#: Places in a waiting forecast: our kept levels, then seasonal naive's and the line's scored levels.
_NAIVE = slice(len(KEPT_LEVELS), len(KEPT_LEVELS) + len(SCORED_LEVELS))
_LINEAR = slice(_NAIVE.stop, _NAIVE.stop + len(SCORED_LEVELS))
_TRACKED_OF_KEPT = [KEPT_LEVELS.index(level) for level in TRACKED_LEVELS]
_SCORED_OF_KEPT = [KEPT_LEVELS.index(level) for level in SCORED_LEVELS]
_MIDDLE = KEPT_LEVELS.index(0.50)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was learned so far and which forecasts still wait for their outcome.

    `leads` are the tracked ones, in steps, `issued_at_s` `(leads,)` when one was last put aside. Offsets: `shared`
    `(leads, tracked levels)` by all series, `own` `(rows, leads, tracked levels)`, and the outcomes behind them,
    `(leads, tracked levels)` and `(rows, leads)`. Waiting forecasts: their time, the place of their lead and their
    weight `(waiting,)`, the shared offsets they were issued with `(waiting, tracked levels)` and their values `(rows,
    waiting, kept + 2 × scored levels)`: ours, seasonal naive's, the line's. `inside80`, `reached80`, `inside98`, the
    three losses and `outcomes` `(rows,)` are forgetting sums.
    """

    leads: tuple[int, ...]
    issued_at_s: Floats
    shared: Floats
    shared_outcomes: Floats
    own: Floats
    own_outcomes: Floats
    waiting_at_s: Floats
    waiting_lead: Floats
    waiting_weight: Floats
    waiting_shared: Floats
    waiting: Floats
    inside80: Floats
    reached80: Floats
    inside98: Floats
    loss: Floats
    naive_loss: Floats
    linear_loss: Floats
    outcomes: Floats

    @property
    def rows(self) -> int:
        return int(self.own.shape[0])

    @property
    def offsets(self) -> Floats:
        """Logarithms of what half-widths are multiplied by, `(rows, leads, tracked levels)`."""
        return total(self.shared, self.own)

    def coverage(self) -> Floats:
        """Share of outcomes inside the 80 % band, `(rows,)`, NaN before `FEWEST_OUTCOMES`."""
        return _share(self.inside80, self.outcomes, self.outcomes >= FEWEST_OUTCOMES)

    def reached(self) -> Floats:
        """Share of outcomes at or above the lower end of the 80 % band, `(rows,)`, NaN before `FEWEST_OUTCOMES`."""
        return _share(self.reached80, self.outcomes, self.outcomes >= FEWEST_OUTCOMES)

    def coverage98(self) -> Floats:
        """Share of outcomes inside the 98 % band, `(rows,)`, NaN before `FEWEST_FOR_TAILS`."""
        return _share(self.inside98, self.outcomes, self.outcomes >= FEWEST_FOR_TAILS)

    def skill(self) -> Floats:
        """1 - pinball / seasonal naive's pinball, `(rows,)`, NaN before `FEWEST_OUTCOMES` or if naive was perfect."""
        return self._skill_against(self.naive_loss)

    def skill_linear(self) -> Floats:
        """The same against `predict_linear`; NaN also where its quantiles were not given."""
        return self._skill_against(self.linear_loss)

    def _skill_against(self, baseline: Floats) -> Floats:
        told = (self.outcomes >= FEWEST_OUTCOMES) & (baseline > 0.0)
        return 1.0 - _share(self.loss, baseline, told)


def uncalibrated(rows: int, leads: tuple[int, ...], prior: Floats | None = None) -> Calibration:
    """Nothing learned, nothing waiting. `prior` `(leads, tracked levels)` are offsets to start from, as found in the
    backtest of a model."""
    none = np.zeros(rows)
    shared = np.zeros((len(leads), len(TRACKED_LEVELS))) if prior is None else np.asarray(prior, dtype=np.float64)
    return Calibration(
        leads=leads,
        issued_at_s=np.full(len(leads), -np.inf),
        shared=shared,
        shared_outcomes=np.zeros_like(shared),
        own=np.zeros((rows, len(leads), len(TRACKED_LEVELS))),
        own_outcomes=np.zeros((rows, len(leads))),
        waiting_at_s=np.zeros(0),
        waiting_lead=np.zeros(0),
        waiting_weight=np.zeros(0),
        waiting_shared=np.zeros((0, len(TRACKED_LEVELS))),
        waiting=np.zeros((rows, 0, _LINEAR.stop)),
        inside80=none,
        reached80=none,
        inside98=none,
        loss=none,
        naive_loss=none,
        linear_loss=none,
        outcomes=none,
    )


def corrected(quantiles: Floats, calibration: Calibration) -> Floats:
    """Forecast quantiles `(rows, steps, levels)` with their distances from the median stretched by the offsets."""
    offsets = calibration.offsets
    if not offsets.any():
        return quantiles
    stretch = lead_interpolation(calibration.leads, quantiles.shape[1]) @ np.exp(offsets @ ACROSS_LEVELS)
    middle = quantiles[:, :, MEDIAN, None]
    stretch *= quantiles - middle
    stretch += middle
    return np.asarray(stretch)


def issued(
    calibration: Calibration,
    quantiles: Floats,
    naive: Floats,
    last_at_s: float,
    step_s: float,
    linear: Floats | None = None,
) -> Calibration:
    """With this forecast added to those that wait for their outcome.

    `quantiles` `(rows, steps, levels)`, corrected; `naive` and `linear` `(rows, leads, levels)` are what seasonal naive
    and `predict_linear` say at the tracked leads. Give `linear` always or never.
    """
    age_steps = (last_at_s - calibration.issued_at_s) / step_s
    all_leads = np.asarray(calibration.leads, dtype=np.float64)
    places = np.flatnonzero(age_steps > LEAD_SHARE * all_leads - 0.5)
    if not places.size:
        return calibration
    issued_at_s = calibration.issued_at_s.copy()
    issued_at_s[places] = last_at_s
    weight = np.minimum(1.0, age_steps / np.maximum(all_leads, APART_STEPS))
    leads = np.asarray(calibration.leads)[places]
    ours = quantiles[:, leads - 1][:, :, _KEPT]
    line = np.full((*naive.shape[:2], len(LEVELS)), np.nan) if linear is None else linear
    kept = np.concatenate([ours, naive[:, places][:, :, _SCORED], line[:, places][:, :, _SCORED]], axis=2)
    return replace(
        calibration,
        issued_at_s=issued_at_s,
        waiting_at_s=np.append(calibration.waiting_at_s, last_at_s + step_s * leads),
        waiting_lead=np.append(calibration.waiting_lead, places.astype(np.float64)),
        waiting_weight=np.append(calibration.waiting_weight, weight[places]),
        waiting_shared=np.concatenate([calibration.waiting_shared, calibration.shared[places]]),
        waiting=np.concatenate([calibration.waiting, _small(kept)], axis=1),
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
    points = values.shape[1]
    for place in np.flatnonzero(due):
        column = points - 1 - round((last_at_s - float(calibration.waiting_at_s[place])) / step_s)
        if column < 0:
            continue  # older than the history given: nobody knows
        counted = known[:, column] & (True if censored is None else ~censored[:, column])
        counted &= ~np.isnan(calibration.waiting[:, place, 0])  # a series that was not there when this was issued
        calibration = _learned(calibration, int(place), np.where(counted, values[:, column], 0.0), counted)
    if not due.any():
        return calibration
    return replace(
        calibration,
        waiting_at_s=calibration.waiting_at_s[~due],
        waiting_lead=calibration.waiting_lead[~due],
        waiting_weight=calibration.waiting_weight[~due],
        waiting_shared=calibration.waiting_shared[~due],
        waiting=calibration.waiting[:, ~due],
    )


def forgetting(calibration: Calibration, drifted: Bools) -> Calibration:
    """With most of what the rows in `drifted` `(rows,)` had learned and measured discounted, so that what comes now
    counts more: their series are not what they were."""
    if not drifted.any():
        return calibration
    # What was told stays told: a forecaster that keeps losing its series must not escape judgement by that.
    kept = np.maximum(AFTER_DRIFT, np.minimum(1.0, (FEWEST_OUTCOMES + 0.5) / np.maximum(calibration.outcomes, 1.0)))
    left = np.where(drifted, kept, 1.0)
    return replace(
        calibration,
        own_outcomes=_small(calibration.own_outcomes * np.where(drifted, AFTER_DRIFT, 1.0)[:, None]),
        inside80=_small(calibration.inside80 * left),
        reached80=_small(calibration.reached80 * left),
        inside98=_small(calibration.inside98 * left),
        loss=_small(calibration.loss * left),
        naive_loss=_small(calibration.naive_loss * left),
        linear_loss=_small(calibration.linear_loss * left),
        outcomes=_small(calibration.outcomes * left),
    )


def selected(calibration: Calibration, rows: Sequence[int]) -> Calibration:
    """The state of some rows, -1 standing for a new one: it has what all share, and nothing waiting."""
    index = np.asarray(rows, dtype=np.intp)
    new = index < 0

    def taken(values: Floats, blank: float) -> Floats:
        if values.shape[0] == 0:
            return np.full((index.size, *values.shape[1:]), blank)
        chosen = values[np.maximum(index, 0)]
        chosen[new] = blank
        return chosen

    lasting: dict[str, Any] = {name: taken(getattr(calibration, name), 0.0) for name in _LASTING}
    return replace(calibration, waiting=taken(calibration.waiting, np.nan), **lasting)


def rejoined(calibration: Calibration, first: int, old: Calibration) -> Calibration:
    """With the rows from `first` on as they are in `old`, except for what waits there: outcomes of before are lost."""
    lasting: dict[str, Any] = {
        name: np.concatenate([getattr(calibration, name)[:first], getattr(old, name)]) for name in _LASTING
    }
    return replace(calibration, **lasting)


#: What a row has learned and measured for good.
_LASTING = ("own", "own_outcomes", "inside80", "reached80", "inside98", "loss", "naive_loss", "linear_loss", "outcomes")


def _learned(calibration: Calibration, place: int, outcome: Floats, counted: Bools) -> Calibration:
    """With one waiting forecast's outcome, `(rows,)`, taken in where it counts."""
    lead = int(calibration.waiting_lead[place])
    waiting = calibration.waiting[:, place]
    ours, middle = waiting[:, _TRACKED_OF_KEPT], waiting[:, _MIDDLE]
    offsets = Offsets(
        calibration.shared[lead],
        calibration.shared_outcomes[lead],
        calibration.own[:, lead],
        calibration.own_outcomes[:, lead],
    )
    # Judged as it would be issued now: what was learned since must not be learned again from every forecast that waits.
    since = np.exp(offsets.total() - total(calibration.waiting_shared[place], offsets.own))
    # Where there is no width, no stretch makes one.
    telling = counted[:, None] & (ours != middle[:, None])
    weight = float(calibration.waiting_weight[place])
    moved = offsets.after(outside(ours, middle, since, outcome), telling, weight)

    def scored(quantiles: Floats) -> Floats:
        return pinball(quantiles, _SCORED_ROW, outcome)

    def added(name: str, news: Floats | Bools | float) -> Floats:
        before: Floats = getattr(calibration, name)
        return _small(np.where(counted, before * (1.0 - 1.0 / MEMORY_OUTCOMES) + news, before))

    shared, shared_outcomes = calibration.shared.copy(), calibration.shared_outcomes.copy()
    own, own_outcomes = calibration.own.copy(), calibration.own_outcomes.copy()
    shared[lead], shared_outcomes[lead] = moved.shared, moved.shared_outcomes
    own[:, lead], own_outcomes[:, lead] = moved.own, moved.own_outcomes
    return replace(
        calibration,
        shared=_small(shared),
        shared_outcomes=_small(shared_outcomes),
        own=_small(own),
        own_outcomes=_small(own_outcomes),
        inside80=added("inside80", (outcome >= ours[:, 1]) & (outcome <= ours[:, 2])),
        reached80=added("reached80", outcome >= ours[:, 1]),
        inside98=added("inside98", (outcome >= ours[:, 0]) & (outcome <= ours[:, 3])),
        loss=added("loss", scored(waiting[:, _SCORED_OF_KEPT])),
        naive_loss=added("naive_loss", scored(waiting[:, _NAIVE])),
        linear_loss=added("linear_loss", scored(waiting[:, _LINEAR])),
        outcomes=added("outcomes", 1.0),
    )


def _share(part: Floats, whole: Floats, told: Bools) -> Floats:
    return np.where(told, part / np.where(told, whole, 1.0), np.nan)


def _small(values: Floats) -> Floats:
    """To float32 precision, so that a dump of the state is small and exact."""
    return values.astype(np.float32).astype(np.float64)
