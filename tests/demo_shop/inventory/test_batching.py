import asyncio
from collections.abc import Sequence

import psycopg
import pytest

from demo_shop.inventory.batching import Batching


class Work:
    """Doubles numbers, one batch at a time as far as the test lets it."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.may_go_on = asyncio.Event()
        self.fails_for: dict[int, Exception] = {}

    async def __call__(self, asks: Sequence[int]) -> Sequence[int]:
        self.batches.append(list(asks))
        await self.may_go_on.wait()
        for number in asks:
            if number in self.fails_for:
                raise self.fails_for[number]
        return [2 * number for number in asks]


def test_who_asks_while_a_batch_is_under_way_goes_together_into_the_next() -> None:
    async def test() -> None:
        work = Work()
        batching = Batching(work, most=3, lanes=1)
        asked = [asyncio.create_task(batching.submit(number)) for number in range(1, 6)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        work.may_go_on.set()
        assert await asyncio.gather(*asked) == [2, 4, 6, 8, 10]
        assert work.batches == [[1, 2, 3], [4, 5]]

    asyncio.run(test())


def test_no_more_batches_are_under_way_than_there_are_lanes() -> None:
    async def test() -> None:
        work = Work()
        batching = Batching(work, most=1, lanes=2)
        asked = [asyncio.create_task(batching.submit(number)) for number in range(5)]
        for _ in range(10):
            await asyncio.sleep(0)
        assert work.batches == [[0], [1]]
        work.may_go_on.set()
        assert await asyncio.gather(*asked) == [0, 2, 4, 6, 8]

    asyncio.run(test())


def test_who_breaks_a_rule_of_the_books_fails_alone() -> None:
    async def test() -> None:
        work = Work()
        work.may_go_on.set()
        work.fails_for[2] = psycopg.errors.CheckViolation("never_oversold")
        batching = Batching(work, most=3, lanes=1)
        answers = await asyncio.gather(*(batching.submit(number) for number in (1, 2, 3)), return_exceptions=True)
        assert (answers[0], answers[2]) == (2, 6)
        assert isinstance(answers[1], psycopg.errors.CheckViolation)
        assert work.batches == [[1, 2, 3], [1], [2], [3]]

    asyncio.run(test())


def test_a_failure_of_the_store_is_told_to_all_of_the_batch_and_ends_nothing() -> None:
    async def test() -> None:
        work = Work()
        work.may_go_on.set()
        work.fails_for[1] = ConnectionError("gone")
        batching = Batching(work, most=3, lanes=1)
        answers = await asyncio.gather(*(batching.submit(number) for number in (1, 2)), return_exceptions=True)
        assert [type(answer) for answer in answers] == [ConnectionError, ConnectionError]
        assert await batching.submit(4) == 8

    asyncio.run(test())


def test_who_has_left_is_not_served() -> None:
    async def test() -> None:
        work = Work()
        batching = Batching(work, most=1, lanes=1)
        first = asyncio.create_task(batching.submit(1))
        gone = asyncio.create_task(batching.submit(2))
        await asyncio.sleep(0)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        work.may_go_on.set()
        assert await first == 2
        assert await batching.submit(3) == 6
        assert work.batches == [[1], [3]]

    asyncio.run(test())
