"""Answers kept for seconds: in this process for one, in Redis for all, and made once when many ask at the same time.

An answer is fresh for 10 to 30 s (jittered, so that what was filled together does not expire together). Redis keeps it
longer: when the database cannot be asked, an answer of a minute ago is served rather than an error.
"""

from __future__ import annotations

import asyncio
import random
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from demo_shop.catalog.far_cache import Entry, FarCache
from demo_shop.frame.problems import StoreUnavailable


class Result(StrEnum):
    """How a look-up ended; the label of `shop_cache_requests_total`."""

    NEAR = "near"  # this process had it
    HIT = "hit"  # Redis had it
    MISS = "miss"  # the database was asked
    JOINED = "joined"  # somebody was already asking
    UNAVAILABLE = "unavailable"  # Redis was away: the database was asked
    STALE = "stale"  # the database was away: an expired answer was served


@dataclass(frozen=True, slots=True)
class Ages:
    """How long answers live, in seconds."""

    near_s: float = 1.5  # short: every process has its own, and they may differ for as long
    shortest_s: float = 10.0
    longest_s: float = 30.0
    keep_s: float = 120.0  # in Redis, for the time that the database is away
    patience_s: float = 0.3  # with the database, where an expired answer is at hand
    away_s: float = 1.0  # for so long nobody with such an answer asks a database that just failed


@dataclass(frozen=True, slots=True)
class _Near:
    value: bytes | None
    at_s: float


class NearCache:
    """The least recently used answers of this process, at most `most_bytes` of them."""

    def __init__(self, lives_s: float, most_bytes: int = 4 * 1024 * 1024) -> None:
        self._lives_s, self._most_bytes = lives_s, most_bytes
        self._entries: OrderedDict[str, _Near] = OrderedDict()
        self.size_bytes = 0

    def get(self, key: str, now_s: float) -> _Near | None:
        entry = self._entries.get(key)
        if entry is None or not 0.0 <= now_s - entry.at_s < self._lives_s:
            return None
        self._entries.move_to_end(key)
        return entry

    def put(self, key: str, value: bytes | None, now_s: float) -> None:
        self.forget(key)
        self._entries[key] = _Near(value, now_s)
        self.size_bytes += _size_bytes(key, value)
        while self.size_bytes > self._most_bytes:
            self.forget(next(iter(self._entries)))

    def forget(self, key: str) -> None:
        entry = self._entries.pop(key, None)
        if entry is not None:
            self.size_bytes -= _size_bytes(key, entry.value)

    def lose(self, share: float, chance: Callable[[], float]) -> None:
        for key in [key for key in self._entries if chance() < share]:
            self.forget(key)


def _size_bytes(key: str, value: bytes | None) -> int:
    return 200 + len(key) + len(value or b"")  # 200: what the objects around them take


class Cache:
    """Looks up near, then far, then asks. `lost()` says whether this look-up shall find nothing (a fault)."""

    def __init__(
        self,
        far: FarCache,
        now_s: Callable[[], float],
        *,
        rng: random.Random,
        ages: Ages | None = None,
        count: Callable[[Result], None] = lambda result: None,
        lost: Callable[[], bool] = lambda: False,
    ) -> None:
        self._far, self._now_s, self._rng, self._count, self._lost = far, now_s, rng, count, lost
        self._ages = ages or Ages()
        self._near = NearCache(self._ages.near_s)
        self._flights: dict[str, asyncio.Task[bytes | None]] = {}
        self._away_until_s = 0.0

    async def fetch(self, key: str, load: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """The answer under `key`; None: `load` said that there is none. Raises what `load` raises, to all who wait."""
        lost = self._lost()
        if not lost and (near := self._near.get(key, self._now_s())) is not None:
            self._count(Result.NEAR)
            return near.value
        flight = self._flights.get(key)
        if flight is None:
            flight = asyncio.create_task(self._look_up(key, load, lost))
            self._flights[key] = flight
            flight.add_done_callback(lambda done: self._landed(key, done))
        else:
            self._count(Result.JOINED)
        return await asyncio.shield(flight)  # one impatient visitor does not end it for the others

    async def fetch_many(
        self, keys: Sequence[str], load: Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]]
    ) -> dict[str, bytes]:
        """The answers that exist; those that no cache has are loaded together."""
        now_s = self._now_s()
        lost = {key for key in keys if self._lost()}
        near = {key: entry for key in keys if key not in lost and (entry := self._near.get(key, now_s)) is not None}
        self._count_all(Result.NEAR, near)
        found = {key: entry.value for key, entry in near.items()}
        missing = [key for key in keys if key not in near]
        if missing:
            found.update(await self._look_up_many(missing, lost, load))
        return {key: value for key in keys if (value := found.get(key)) is not None}

    async def lose(self, share: float) -> None:
        """Forgets each answer with probability `share`, here and in Redis."""
        self._near.lose(share, self._rng.random)
        await self._far.lose(share, self._rng.random)

    async def _look_up(self, key: str, load: Callable[[], Awaitable[bytes | None]], lost: bool) -> bytes | None:
        async def load_one(_: Sequence[str]) -> Mapping[str, bytes]:
            value = await load()
            return {} if value is None else {key: value}

        return (await self._look_up_many([key], {key} if lost else set(), load_one))[key]

    async def _look_up_many(
        self,
        keys: Sequence[str],
        lost: set[str],
        load: Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]],
    ) -> dict[str, bytes | None]:
        entries = await self._far.get(keys)
        now_s = self._now_s()
        known = {key: entry for key, entry in zip(keys, entries or (), strict=False) if entry and key not in lost}
        found = {key: entry.value for key, entry in known.items() if now_s < entry.fresh_until_s}
        self._count_all(Result.HIT, found)
        missing = [key for key in keys if key not in found]
        if missing:
            stale = {key: known[key].value for key in missing if key in known}
            loaded = await self._load(missing, load, spare=len(stale) == len(missing))
            if loaded is None:
                self._count_all(Result.STALE, missing)
                found.update(stale)
            else:
                self._count_all(Result.UNAVAILABLE if entries is None else Result.MISS, missing)
                fresh = {key: loaded.get(key) for key in missing}
                found.update(fresh)
                await self._store(fresh)
        for key, value in found.items():
            self._near.put(key, value, self._now_s())
        return found

    async def _load(
        self, keys: Sequence[str], load: Callable[[Sequence[str]], Awaitable[Mapping[str, bytes]]], *, spare: bool
    ) -> Mapping[str, bytes] | None:
        """What the database says; None: it is away, and an expired answer will do (`spare`) rather than a long wait."""
        if not spare:
            return await load(keys)
        if self._now_s() < self._away_until_s:
            return None
        try:
            async with asyncio.timeout(self._ages.patience_s):
                return await load(keys)
        except (StoreUnavailable, TimeoutError):
            self._away_until_s = self._now_s() + self._ages.away_s
            return None

    async def _store(self, fresh: Mapping[str, bytes | None]) -> None:
        now_s = self._now_s()
        entries = {
            key: Entry(value, now_s + self._rng.uniform(self._ages.shortest_s, self._ages.longest_s))
            for key, value in fresh.items()
        }
        await self._far.put(entries, self._ages.keep_s)

    def _landed(self, key: str, flight: asyncio.Task[bytes | None]) -> None:
        self._flights.pop(key, None)
        if not flight.cancelled():
            flight.exception()  # told to whoever waited; when all went away, nobody is left to tell

    def _count_all(self, result: Result, keys: Iterable[str]) -> None:
        for _ in keys:
            self._count(result)
