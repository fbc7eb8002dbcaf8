"""How long pods take to come and to go, from the moment their number changes to when it is so."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from chaos.calibration.observed import Observed
from chaos.experiments.measured.rows import WorkloadRow

#: Rows further apart than this were not seen in between: what was under way then is not timed.
MOST_APART_S = 5.0


@dataclass(frozen=True, slots=True)
class Waits:
    """Seconds, those of one change together. `unended`: pods that were no longer wanted, or not there by the end."""

    groups: tuple[tuple[float, ...], ...]
    unended: int

    @property
    def count(self) -> int:
        return sum(map(len, self.groups))


def waits(service: str, runs: Sequence[Observed], way: Literal["up", "down"]) -> Waits:
    """Up: from desired replicas to ready ones. Down: from desired ones to pods that are gone.

    Pods are told apart by their number only: the fifth replica that is wanted is the fifth that is there. Changes while
    a fault is felt are left out, and those that begin before the one before is carried out but for what was under way.
    """
    groups: list[tuple[float, ...]] = []
    unended = 0
    for run in runs:
        timed = _Timed(run)
        timed.follow([_step(row, way) for row in run.workloads.get(service, ())])
        groups += [tuple(group) for group in timed.done.values()]
        unended += timed.unended + len(timed.under_way)
    return Waits(tuple(groups), unended)


@dataclass(frozen=True, slots=True)
class _Step:
    """`there` has to rise to `wanted`; downwards both are negative."""

    at_s: float
    wanted: int
    there: int


def _step(row: WorkloadRow, way: Literal["up", "down"]) -> _Step:
    return _Step(row.at_s, row.desired, row.ready) if way == "up" else _Step(row.at_s, -row.desired, -row.pods)


class _Timed:
    """Levels that are wanted and not there yet, since when; and how long the others took, by when they began."""

    def __init__(self, run: Observed) -> None:
        self._run = run
        self.under_way: dict[int, float] = {}
        self.done: dict[float, list[float]] = {}
        self.unended = 0

    def follow(self, steps: Sequence[_Step]) -> None:
        for before, now in pairwise(steps):
            if now.at_s - before.at_s > MOST_APART_S or not self._run.calm(now.at_s, now.at_s):
                self._forget(list(self.under_way))
                continue
            self._forget([level for level in self.under_way if level > now.wanted])
            # Something else is missing as well, or there is too much: nobody knows what comes for what.
            if before.there + len(self.under_way) == before.wanted:
                for level in range(before.wanted + 1, now.wanted + 1):
                    self.under_way[level] = now.at_s
            for level, since_s in list(self._reached(now.there)):
                self.done.setdefault(since_s, []).append(now.at_s - since_s)
                del self.under_way[level]

    def _reached(self, there: int) -> Iterator[tuple[int, float]]:
        return ((level, since_s) for level, since_s in self.under_way.items() if level <= there)

    def _forget(self, levels: Sequence[int]) -> None:
        for level in levels:
            del self.under_way[level]
        self.unended += len(levels)
