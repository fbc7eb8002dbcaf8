"""When clients were down: seconds, and the spells that they form."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from simulation.result import ClientSeconds, Counts

Flags = NDArray[np.bool_]

WINDOW_S = 10  # one-second bins at demo rates are sampling noise
LEAST_BAD = 5  # bad requests in the window
BAD_RATIO = 0.01  # of the window's answered requests
CLEAN_S = 30  # without a down second ends a spell


@dataclass(frozen=True, slots=True)
class Health:
    """Each second as clients saw it, `(seconds,)`. Without traffic in its window a second is neither up nor down."""

    down: Flags
    known: Flags

    @property
    def downtime_s(self) -> int:
        return int(self.down.sum())


@dataclass(frozen=True, slots=True)
class Spell:
    """Down seconds with less than `CLEAN_S` between them, `[start_s, end_s)`.

    `recovered` is False when the run ended before `CLEAN_S` seconds without a down second were seen.
    """

    start_s: int
    end_s: int
    recovered: bool


def health(client: ClientSeconds) -> Health:
    """A second is down when its trailing 10 s hold at least 5 and more than 1 % bad requests.

    Bad is failed or slower than the class's SLO latency, of the requests that were answered or failed; requests still
    in flight at the end of the run are in neither. The first seconds look back as far as the run goes.
    """
    settled = np.asarray((client.ok + client.failed).sum(axis=0))
    bad, total = _trailing(client.bad), _trailing(settled)
    return Health(down=(bad >= LEAST_BAD) & (bad > BAD_RATIO * total), known=total > 0)


def spells(seen: Health) -> tuple[Spell, ...]:
    """The outages of a run, in order."""
    down_at = np.flatnonzero(seen.down)
    if not down_at.size:
        return ()
    found = []
    start = last = int(down_at[0])
    for second in map(int, down_at[1:]):
        if _clean(seen, last + 1, second):
            found.append(Spell(start, last + 1, recovered=True))
            start = second
        last = second
    found.append(Spell(start, last + 1, recovered=_clean(seen, last + 1, seen.down.size)))
    return tuple(found)


def _clean(seen: Health, start: int, end: int) -> bool:
    """Long enough without a down second, and not merely without traffic."""
    return end - start >= CLEAN_S and bool(seen.known[start:end].any())


def _trailing(counts: Counts) -> Counts:
    sums = np.concatenate(([0], np.cumsum(counts)))
    first = np.maximum(np.arange(1, sums.size) - WINDOW_S, 0)
    return np.asarray(sums[1:] - sums[first])
