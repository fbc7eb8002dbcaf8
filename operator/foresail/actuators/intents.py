"""What is about to be done in several steps, written down first, so that a successor neither forgets nor repeats it.

One ConfigMap, written only at the version it was last seen at and by the replica that holds it. A leader that was
superseded without noticing fails here before it touches anything.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any

from foresail.actuators import paths
from foresail.actuators.api import Api, Json
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import Stamp
from policies.decision import ShiftZone, SwitchOver

NAME = "foresail-intents"
_HOLDER, _OPEN = "holder", "intents"


@dataclass(frozen=True, slots=True)
class Intent:
    """One act of several steps. `action` holds its fields; `key` lets one of a kind run on one object at a time."""

    key: str
    act: str
    action: dict[str, Any]
    at_s: float
    epoch: int
    decision: str


def intent_of(key: str, action: ShiftZone | SwitchOver, stamp: Stamp) -> Intent:
    return Intent(key, type(action).__name__, asdict(action), stamp.now_s, stamp.epoch, stamp.decision)


class Intents:
    """`take_over` first in every term of leadership; then `begin` and `finish`. All raise `ActRefused`."""

    def __init__(self, api: Api, namespace: str, identity: str) -> None:
        self._api, self._namespace, self._identity = api, namespace, identity
        self._holder = ""
        self._map: Json | None = None
        self.open: dict[str, Intent] = {}

    def take_over(self, epoch: int) -> tuple[Intent, ...]:
        """Makes this replica the only writer; answers what its predecessor had begun."""
        self._holder = f"{self._identity}/{epoch}"
        self._map = self._read()
        data = (self._map or {}).get("data") or {}
        self.open = _parsed(data.get(_OPEN))
        self._write(self.open)
        return tuple(self.open.values())

    def begin(self, intent: Intent) -> None:
        self._write(self.open | {intent.key: intent})

    def finish(self, key: str) -> None:
        if key in self.open:
            self._write({name: intent for name, intent in self.open.items() if name != key})

    def clear(self, epoch: int) -> None:
        """Nothing is under way any more. Leaves no ConfigMap where there was none."""
        if self._read() is not None:
            self.take_over(epoch)
            self._write({})

    def _write(self, intents: dict[str, Intent]) -> None:
        try:
            self._send(intents)
        except ActRefused as refused:
            if refused.reason not in (RefusalReason.CONFLICT, RefusalReason.NOT_FOUND):
                raise
            self._look_again()
            self._send(intents)
        self.open = intents

    def _look_again(self) -> None:
        """A label on the ConfigMap, an answer of ours that was lost, or another leader."""
        self._map = self._read()
        holder = ((self._map or {}).get("data") or {}).get(_HOLDER)
        if self._map is not None and holder != self._holder:
            raise ActRefused(RefusalReason.SUPERSEDED, f"ConfigMap {self._namespace}/{NAME} is held by {holder}")

    def _send(self, intents: dict[str, Intent]) -> None:
        shown = json.dumps([asdict(intent) for intent in intents.values()], sort_keys=True)
        data = {_HOLDER: self._holder, _OPEN: shown}
        if self._map is None:
            body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": NAME}, "data": data}
            self._map = self._api.create(paths.path(paths.CONFIG_MAPS, self._namespace), body)
        else:
            body = self._map | {"data": data}
            self._map = self._api.replace(paths.path(paths.CONFIG_MAPS, self._namespace, NAME), body)

    def _read(self) -> Json | None:
        try:
            return self._api.get(paths.path(paths.CONFIG_MAPS, self._namespace, NAME))
        except ActRefused as refused:
            if refused.reason is RefusalReason.NOT_FOUND:
                return None
            raise


def _parsed(text: object) -> dict[str, Intent]:
    """Intents that can be read; one that cannot is dropped, since every act can be decided anew."""
    try:
        rows = json.loads(text) if isinstance(text, str) else []
    except ValueError:
        return {}
    found: dict[str, Intent] = {}
    for row in rows if isinstance(rows, list) else ():
        try:
            intent = Intent(**row)
            found[str(intent.key)] = intent
        except TypeError:
            continue
    return found
