"""The operator's ceiling on optional content: set for a while, gone by itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

SHORTEST_TTL_S: Final = 1.0
LONGEST_TTL_S: Final = 3600.0


@dataclass(frozen=True, slots=True)
class CeilingSet:
    """A ceiling that holds until `until_s`, and why it was set."""

    ceiling: float
    until_s: float
    reason: str


class BrownoutCeiling:
    """The most optional content the dimmer may serve. Without a word from the operator, or after its time: all."""

    def __init__(self) -> None:
        self._set: CeilingSet | None = None

    def put(self, ceiling: float, ttl_s: float, reason: str, now_s: float) -> CeilingSet:
        """Replaces the ceiling. Raises ValueError naming the field that is out of its bounds."""
        if not 0.0 <= ceiling <= 1.0:
            raise ValueError("ceiling: give a share of optional content from 0 (none) to 1 (all)")
        if not SHORTEST_TTL_S <= ttl_s <= LONGEST_TTL_S:
            raise ValueError("ttl_s: give 1 to 3600 seconds; put it again to go on for longer")
        self._set = CeilingSet(ceiling, now_s + ttl_s, reason)
        return self._set

    def lift(self) -> None:
        """Forgets the ceiling."""
        self._set = None

    def current(self, now_s: float) -> CeilingSet | None:
        """What the operator set and has not run out; None: nothing."""
        if self._set is not None and now_s >= self._set.until_s:
            self._set = None
        return self._set

    def value(self, now_s: float) -> float:
        """The ceiling now, 1.0 without one."""
        current = self.current(now_s)
        return 1.0 if current is None else current.ceiling
