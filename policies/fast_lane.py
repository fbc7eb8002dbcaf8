"""The fast reactive lane: once a second, no forecast, only positive evidence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from policies.decision import Proposal, Reason
from policies.model import FastSeen, PolicySet


@dataclass(frozen=True, slots=True)
class FastDrain:
    """A pod this lane took out of rotation."""

    workload: str
    pod: str
    zone: str | None
    asked_at_s: float
    expires_at_s: float
    cause: str  # "pod", "node" or "zone"
    ok_in_row: int = 0
    off_seen: bool = False


@dataclass(frozen=True, slots=True)
class FastLaneMemory:
    """Keys are `workload/pod`. Counters are seconds in a row."""

    failed_in_row: Mapping[str, int] = field(default_factory=dict)
    last_at_s: float | None = None
    drains: Mapping[str, FastDrain] = field(default_factory=dict)
    shifted_until_s: Mapping[str, float] = field(default_factory=dict)  # by zone
    overloaded_in_row: int = 0
    calm_in_row: int = 0
    ceilings: Mapping[str, float] = field(default_factory=dict)  # by workload
    ceilings_until_s: Mapping[str, float] = field(default_factory=dict)


def leaving(memory: FastLaneMemory) -> Mapping[str, int]:
    """Dead pods per workload that their ReplicaSet still counts: the floor is raised by them."""
    counts: dict[str, int] = {}
    for drain in memory.drains.values():
        counts[drain.workload] = counts.get(drain.workload, 0) + 1
    return counts


def propose(
    seen: FastSeen, policies: PolicySet, memory: FastLaneMemory, now_s: float
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], FastLaneMemory]:
    """Dead pods out of rotation and back, a dead zone shifted, an overloaded gateway dimmed."""
    return (), {}, memory
