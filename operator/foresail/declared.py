"""What people declared, for the loop and the adapters: policies over the workloads that exist, and the kill switch."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from foresail.objects.object_state import ObjectState
from foresail.policy_store import PolicyStore
from foresail.resources.bindings import WorkloadBinding
from foresail.resources.mapping import Mapped, mapped
from foresail.resources.matching import WorkloadRef
from policies.model import PolicySet

#: Declared events are expanded into occurrences this often.
EVENTS_S = 60.0


class Objects(Protocol):
    """`foresail.objects.object_watch.ObjectWatch`."""

    def state(self) -> ObjectState | None: ...


class Declared:
    """Implements `PolicySource`. Maps anew only when a policy or the set of workloads changed, and once a minute."""

    def __init__(
        self, store: PolicyStore, objects: Objects, stopped: Callable[[], bool], *, weights: bool = True
    ) -> None:
        """`stopped`: whether the kill switch is on. `weights`: whether the installation may weigh routes."""
        self._store, self._objects, self._stopped, self._weights = store, objects, stopped, weights
        self._lock = threading.Lock()
        self._state: ObjectState | None = None
        self._refs: tuple[WorkloadRef, ...] = ()
        self._made_of: tuple[int, tuple[WorkloadRef, ...], int] | None = None
        self._mapped = Mapped(PolicySet({}), {}, ())

    def policies(self, now_s: float) -> PolicySet:
        """Empty until policies and objects have been listed: nothing is decided on half a picture."""
        found, stopped = self.mapped(now_s).policies, self._stopped()
        return replace(found, kill_switch=True) if stopped else found

    def mapped(self, now_s: float) -> Mapped:
        """Policies, bindings and problems; the same value as before while nothing changed. From any thread."""
        stored, state = self._store.snapshot(), self._objects.state()
        with self._lock:
            if state is None or not self._store.known:
                return self._mapped
            refs = self._references(state)
            made_of = (stored.version, refs, int(now_s // EVENTS_S))
            if made_of != self._made_of:
                found = mapped(stored.resources, refs, now_s)
                self._mapped = replace(found, policies=replace(found.policies, weights=self._weights))
                self._made_of = made_of
            return self._mapped

    def bindings(self) -> Mapping[str, WorkloadBinding]:
        """As of the last `mapped`."""
        with self._lock:
            return self._mapped.bindings

    def _references(self, state: ObjectState) -> tuple[WorkloadRef, ...]:
        if state is not self._state:
            self._state = state
            self._refs = tuple(
                WorkloadRef(
                    workload.record.meta.namespace,
                    workload.record.meta.name,
                    workload.kind,
                    workload.record.meta.labels,
                )
                for workload in state.workloads.values()
            )
        return self._refs
