"""Make-before-break: a degrading pod leaves only after its replacement serves.

The order is detach → replacement Ready and warm → traffic off → drained → look again → evict. Whatever goes wrong
before the eviction is undone: traffic on, then reattach.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Phase(StrEnum):
    """Where a replacement stands. Each name says what is being waited for."""

    DETACHING = "detaching"  # until the pod is seen outside its ReplicaSet
    WAITING = "waiting"  # until the replacement is Ready and warm
    DRAINING = "draining"  # until the pod gets no traffic any more
    EVICTING = "evicting"  # until the pod is gone
    UNDOING = "undoing"  # until traffic is on and the pod is back in its ReplicaSet


@dataclass(frozen=True, slots=True)
class Replacement:
    """One replacement under way. All that a restarted controller needs to carry on."""

    workload: str
    pod: str
    phase: Phase
    started_at_s: float
    phase_since_s: float
    deadline_s: float
    ready_before: int  # pods that were Ready when it began, this one included
    confidence: float
    signal: str  # what was expected to fail, for the explanation
    error_ratio_before: float | None = None
    off_since_s: float | None = None  # when the pod was first seen without traffic
