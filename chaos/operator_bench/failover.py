"""How long nobody leads when the leading replica of a running operator is killed, or stopped as by a rollout.

    python -m chaos.operator_bench.failover_command --cluster NAME --how killed --times 10

Two moments of each handover are measured from the kill on: the Lease has another holder; and that one has *acted*. That
is its first write behind the fence: at the end of its first whole tick it makes itself the holder of the intents, and
before that it may change nothing. Kills come at random moments of the leader's tick.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from chaos.shop_bench.figure import Figure, quantile

TICK_S = 15.0
LIMIT_S = 180.0  # a handover that takes longer has failed
LOOK_S = 0.1

#: Of each way to end a leader: at least and aim, in seconds.
LIMITS = {"killed": (25.0, 19.0), "stopped": (5.0, 3.0)}


class How(StrEnum):
    """How a leader ends."""

    KILLED = "killed"  # its process, at once and unasked
    STOPPED = "stopped"  # its pod is deleted: SIGTERM, and time to leave


class FailoverFailed(Exception):
    """Nobody took over in time, or there was nobody to take over; the text says what was seen."""


class LiveOperator(Protocol):
    """A running operator of at least two replicas, by the identities in its Lease: a restarted process has another."""

    def leader(self) -> str | None:
        """Identity that holds the Lease; None: nobody."""
        ...

    def acted(self) -> str | None:
        """Identity of the last replica that finished its first tick as the leader."""
        ...

    def ready(self) -> bool:
        """Whether all replicas are there and could take over."""
        ...

    def end(self, leader: str, how: How) -> None:
        """Returns as soon as it is told; the process may take its time."""
        ...


@dataclass(frozen=True, slots=True)
class Handover:
    """Seconds from the end of `before` on."""

    how: How
    before: str
    after: str
    led_s: float  # until another held the Lease
    acted_s: float  # until it had acted


@dataclass(frozen=True, slots=True)
class Clocks:
    now_s: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


def handovers(
    operator: LiveOperator, how: How, times: int, rng: random.Random, clocks: Clocks | None = None
) -> Iterator[Handover]:
    """One after the other, each once all replicas are ready again. Raises `FailoverFailed`."""
    watch = clocks or Clocks()
    for _ in range(times):
        before = _settled(operator, watch)
        watch.sleep(rng.uniform(0.0, TICK_S))
        began_s = watch.now_s()
        operator.end(before, how)
        another = _other_than(before)
        _, led_s = _until(f"another leader than {before}", operator.leader, another, began_s, watch)
        after, acted_s = _until(f"an act after {before}", operator.acted, another, began_s, watch)
        yield Handover(how, before, after, led_s, acted_s)


def figure(found: list[Handover], how: How) -> Figure:
    """The 95th percentile of the time until another replica had acted."""
    at_least, aim = LIMITS[how]
    acted = [one.acted_s for one in found]
    detail = {
        "times": len(found),
        "acted_s": [round(one.acted_s, 2) for one in found],
        "led_s": [round(one.led_s, 2) for one in found],
        "median_s": round(quantile(acted, 0.5), 2) if acted else None,
    }
    name = f"leader {how.value}: another replica has acted, p95 of {len(found)}"
    return Figure(name, quantile(acted, 0.95) if acted else None, "s", at_least, aim, detail=detail)


def _settled(operator: LiveOperator, clocks: Clocks) -> str:
    """The identity that leads once it has acted and all replicas are ready."""

    def leader() -> str | None:
        found = operator.leader()
        return found if found is not None and found == operator.acted() and operator.ready() else None

    return _until("a leader that has acted, with all replicas ready", leader, bool, clocks.now_s(), clocks)[0]


def _other_than(ended: str) -> Callable[[str], bool]:
    return lambda seen: seen != ended


def _until(
    what: str,
    look: Callable[[], str | None],
    wanted: Callable[[str], bool],
    began_s: float,
    clocks: Clocks,
) -> tuple[str, float]:
    """Who was seen when it was one as wanted, and how long after `began_s`."""
    while True:
        seen = look()
        passed_s = clocks.now_s() - began_s
        if seen is not None and wanted(seen):
            return seen, passed_s
        if passed_s > LIMIT_S:
            raise FailoverFailed(f"{what}: not within {LIMIT_S:g} s; last seen: {seen}")
        clocks.sleep(LOOK_S)
