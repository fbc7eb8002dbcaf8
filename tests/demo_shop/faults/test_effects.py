import asyncio
import os
from pathlib import Path

import pytest

from demo_shop.faults.board import FaultBoard, UnknownFault
from demo_shop.faults.catalogue import FaultName, catalogue_of
from demo_shop.faults.crash import PodCrash
from demo_shop.faults.effects import FaultEffects
from demo_shop.faults.fault import Fault, FaultRequest
from demo_shop.faults.memory_leak import MIB, MemoryLeak
from demo_shop.faults.pool_creep import PoolCreep
from demo_shop.settings import Role

START_S = 1_000.0


def fault(name: FaultName, magnitude: float, *, ramp_s: float = 0.0, duration_s: float = 600.0) -> Fault:
    return Fault(name, magnitude, ramp_s, duration_s, 0, START_S)


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_leak_shows_in_resident_memory_and_is_given_back() -> None:
    leak = MemoryLeak()
    before = resident_bytes()

    asyncio.run(leak.hold(fault(FaultName.MEMORY_LEAK, 60.0), START_S + 5))  # 1 MiB/s for 5 s
    grown = resident_bytes() - before
    asyncio.run(leak.end())
    left = resident_bytes() - before

    assert leak.held_bytes == 0
    assert 4.5 * MIB < grown < 8 * MIB
    assert left < 2 * MIB


def test_a_leak_grows_with_time_and_not_with_looks() -> None:
    leak = MemoryLeak()
    slow = fault(FaultName.MEMORY_LEAK, 60.0)

    for _ in range(3):
        asyncio.run(leak.hold(slow, START_S + 2))

    assert leak.held_bytes == 2 * MIB
    asyncio.run(leak.end())


class Pool:
    def __init__(self, size: int) -> None:
        self.free, self.taken = size, 0

    async def take_away(self) -> bool:
        if self.free == 0:
            return False
        self.free, self.taken = self.free - 1, self.taken + 1
        return True

    async def give_all_back(self) -> None:
        self.free, self.taken = self.free + self.taken, 0


def test_connections_are_lost_one_by_one() -> None:
    pool = Pool(8)
    creep = PoolCreep(pool)
    losing = fault(FaultName.POOL_CREEP, 2.0)  # one every 30 s

    taken = []
    for t in (0, 29, 30, 59, 60, 100):
        asyncio.run(creep.hold(losing, START_S + t))
        taken.append(pool.taken)

    assert taken == [0, 0, 1, 1, 2, 3]


def test_an_exhausted_pool_is_asked_again_and_gets_everything_back() -> None:
    pool = Pool(2)
    creep = PoolCreep(pool)
    losing = fault(FaultName.POOL_CREEP, 60.0)  # one a second

    asyncio.run(creep.hold(losing, START_S + 5))
    assert pool.taken == 2
    pool.free += 1  # a request gave one back
    asyncio.run(creep.hold(losing, START_S + 5))
    assert pool.taken == 3

    asyncio.run(creep.end())
    assert (pool.taken, pool.free) == (0, 3)


def crashes(magnitude: float, ramp_s: float, after_s: float) -> bool:
    crashed: list[bool] = []
    crash = PodCrash(lambda: crashed.append(True))
    asyncio.run(crash.hold(fault(FaultName.POD_CRASH, magnitude, ramp_s=ramp_s), START_S + after_s))
    return bool(crashed)


@pytest.mark.parametrize(
    ("magnitude", "ramp_s", "after_s", "expected"),
    [
        pytest.param(1.0, 0.0, 0.1, False, id="the-answer-goes-out-first"),
        pytest.param(1.0, 0.0, 0.3, True, id="then-it-crashes"),
        pytest.param(1.0, 10.0, 9.9, False, id="not-before-the-ramp-is-over"),
        pytest.param(1.0, 10.0, 10.0, True, id="at-the-end-of-the-ramp"),
        pytest.param(0.0, 0.0, 5.0, False, id="no-pod"),
    ],
)
def test_a_crash_comes_once_the_ramp_is_over(magnitude: float, ramp_s: float, after_s: float, expected: bool) -> None:
    assert crashes(magnitude, ramp_s, after_s) is expected


