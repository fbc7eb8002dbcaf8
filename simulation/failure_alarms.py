"""Alarms out of scores: raised after so many looks in a row, taken back with hysteresis, judged by the labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from forecasting.alarm_evidence import confirmations
from forecasting.history import Bools, Ints
from simulation.failure_episodes import Panel
from simulation.failure_methods import Scores, Thresholds

#: How many looks in a row an alarm may ask for.
CONFIRMED = (1, 2, 3, 5, 8)
#: The same signal raised again within so long is still the same alarm.
SAME_ALARM_POINTS = 60
#: There is no alarm.
NEVER = -1


class Setting(NamedTuple):
    """Places of what was chosen for a method: its variant, its threshold and how many looks in a row."""

    variant: int
    act: int
    confirmed: int


@dataclass(frozen=True, slots=True)
class Tally:
    """What a method's alarms were worth in some episodes under every setting.

    `false_alarms` counts those raised while nothing led to a failure; `leads` is the time from the first true alarm to
    the failure in points, `NEVER` where there is none. Both `(variants, acts, confirmed, episodes)`.
    """

    false_alarms: NDArray[np.int16]
    leads: NDArray[np.int16]

    def under(self, settings: Sequence[Setting]) -> Outcome:
        """What came of it with one setting for each episode."""
        chosen = tuple(np.asarray(places, dtype=np.intp) for places in zip(*settings, strict=True))
        every = np.arange(len(settings))
        return Outcome(self.false_alarms[*chosen, every].astype(np.intp), self.leads[*chosen, every].astype(np.intp))

    def of(self, rows: Bools) -> Tally:
        """The tally of some episodes."""
        return Tally(self.false_alarms[..., rows], self.leads[..., rows])


@dataclass(frozen=True, slots=True)
class Outcome:
    """False alarms of each episode, and points from its first true alarm to its failure, `NEVER` without one."""

    false_alarms: Ints
    leads: Ints


def tallied(panel: Panel, scores: Scores, thresholds: Thresholds) -> Tally:
    """All settings at once; `scores` `(variants, episodes, watched columns)`."""
    shape = (scores.shape[0], len(thresholds.acts), len(CONFIRMED), scores.shape[1])
    false_alarms, leads = np.zeros(shape, dtype=np.int16), np.full(shape, NEVER, dtype=np.int16)
    for variant, of_variant in enumerate(scores):
        # A score that never comes near any threshold raises no alarm.
        highest = np.nan_to_num(of_variant, nan=-np.inf).max(axis=1)
        rows = np.flatnonzero(highest >= min(thresholds.acts))
        if rows.size:
            found = _of_variant(panel, of_variant, thresholds, rows)
            false_alarms[variant][:, :, rows], leads[variant][:, :, rows] = found
    return Tally(false_alarms, leads)


def _of_variant(
    panel: Panel, scores: Scores, thresholds: Thresholds, rows: Ints
) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    acts = np.asarray(thresholds.acts)[:, None]
    releases = acts * thresholds.release_ratio
    asked = np.asarray(CONFIRMED)[None, :, None]
    shape = (acts.size, len(CONFIRMED), rows.size)
    counts = np.zeros((acts.size, rows.size), dtype=np.intp)
    raised = np.zeros(shape, dtype=bool)
    raised_at = np.full(shape, -SAME_ALARM_POINTS, dtype=np.intp)
    false_alarms, leads = np.zeros(shape, dtype=np.int16), np.full(shape, NEVER, dtype=np.int16)
    onsets, failures, ends = panel.onsets[rows], panel.failures[rows], panel.ends[rows]
    for place in range(scores.shape[1]):
        column = panel.watched_from + place
        asked_now = np.flatnonzero((column < ends) & np.isfinite(scores[rows, place]))
        if asked_now.size == 0:
            continue
        count = confirmations(counts[:, asked_now], scores[rows[asked_now], place], acts, releases)
        counts[:, asked_now] = count
        before = raised[:, :, asked_now]
        due = count[:, None] >= asked
        new, now = due & ~before, (before | due) & (count > 0)[:, None]
        raised[:, :, asked_now] = now
        true = (column >= onsets[asked_now]) & (column < failures[asked_now])
        if new.any():
            at = raised_at[:, :, asked_now]
            false_alarms[:, :, asked_now] += new & ~true & (column - at >= SAME_ALARM_POINTS)
            raised_at[:, :, asked_now] = np.where(new, column, at)
        if true.any():
            lead = leads[:, :, asked_now]
            leads[:, :, asked_now] = np.where(now & true & (lead == NEVER), failures[asked_now] - column, lead)
    return false_alarms, leads
