"""The operator's own pods, where the namespaces that it watches leave its own out: replicas find each other by them."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace

from kubernetes.client import ApiClient

from foresail.objects.api_reading import ApiReading, ReadSettings
from foresail.objects.kinds import PODS
from foresail.objects.object_state import ObjectState
from foresail.objects.watch_cache import CacheSettings, WatchCache


class OwnPods:
    """Without them the other vantage points are not known, and the fast lane proves less: nothing else is lost."""

    def __init__(self, client: ApiClient, namespace: str | None) -> None:
        """`namespace` None: they are among the pods that are watched anyway."""
        reading = ApiReading(client, ReadSettings())
        self._cache = (
            None
            if namespace is None
            else WatchCache(
                PODS, namespace, reading, CacheSettings(), time.time, random.Random(), threading.Condition()
            )
        )

    def start(self) -> None:
        if self._cache is not None:
            self._cache.start()

    def stop(self, timeout_s: float) -> None:
        if self._cache is not None:
            self._cache.stop()
            self._cache.join(timeout_s)

    def added_to(self, state: ObjectState) -> ObjectState:
        """The state with our own pods in it."""
        if self._cache is None:
            return state
        return replace(state, pods={**state.pods, **self._cache.snapshot()})
