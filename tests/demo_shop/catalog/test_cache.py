"""The cache's own rules, over a far cache in memory."""

import asyncio
import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from demo_shop.catalog.cache import Ages, Cache, NearCache, Result
from demo_shop.catalog.far_cache import Entry
from demo_shop.frame.problems import StoreUnavailable


class Far:
    """A far cache that can go away."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}
        self.away = False

    async def get(self, keys: Sequence[str]) -> list[Entry | None] | None:
        await asyncio.sleep(0)
        return None if self.away else [self.entries.get(key) for key in keys]

    async def put(self, entries: dict[str, Entry], keep_s: float) -> None:
        if not self.away:
            self.entries.update(entries)

    async def lose(self, share: float, chance: Callable[[], float]) -> int:
        gone = [key for key in self.entries if chance() < share]
        for key in gone:
            del self.entries[key]
        return len(gone)


class Setting:
    """A cache with a clock in hand, and a database that counts how often it is asked."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.far = Far()
        self.results: list[Result] = []
        self.loads = 0
        self.answer: bytes | None = b"answer"
        self.database_away = False
        self.losing = False
        far: Any = self.far
        self.cache = Cache(
            far,
            lambda: self.now_s,
            rng=random.Random(1),
            ages=Ages(near_s=1.5, shortest_s=10.0, longest_s=30.0),
            count=self.results.append,
            lost=lambda: self.losing,
        )

    async def load(self) -> bytes | None:
        self.loads += 1
        await asyncio.sleep(0)
        if self.database_away:
            raise StoreUnavailable("PostgreSQL")
        return self.answer

    def fetch(self) -> bytes | None:
        return asyncio.run(self.cache.fetch("key", self.load))


def test_asks_the_database_once_and_then_this_process() -> None:
    setting = Setting()

    assert [setting.fetch(), setting.fetch()] == [b"answer", b"answer"]

    assert setting.loads == 1
    assert setting.results == [Result.MISS, Result.NEAR]


def test_asks_redis_when_this_process_forgot() -> None:
    setting = Setting()
    setting.fetch()

    setting.now_s += 1.5
    setting.fetch()

    assert setting.results == [Result.MISS, Result.HIT]


def test_asks_the_database_again_when_the_answer_has_expired() -> None:
    setting = Setting()
    setting.fetch()

    setting.now_s += 30.0
    setting.fetch()

    assert setting.loads == 2


def test_expiry_is_spread_over_the_allowed_span() -> None:
    setting = Setting()

    async def load_many(keys: Sequence[str]) -> dict[str, bytes]:
        return dict.fromkeys(keys, b"x")

    asyncio.run(setting.cache.fetch_many([str(number) for number in range(200)], load_many))

    lives_s = sorted(entry.fresh_until_s - 1000.0 for entry in setting.far.entries.values())
    assert 10.0 <= lives_s[0] < 11.0
    assert 29.0 < lives_s[-1] <= 30.0


def test_that_there_is_no_such_thing_is_remembered() -> None:
    setting = Setting()
    setting.answer = None

    assert [setting.fetch(), setting.fetch()] == [None, None]

    assert setting.loads == 1


def test_many_who_ask_at_once_make_one_question() -> None:
    setting = Setting()

    async def crowd() -> list[bytes | None]:
        return await asyncio.gather(*(setting.cache.fetch("key", setting.load) for _ in range(50)))

    assert asyncio.run(crowd()) == [b"answer"] * 50

    assert setting.loads == 1
    assert setting.results.count(Result.JOINED) == 49


def test_one_who_gives_up_does_not_end_the_question_of_the_others() -> None:
    setting = Setting()

    async def two_ask_one_leaves() -> bytes | None:
        leaves = asyncio.create_task(setting.cache.fetch("key", setting.load))
        stays = asyncio.create_task(setting.cache.fetch("key", setting.load))
        await asyncio.sleep(0)
        leaves.cancel()
        return await stays

    assert asyncio.run(two_ask_one_leaves()) == b"answer"


