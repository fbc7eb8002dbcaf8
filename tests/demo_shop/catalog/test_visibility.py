"""The heartbeat over a primary and a standby in memory."""

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from demo_shop.catalog.visibility import Heartbeat, Rhythm, VisibilityMetrics
from demo_shop.frame.metrics import Metrics
from demo_shop.frame.problems import StoreUnavailable


class Members:
    """A primary, and a standby that shows a write after some looks, each of which takes a tenth of a second."""

    def __init__(self, looks_until_shown: int = 0) -> None:
        self.now_s = 100.0
        self.sequence = 0
        self.our_turn = self.primary_there = self.standby_there = True
        self.standby_asked = 0
        self._looks_left = self._looks_until_shown = looks_until_shown

    async def rows(self, query: str, parameters: Any) -> list[dict[str, int]]:
        if not self.primary_there:
            raise StoreUnavailable("primary")
        if not self.our_turn:
            return []
        self.sequence += 1
        self._looks_left = self._looks_until_shown
        return [{"sequence": self.sequence}]

    @asynccontextmanager
    async def connection(self, timeout_s: float) -> AsyncIterator["Members"]:
        self.standby_asked += 1
        if not self.standby_there:
            raise StoreUnavailable("standby")
        yield self

    async def execute(self, query: str) -> "Members":
        self.now_s += 0.1
        return self

    async def fetchone(self) -> dict[str, int]:
        self._looks_left -= 1
        return {"sequence": self.sequence if self._looks_left < 0 else self.sequence - 1}


def heartbeat(members: Members) -> tuple[Heartbeat, VisibilityMetrics]:
    metrics = VisibilityMetrics(Metrics().registry)
    stores: Any = members
    rhythm = Rhythm(first_look_s=0.0, longest_look_s=0.0, give_up_s=30.0)
    return Heartbeat(stores, stores, metrics, lambda: members.now_s, rhythm), metrics


def last_s(metrics: VisibilityMetrics) -> float:
    (family,) = metrics.last_s.collect()
    return family.samples[0].value


def test_the_delay_counts_until_the_standby_shows_the_write() -> None:
    beats, metrics = heartbeat(Members(looks_until_shown=3))

    delay_s = asyncio.run(beats.beat())

    assert delay_s is not None
    assert round(delay_s, 6) == 0.4  # three looks in vain and the fourth
    assert last_s(metrics) == delay_s


def test_a_standby_that_hangs_back_is_given_up_at_thirty_seconds() -> None:
    beats, _ = heartbeat(Members(looks_until_shown=10_000))

    delay_s = asyncio.run(beats.beat())

    assert delay_s is not None
    assert 30.0 <= delay_s < 30.2


def test_who_does_not_write_does_not_measure() -> None:
    members = Members()
    members.our_turn = False
    beats, metrics = heartbeat(members)

    assert asyncio.run(beats.beat()) is None
    assert math.isnan(last_s(metrics))
    assert members.standby_asked == 0


def test_without_a_standby_the_delay_is_unknown() -> None:
    members = Members()
    beats, metrics = heartbeat(members)
    asyncio.run(beats.beat())

    members.standby_there = False

    assert asyncio.run(beats.beat()) is None
    assert math.isnan(last_s(metrics))


def test_without_a_primary_the_delay_is_unknown() -> None:
    members = Members()
    members.primary_there = False
    beats, _ = heartbeat(members)

    assert asyncio.run(beats.beat()) is None


def test_a_missing_standby_is_looked_for_every_five_seconds() -> None:
    members = Members()
    members.standby_there = False
    beats, _ = heartbeat(members)

    for second in range(100, 111):
        members.now_s = float(second)
        asyncio.run(beats.beat())

    assert members.standby_asked == 3  # at 100, 105 and 110
    assert members.sequence == 11  # while the heartbeat goes on
