"""The global kill switch: ConfigMap `foresail-kill-switch` with data `stop: "true"` in the operator's namespace."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from kubernetes.client import ApiClient

from foresail.objects.api_reading import ApiReading, ReadSettings
from foresail.objects.fields import Json, text
from foresail.objects.kinds import Kind
from foresail.objects.records import Meta
from foresail.objects.watch_cache import CacheSettings, WatchCache

NAME = "foresail-kill-switch"
_OFF = frozenset({"", "false"})


@dataclass(frozen=True, slots=True)
class SwitchRecord:
    meta: Meta
    stop: bool


def parse(body: Json) -> SwitchRecord | None:
    """None for every other ConfigMap. A value that is neither true nor false was meant to stop something: it does."""
    if text(body, "metadata", "name") != NAME:
        return None
    meta = Meta(text(body, "metadata", "namespace") or "", NAME, text(body, "metadata", "uid") or "")
    return SwitchRecord(meta, (text(body, "data", "stop") or "").strip().lower() not in _OFF)


#: All ConfigMaps of our own namespace, few as they are: a watch of one object by name is no other watch.
SWITCHES = Kind("configmaps", "/api/v1", parse)


class KillSwitch:
    """Watched, so that it costs no request and takes effect within a second."""

    def __init__(
        self,
        client: ApiClient,
        namespace: str,
        read: ReadSettings | None = None,
        cache: CacheSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        reading = ApiReading(client, read or ReadSettings())
        self._cache = WatchCache(
            SWITCHES, namespace, reading, cache or CacheSettings(), clock, random.Random(), threading.Condition()
        )

    def start(self) -> None:
        self._cache.start()

    def stop(self, timeout_s: float) -> None:
        self._cache.stop()
        self._cache.join(timeout_s)

    @property
    def known(self) -> bool:
        return self._cache.health.synced

    @property
    def on(self) -> bool:
        """Whether everything but undoing must stop. Before anybody could read it, it may well be on: then it is."""
        return not self.known or any(record.stop for record in self._cache.snapshot().values())
