"""ResiliencePolicies as the API server last showed them: told by watch events, made whole by lists."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import dataclass

from foresail.resources.policy_resource import PolicyResource, read_policy
from foresail.resources.problems import PolicyName
from foresail.resources.reporting import read_status
from foresail.resources.status import Status


@dataclass(frozen=True, slots=True)
class StoredPolicies:
    """All of them at one moment. `version` changes whenever anything does."""

    version: int
    resources: tuple[PolicyResource, ...]


class PolicyStore:
    """Written by kopf's handlers and by the lister, read by the loop: all from threads of their own.

    A list that began before an event must not undo it: every entry, gone ones too, knows when it was last told of.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turn = 0
        self._entries: dict[PolicyName, tuple[int, PolicyResource | None]] = {}
        self._stored = StoredPolicies(0, ())
        self._known = False
        self._statuses: dict[PolicyName, Status] = {}

    @property
    def known(self) -> bool:
        """Whether they have been listed: before that, a policy that is not here may exist all the same."""
        with self._lock:
            return self._known

    def snapshot(self) -> StoredPolicies:
        """The same value as before while nothing changed."""
        with self._lock:
            return self._stored

    def status(self, policy: PolicyName) -> Status | None:
        """What stands in the resource for people to read, None: nothing that can be read."""
        with self._lock:
            return self._statuses.get(policy)

    def put(self, body: object) -> None:
        """An event showed this object. What is wrong with it becomes its problem, never ours."""
        found, status = read_policy(body), read_status(body)
        with self._lock:
            self._turn += 1
            self._note_status(found.name, status)
            self._set(found.name, found)
            self._publish()

    def remove(self, body: object) -> None:
        name = read_policy(body).name
        with self._lock:
            self._turn += 1
            self._set(name, None)
            self._note_status(name, None)
            self._publish()

    def listing(self) -> int:
        """To be asked before a list is requested; its answer goes into `listed`."""
        with self._lock:
            self._turn += 1
            return self._turn

    def listed(self, turn: int, bodies: Iterable[object]) -> None:
        """Everything that there was when `listing` gave this turn, or later."""
        read = [(read_policy(body), read_status(body)) for body in bodies]
        found = {resource.name: resource for resource, _ in read}
        statuses = {resource.name: status for resource, status in read}
        with self._lock:
            for name in {*self._entries, *found}:
                told_at, _ = self._entries.get(name, (0, None))
                if told_at <= turn:
                    self._set(name, found.get(name), turn)
                    self._note_status(name, statuses.get(name))
            self._entries = {name: entry for name, entry in self._entries.items() if entry[1] or entry[0] > turn}
            self._known = True
            self._publish()

    def _note_status(self, name: PolicyName, status: Status | None) -> None:
        if status is None:
            self._statuses.pop(name, None)
        else:
            self._statuses[name] = status

    def _set(self, name: PolicyName, resource: PolicyResource | None, turn: int | None = None) -> None:
        self._entries[name] = (self._turn if turn is None else turn, resource)

    def _publish(self) -> None:
        resources = tuple(
            resource for _, (_, resource) in sorted(self._entries.items(), key=lambda entry: entry[0]) if resource
        )
        if resources != self._stored.resources:
            self._stored = StoredPolicies(self._stored.version + 1, resources)
