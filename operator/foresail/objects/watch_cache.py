"""One path of the API, held in memory: listed once, then kept up by a watch in a thread of its own."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from foresail.objects.api_reading import ApiReading, Event, WatchStream
from foresail.objects.errors import ApiAway, Gone, NotServed, ObjectsError, Refused
from foresail.objects.kinds import Kind

_log = logging.getLogger(__name__)

_SHORTEST_WATCH_S = 1.0  # a server that ends watches sooner is asked as seldom as one that fails


@dataclass(frozen=True, slots=True)
class CacheSettings:
    """relist_s: everything is listed anew this often, against events that were lost.

    retry_s: the wait after the first failure; it doubles up to longest_retry_s. look_again_s: for a kind the cluster
    lacks, or one that we may not read and can do without. All are spread by half either way, so that replicas and kinds
    do not come at once.
    """

    relist_s: float = 900.0
    retry_s: float = 0.5
    longest_retry_s: float = 10.0
    look_again_s: float = 300.0


@dataclass(frozen=True, slots=True)
class CacheHealth:
    """How well one path is known."""

    synced: bool = False  # listed at least once, or known to be lacking
    heard_at_s: float | None = None  # the last list, event, bookmark or opened watch
    failing_since_s: float | None = None
    error: str | None = None
    absent: bool = False  # the cluster has no such kind
    lists: int = 0
    watches: int = 0
    skipped: int = 0  # objects of the last list without a name


class WatchCache:
    """Objects by `namespace/name`. `start` it once; everything else may be called from any thread."""

    def __init__(
        self,
        kind: Kind,
        namespace: str | None,
        reading: ApiReading,
        settings: CacheSettings,
        clock: Callable[[], float],
        rng: random.Random,
        changed: threading.Condition,
    ) -> None:
        self.kind = kind
        self.namespace = namespace
        self._path = kind.path(namespace)
        self._reading = reading
        self._settings = settings
        self._clock = clock
        self._rng = rng
        self._changed = changed
        self._objects: dict[str, Any] = {}
        self._snapshot: Mapping[str, Any] | None = None
        self._health = CacheHealth()
        self._version: str | None = None
        self._relist_at_s = 0.0
        self._failures = 0
        self._stop = threading.Event()
        self._stream: WatchStream | None = None
        name = f"watch-{kind.plural}" + (f"-{namespace}" if namespace else "")
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @property
    def health(self) -> CacheHealth:
        return self._health

    def snapshot(self) -> Mapping[str, Any]:
        """The objects as they are now; the same mapping as before while nothing changed."""
        with self._changed:
            if self._snapshot is None:
                self._snapshot = dict(self._objects)
            return self._snapshot

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, even while it waits for the server."""
        self._stop.set()
        with self._changed:
            if self._stream is not None:
                self._stream.cut()

    def join(self, timeout_s: float) -> bool:
        """Whether the thread has ended."""
        if self._thread.is_alive():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._follow()
            except Gone:
                self._expired()
            except NotServed as error:
                self._not_served(error)
            except Refused as error:
                self._failed(str(error), wait_s=None if self.kind.needed else self._settings.look_again_s)
            except ObjectsError as error:
                self._failed(str(error))
            except Exception as error:  # noqa: BLE001 - a thread that dies would leave a picture that never changes
                _log.exception("watch_cache_error", extra={"path": self._path})
                self._failed(repr(error))

    def _follow(self) -> None:
        if self._version is None or self._clock() >= self._relist_at_s:
            self._list()
        assert self._version is not None
        opened_at_s = self._clock()
        stream = self._reading.watch(self._path, self._version)
        with self._changed:
            self._stream = stream
        try:
            self._heard(watches=self._health.watches + 1)
            events = 0
            for event in () if self._stop.is_set() else stream:
                self._take(event)
                events += 1
        finally:
            with self._changed:
                self._stream = None
            stream.close()
        ended_early = events == 0 and self._clock() - opened_at_s < _SHORTEST_WATCH_S and not stream.fell_silent
        if ended_early and not self._stop.is_set():
            raise ApiAway("the watch ended as soon as it was opened")
        self._failures = 0

    def _list(self) -> None:
        objects = {}
        skipped = 0
        version = None
        for page in self._reading.pages(self._path):
            for item in page.items:
                record = self.kind.parse(item)
                if record is None:
                    skipped += 1
                else:
                    objects[record.meta.key] = record
            version = page.version
        with self._changed:
            self._objects = objects
            self._snapshot = None
        self._version = version
        self._relist_at_s = self._clock() + self._spread(self._settings.relist_s)
        self._heard(synced=True, absent=False, lists=self._health.lists + 1, skipped=skipped)

    def _take(self, event: Event) -> None:
        record = None if event.type == "BOOKMARK" else self.kind.parse(event.object)
        if record is not None and event.type in ("ADDED", "MODIFIED", "DELETED"):
            with self._changed:
                self._snapshot = None
                if event.type == "DELETED":
                    self._objects.pop(record.meta.key, None)
                else:
                    self._objects[record.meta.key] = record
        self._version = event.version or self._version
        self._failures = 0
        self._heard()

    def _heard(self, **news: Any) -> None:
        """Something came, so nothing is failing."""
        with self._changed:
            self._health = replace(self._health, heard_at_s=self._clock(), failing_since_s=None, error=None, **news)
            self._changed.notify_all()

    def _expired(self) -> None:
        """The next round lists anew, at once the first time: 410 is how a server says that it was restarted."""
        self._version = None
        self._failures += 1
        if self._failures > 1:
            self._wait_to_retry()

    def _not_served(self, error: ObjectsError) -> None:
        if not self.kind.optional:
            self._failed(str(error))
            return
        self._version = None
        with self._changed:
            self._objects, self._snapshot = {}, None
        self._heard(synced=True, absent=True)
        self._stop.wait(self._spread(self._settings.look_again_s))

    def _failed(self, why: str, wait_s: float | None = None) -> None:
        if self._stop.is_set():
            return
        self._failures += 1
        with self._changed:
            since_s = self._health.failing_since_s
            failing_since_s = self._clock() if since_s is None else since_s
            self._health = replace(self._health, failing_since_s=failing_since_s, error=why)
            self._changed.notify_all()
        if self._failures == 1:
            _log.warning("watch_failed", extra={"path": self._path, "why": why})
        if wait_s is None:
            self._wait_to_retry()
        else:
            self._stop.wait(self._spread(wait_s))

    def _wait_to_retry(self) -> None:
        doubled = self._settings.retry_s * 2.0 ** min(self._failures - 1, 16)
        self._stop.wait(self._spread(min(doubled, self._settings.longest_retry_s)))

    def _spread(self, span_s: float) -> float:
        return span_s * self._rng.uniform(0.5, 1.5)
