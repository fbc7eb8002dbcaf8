"""Zone shift: a whole zone out of rotation, by evidence, with an expiry, and only if the others can carry the load."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StandingShift:
    """A zone that was asked out of rotation."""

    workloads: tuple[str, ...]
    asked_at_s: float
    expires_at_s: float
    healthy_since_s: float | None = None


@dataclass(frozen=True, slots=True)
class ZoneShiftMemory:
    standing: Mapping[str, StandingShift] = field(default_factory=dict)  # by zone
    suspected_since_s: Mapping[str, float] = field(default_factory=dict)  # by zone
