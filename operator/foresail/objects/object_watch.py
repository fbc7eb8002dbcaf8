"""All watch caches together: start, snapshot, health."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kubernetes.client import ApiClient

from foresail.objects import kinds
from foresail.objects.api_reading import ApiReading, ReadSettings
from foresail.objects.kinds import Kind
from foresail.objects.object_state import ObjectState, Records, joined
from foresail.objects.scalables import Scalables
from foresail.objects.watch_cache import CacheSettings, WatchCache


@dataclass(frozen=True, slots=True)
class WatchSettings:
    """namespaces: empty means all of them. grace_s: a needed kind may fail for so long before objects count as stale
    (a watch that is opened anew is no outage). oldest_s: … or be without any word from the server for so long."""

    namespaces: tuple[str, ...] = ()
    grace_s: float = 5.0
    oldest_s: float = 180.0
    read: ReadSettings = field(default_factory=ReadSettings)
    cache: CacheSettings = field(default_factory=CacheSettings)


@dataclass(frozen=True, slots=True)
class KindHealth:
    """How well one kind is known, all its namespaces together."""

    synced: bool
    age_s: float | None  # since the server's last word about it; None: it never said anything
    failing_for_s: float | None
    error: str | None
    absent: bool  # the cluster has no such kind
    lists: int
    watches: int


@dataclass(frozen=True, slots=True)
class ObjectsHealth:
    """`ok` False: the objects are stale, or were never complete."""

    ok: bool
    age_s: float | None  # of the needed kind that was silent for longest; None: one never spoke
    kinds: Mapping[str, KindHealth]


class ObjectWatch:
    """Keeps the cluster's objects in memory. Costs no request as long as nothing changes, whoever asks how often.

    Give the client a `connection_pool_maxsize` above the number of watches: one per kind, or per kind and namespace.
    """

    def __init__(
        self,
        client: ApiClient,
        settings: WatchSettings | None = None,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        watched: Sequence[Kind] = kinds.KINDS,
        scalables: Sequence[tuple[str, str]] = (),
    ) -> None:
        """`scalables`: further resources whose objects are workloads, by apiVersion and plural."""
        self._settings = settings or WatchSettings()
        self._clock = clock
        self._changed = threading.Condition()
        reading = ApiReading(client, self._settings.read)
        spread = rng or random.Random()
        self._scalables = tuple(Scalables(reading, resource).kind for resource in scalables)
        self._caches = {
            kind: [
                WatchCache(kind, namespace, reading, self._settings.cache, clock, spread, self._changed)
                for namespace in self._places(kind)
            ]
            for kind in (*watched, *self._scalables)
        }
        self._built: tuple[tuple[int, ...], tuple[Mapping[str, Any], ...], ObjectState] | None = None

    def start(self) -> None:
        for cache in self._all():
            cache.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Ends all threads. One that waits for a server that hangs is left to end by itself."""
        for cache in self._all():
            cache.stop()
        ends_at_s = time.monotonic() + timeout_s
        for cache in self._all():
            cache.join(max(0.0, ends_at_s - time.monotonic()))

    def is_running(self) -> bool:
        return any(not cache.join(0.0) for cache in self._all())

    def wait_until(self, holds: Callable[[], bool], timeout_s: float) -> bool:
        """Whether it came to hold; looked at after every word from the server."""
        with self._changed:
            return self._changed.wait_for(holds, timeout_s)

    def wait_synced(self, timeout_s: float) -> bool:
        """Whether every needed kind has been listed."""
        return self.wait_until(self._synced, timeout_s)

    def state(self) -> ObjectState | None:
        """The objects as they are now; the same value as before while nothing changed.

        None until every needed kind has been listed: a workload whose HPA is not known yet would seem to have none.
        """
        with self._changed:
            if not self._synced():
                return None
            snapshots = (
                *(self._snapshot(kind) for kind in (*kinds.KINDS, kinds.ROUTES)),
                tuple(snapshot for kind in self._scalables for snapshot in self._snapshot(kind)),
            )
            identity = tuple(id(snapshot) for group in snapshots for snapshot in group)
            built = self._built
        if built is not None and built[0] == identity:
            return built[2]
        merged = tuple(_merged(group) for group in snapshots)
        state = joined(Records(*merged), sees_all_pods=not self._settings.namespaces)
        # The snapshots are held so that no other mapping can come to have their identity.
        self._built = (identity, tuple(snapshot for group in snapshots for snapshot in group), state)
        return state

    def health(self, now_s: float) -> ObjectsHealth:
        """`now_s` by the clock that was given at the start."""
        found = {kind: self._health_of(caches, now_s) for kind, caches in self._caches.items()}
        needed = [health for kind, health in found.items() if kind.needed]
        ages = [health.age_s for health in needed]
        oldest_s = None if None in ages else max((age for age in ages if age is not None), default=0.0)
        ok = (
            all(health.synced for health in needed)
            and all((health.failing_for_s or 0.0) <= self._settings.grace_s for health in needed)
            and oldest_s is not None
            and oldest_s <= self._settings.oldest_s
        )
        return ObjectsHealth(ok, oldest_s, {kind.plural: health for kind, health in found.items()})

    def _synced(self) -> bool:
        return all(cache.health.synced for cache in self._all() if cache.kind.needed)

    def _places(self, kind: Kind) -> tuple[str | None, ...]:
        return self._settings.namespaces if kind.namespaced and self._settings.namespaces else (None,)

    def _all(self) -> list[WatchCache]:
        return [cache for caches in self._caches.values() for cache in caches]

    def _snapshot(self, kind: Kind) -> tuple[Mapping[str, Any], ...]:
        return tuple(cache.snapshot() for cache in self._caches.get(kind, ()))

    def _health_of(self, caches: Sequence[WatchCache], now_s: float) -> KindHealth:
        every = [cache.health for cache in caches]
        silent_s = [None if one.heard_at_s is None else now_s - one.heard_at_s for one in every]
        # A kind that the cluster lacks has nothing to say.
        ages_s = [0.0 if one.absent else age_s for one, age_s in zip(every, silent_s, strict=True)]
        known_s = [age_s for age_s in ages_s if age_s is not None]
        failing_s = [now_s - one.failing_since_s for one in every if one.failing_since_s is not None]
        return KindHealth(
            synced=all(one.synced for one in every),
            age_s=max(0.0, *known_s) if known_s and None not in ages_s else None,
            failing_for_s=max(0.0, *failing_s) if failing_s else None,
            error=next((one.error for one in every if one.error is not None), None),
            absent=any(one.absent for one in every),
            lists=sum(one.lists for one in every),
            watches=sum(one.watches for one in every),
        )


def _merged(group: tuple[Mapping[str, Any], ...]) -> Mapping[str, Any]:
    if len(group) == 1:
        return group[0]
    return {key: record for snapshot in group for key, record in snapshot.items()}