def test_without_redis_the_database_answers() -> None:
    setting = Setting()
    setting.far.away = True

    assert setting.fetch() == b"answer"

    assert setting.results == [Result.UNAVAILABLE]


def test_without_the_database_an_expired_answer_serves() -> None:
    setting = Setting()
    setting.fetch()
    setting.now_s += 60.0
    setting.database_away = True

    assert setting.fetch() == b"answer"

    assert setting.results == [Result.MISS, Result.STALE]


def test_a_database_that_just_failed_is_left_alone_for_a_second_where_an_expired_answer_will_do() -> None:
    setting = Setting()
    setting.far.entries = {key: Entry(b"old", 900.0) for key in ("first", "second", "third")}
    setting.database_away = True

    assert asyncio.run(setting.cache.fetch("first", setting.load)) == b"old"
    assert asyncio.run(setting.cache.fetch("second", setting.load)) == b"old"
    assert setting.loads == 1

    setting.now_s += 1.0
    setting.database_away = False
    assert asyncio.run(setting.cache.fetch("third", setting.load)) == b"answer"


def test_nobody_waits_for_a_silent_database_where_an_expired_answer_will_do() -> None:
    setting = Setting()
    setting.fetch()
    setting.now_s += 60.0

    async def never() -> bytes:
        await asyncio.Event().wait()
        return b""

    assert asyncio.run(setting.cache.fetch("key", never)) == b"answer"


def test_without_the_database_and_without_an_answer_it_fails() -> None:
    setting = Setting()
    setting.database_away = True

    with pytest.raises(StoreUnavailable):
        setting.fetch()


def test_a_failure_is_not_remembered() -> None:
    setting = Setting()
    setting.database_away = True
    with pytest.raises(StoreUnavailable):
        setting.fetch()

    setting.database_away = False

    assert setting.fetch() == b"answer"


def test_a_look_up_that_the_fault_hits_is_a_miss() -> None:
    setting = Setting()
    setting.fetch()
    setting.losing = True

    setting.fetch()

    assert setting.results == [Result.MISS, Result.MISS]
    assert setting.loads == 2


def test_losing_all_empties_both_layers() -> None:
    setting = Setting()
    setting.fetch()

    asyncio.run(setting.cache.lose(1.0))
    setting.fetch()

    assert setting.loads == 2


def test_losing_half_leaves_about_half() -> None:
    setting = Setting()
    setting.far.entries = {str(number): Entry(b"x", 2000.0) for number in range(1000)}

    asyncio.run(setting.cache.lose(0.5))

    assert 440 < len(setting.far.entries) < 560  # four standard deviations (15.8) around 500


def test_of_many_only_those_that_no_cache_has_are_loaded() -> None:
    setting = Setting()
    asked: list[list[str]] = []

    async def load_many(keys: Sequence[str]) -> dict[str, bytes]:
        asked.append(list(keys))
        return {key: key.encode() for key in keys if key != "unknown"}

    asyncio.run(setting.cache.fetch_many(["a", "unknown"], load_many))
    found = asyncio.run(setting.cache.fetch_many(["b", "unknown", "a"], load_many))

    assert asked == [["a", "unknown"], ["b"]]
    assert list(found.items()) == [("b", b"b"), ("a", b"a")]


def test_the_near_cache_forgets_the_longest_unused_first() -> None:
    near = NearCache(lives_s=10.0, most_bytes=3 * 1201)  # each entry takes 200 + 1 + 1000 bytes
    for key in "abc":
        near.put(key, b"x" * 1000, 0.0)
    near.get("a", 1.0)

    near.put("d", b"x" * 1000, 1.0)

    assert [key for key in "abcd" if near.get(key, 1.0) is not None] == ["a", "c", "d"]


def test_an_entry_comes_back_as_it_was_written() -> None:
    for entry in (Entry(b"{}", 12.5), Entry(None, 1.0), Entry(b"", 1.0)):
        assert Entry.decode(entry.encode()) == entry


def test_what_is_no_entry_is_not_read() -> None:
    assert Entry.decode(b"short") is None
