"""What Foresail leaves on an object that it changed: what it wrote over what, in which term, until when."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foresail.actuators.api import Json
from foresail.actuators.patching import annotation, label
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.objects import names

#: On every object that carries a mark, so that they can be listed cheaply.
MANAGED_LABEL = "foresail.dev/managed"
#: Unix seconds until which an object is left to whoever else writes it.
CONTESTED = "foresail.dev/contested"

TRAFFIC_LABEL = names.TRAFFIC_LABEL
ON, OFF = "on", names.TRAFFIC_OFF

FLOOR = "foresail.dev/floor"
SCALE = "foresail.dev/scale"
CORDON = names.CORDON
DETACHED = names.DETACHED
DRAINED = "foresail.dev/drained"
SHIFTED = "foresail.dev/shifted"
WEIGHTS = "foresail.dev/weights"
BROWNOUT = "foresail.dev/brownout"
ALL = (FLOOR, SCALE, CORDON, DETACHED, DRAINED, SHIFTED, WEIGHTS, BROWNOUT)

Value = Any  # JSON: what stood or stands in the field; None: nothing stood there


@dataclass(frozen=True, slots=True)
class Mark:
    """One value of ours over somebody else's."""

    original: Value
    written: Value
    epoch: int
    expires_at_s: float  # Unix time
    decision: str
    #: Annotations written along with it: what stood there (None: nothing) and what we wrote.
    also: Mapping[str, tuple[str | None, str]] = field(default_factory=dict)
    reversed_at_s: tuple[float, ...] = ()  # when somebody else was found to have replaced our value
    about: str = ""  # the zone of a shift, the workload of a pod
    replaces: Value = None  # where the value is written by a second request: what that one replaces

    def text(self) -> str:
        shown: Json = {
            "original": self.original,
            "written": self.written,
            "epoch": self.epoch,
            "expires_at": self.expires_at_s,
            "decision": self.decision,
        }
        if self.also:
            shown["also"] = {key: list(pair) for key, pair in self.also.items()}
        if self.reversed_at_s:
            shown["reversed_at"] = list(self.reversed_at_s)
        if self.about:
            shown["about"] = self.about
        if self.replaces is not None:
            shown["replaces"] = self.replaces
        return json.dumps(shown, sort_keys=True, separators=(",", ":"))


def read(seen: Json, key: str) -> Mark | None:
    """The mark of one act, None without one. Raises `MARK_UNREADABLE` where somebody edited it."""
    text = annotation(seen, key)
    if text is None:
        return None
    try:
        return _parsed(json.loads(text))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        name = seen["metadata"].get("name")
        detail = f"{name}: annotation {key} is not what Foresail wrote ({error}): restore or remove it by hand"
        raise ActRefused(RefusalReason.MARK_UNREADABLE, detail) from error


def _parsed(shown: Any) -> Mark:
    expires_at_s, epoch = float(shown["expires_at"]), shown["epoch"]
    if not math.isfinite(expires_at_s) or not isinstance(epoch, int):
        raise ValueError("expires_at must be finite, epoch an integer")
    return Mark(
        original=shown["original"],
        written=shown["written"],
        epoch=epoch,
        expires_at_s=expires_at_s,
        decision=str(shown["decision"]),
        also=_pairs(shown.get("also") or {}),
        reversed_at_s=tuple(float(at_s) for at_s in shown.get("reversed_at") or ()),
        about=str(shown.get("about") or ""),
        replaces=shown.get("replaces"),
    )


def _pairs(shown: Any) -> dict[str, tuple[str | None, str]]:
    return {str(name): (None if before is None else str(before), str(ours)) for name, (before, ours) in shown.items()}


def carried(seen: Json) -> tuple[str, ...]:
    """Our annotations on an object: marks, and the note of a contest."""
    return tuple(key for key in (*ALL, CONTESTED) if annotation(seen, key) is not None)


def is_managed(seen: Json) -> bool:
    return label(seen, MANAGED_LABEL) is not None