class Stand:
    """Effects of a catalogue process, driven by hand."""

    def __init__(self, pool: Pool | None = None) -> None:
        self.board = FaultBoard(catalogue_of(Role.CATALOG), lambda: START_S)
        self.effects = FaultEffects(self.board, pool)
        self.lost: list[float] = []

    async def lose(self, share: float) -> None:
        self.lost.append(share)

    def tick(self, after_s: float) -> None:
        asyncio.run(self.effects.tick(START_S + after_s))


def test_a_cache_loses_its_share_once() -> None:
    stand = Stand()
    stand.board.on("cache_loss", stand.lose)
    stand.board.start("cache_loss", FaultRequest(magnitude=0.5, duration_s=60), START_S)

    for after_s in (0.0, 0.2, 30.0):
        stand.tick(after_s)

    assert stand.lost == [0.5]


def test_along_a_ramp_a_cache_loses_what_is_left_bit_by_bit() -> None:
    stand = Stand()
    stand.board.on("cache_loss", stand.lose)
    stand.board.start("cache_loss", FaultRequest(magnitude=0.5, ramp_s=10, duration_s=60), START_S)

    for after_s in (0.0, 5.0, 10.0, 20.0):
        stand.tick(after_s)

    # A quarter of all, then a quarter of all again: a third of the three quarters that were left.
    assert stand.lost == [0.25, pytest.approx(1 / 3)]


def test_a_cache_that_fails_to_lose_is_asked_again() -> None:
    stand = Stand()
    failures = iter([ConnectionError("Redis is away")])

    async def lose(share: float) -> None:
        for failure in failures:
            raise failure
        stand.lost.append(share)

    stand.board.on("cache_loss", lose)
    stand.board.start("cache_loss", FaultRequest(magnitude=1.0, duration_s=60), START_S)
    stand.tick(0.0)
    assert stand.lost == []

    stand.tick(0.2)
    assert stand.lost == [1.0]


def test_only_the_cache_can_be_told_to_lose_a_share() -> None:
    with pytest.raises(UnknownFault):
        Stand().board.on("memory_leak", Stand().lose)


def test_what_a_fault_took_comes_back_when_its_time_is_over() -> None:
    pool = Pool(8)
    stand = Stand(pool)
    stand.board.start("pool_creep", FaultRequest(magnitude=60.0, duration_s=10), START_S)
    stand.tick(3.0)
    assert pool.taken == 3

    stand.tick(10.0)

    assert pool.taken == 0


def test_a_replaced_fault_begins_from_nothing() -> None:
    pool = Pool(8)
    stand = Stand(pool)
    stand.board.start("pool_creep", FaultRequest(magnitude=60.0, duration_s=60), START_S)
    stand.tick(5.0)
    stand.board.start("pool_creep", FaultRequest(magnitude=30.0, duration_s=60), START_S + 5)

    stand.tick(9.0)

    assert pool.taken == 2  # 4 s at one every 2 s


def test_a_process_without_a_pool_has_no_pool_to_lose() -> None:
    stand = Stand(pool=None)

    with pytest.raises(UnknownFault):
        stand.board.start("pool_creep", FaultRequest(duration_s=60), START_S)


def test_everything_is_given_back_when_the_process_stops() -> None:
    async def scenario() -> tuple[int, int]:
        pool = Pool(8)
        now_s = [START_S]
        board = FaultBoard(catalogue_of(Role.CATALOG), lambda: now_s[0])
        running = asyncio.create_task(FaultEffects(board, pool, clock=lambda: now_s[0]).run())
        await asyncio.sleep(0)  # it waits for a fault now
        board.start("pool_creep", FaultRequest(magnitude=60.0, duration_s=60), START_S)
        now_s[0] = START_S + 4
        async with asyncio.timeout(20):
            while pool.taken < 4:
                await asyncio.sleep(0.01)
        while_running = pool.taken
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return while_running, pool.taken

    assert asyncio.run(scenario()) == (4, 0)
