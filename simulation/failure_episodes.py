"""Labelled series of failure signals: what is watched, from when, when trouble begins and when the limit is reached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.failures import SignalKind
from forecasting.forecast import Floats
from forecasting.history import Ints

STEP_S = 60.0
#: A day before the first evaluation, so that daily cycles are known.
HISTORY_POINTS = 1440
WEEK_POINTS = 7 * 1440

#: Benchmark seeds begin here: shipped scenarios use small ones, the training corpus those from 1,000,000.
FIRST_SEED = 2_000_000


@dataclass(frozen=True, slots=True)
class Episode:
    """One signal of one workload at 60 s.

    `values` `(points,)` end at the failure, which is the first point at or beyond `limit`. From `onset` on, what leads
    to it is under way; before it, and in an episode without failure anywhere, an alarm is false. Methods are asked from
    `watched_from` on. `source` is shop (simulated), generator, or the data set that it was taken from.
    """

    name: str
    workload: str
    kind: SignalKind
    source: str
    shape: str
    values: Floats
    limit: float
    watched_from: int
    onset: int | None = None
    failure: int | None = None

    @property
    def fails(self) -> bool:
        return self.failure is not None

    @property
    def watched_points(self) -> int:
        return self.values.size - self.watched_from


@dataclass(frozen=True, slots=True)
class Panel:
    """Episodes on one clock, on which all of them begin to be watched at column `watched_from`.

    `values` `(episodes, columns)`, NaN outside an episode. `ends`, `onsets` and `failures` `(episodes,)` are columns:
    the end is exclusive, the other two lie beyond every column where there is none.
    """

    episodes: tuple[Episode, ...]
    values: Floats
    limits: Floats
    watched_from: int
    ends: Ints
    onsets: Ints
    failures: Ints

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(episode.name for episode in self.episodes)

    @property
    def columns(self) -> int:
        return int(self.values.shape[1])

    @property
    def fails(self) -> np.ndarray[tuple[int, ...], np.dtype[np.bool_]]:
        return np.asarray([episode.fails for episode in self.episodes], dtype=bool)


def panel_of(episodes: Sequence[Episode]) -> Panel:
    """The episodes side by side, shifted so that all are watched from the same column on."""
    first = max(episode.watched_from for episode in episodes)
    shifts = [first - episode.watched_from for episode in episodes]
    columns = max(shift + episode.values.size for shift, episode in zip(shifts, episodes, strict=True))
    values = np.full((len(episodes), columns), np.nan)
    for row, (shift, episode) in enumerate(zip(shifts, episodes, strict=True)):
        values[row, shift : shift + episode.values.size] = episode.values
    never = columns + WEEK_POINTS

    def column(place: int | None, shift: int) -> int:
        return never if place is None else place + shift

    return Panel(
        episodes=tuple(episodes),
        values=values,
        limits=np.asarray([episode.limit for episode in episodes]),
        watched_from=first,
        ends=np.asarray([s + e.values.size for s, e in zip(shifts, episodes, strict=True)], dtype=np.intp),
        onsets=np.asarray([column(e.onset, s) for s, e in zip(shifts, episodes, strict=True)], dtype=np.intp),
        failures=np.asarray([column(e.failure, s) for s, e in zip(shifts, episodes, strict=True)], dtype=np.intp),
    )


def ending_at_failure(values: Floats, limit: float) -> tuple[Floats, int | None]:
    """The values up to the first one at or beyond the limit, and its place, None where the limit is never reached."""
    beyond = np.flatnonzero(values >= limit)
    if beyond.size == 0:
        return values, None
    return values[: int(beyond[0]) + 1], int(beyond[0])
