"""Healing of pods: who will fail before help could arrive, who is worse than its peers, and what to do about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from policies.decision import Proposal, Reason
from policies.model import Observation, PolicySet
from policies.replacement import Replacement
from policies.weights import WeightsMemory


@dataclass(frozen=True, slots=True)
class Watch:
    """A failure signal that was forecast to hit its limit; hysteresis lives here."""

    workload: str
    pod: str
    confirmations: int  # forecasts in a row that said so
    last_issued_at_s: float
    probability: float


@dataclass(frozen=True, slots=True)
class Suspect:
    """A pod that stood out among its peers."""

    workload: str
    pod: str
    since_s: float
    last_seen_s: float
    sightings: int
    drained_before: int = 0


@dataclass(frozen=True, slots=True)
class Drain:
    """A pod out of rotation by our hand, or about to be: `off_seen` tells."""

    workload: str
    pod: str
    asked_at_s: float
    expires_at_s: float
    signal: str
    confidence: float
    endpoints_before: int
    off_seen: bool = False
    preparing: bool = False  # the floor is raised first


@dataclass(frozen=True, slots=True)
class HealingMemory:
    """Keys are `SignalTarget.key` for watches, `workload/pod` for suspects and drains, workloads for replacements."""

    watches: Mapping[str, Watch] = field(default_factory=dict)
    suspects: Mapping[str, Suspect] = field(default_factory=dict)
    drains: Mapping[str, Drain] = field(default_factory=dict)
    replacements: Mapping[str, Replacement] = field(default_factory=dict)
    weights: WeightsMemory = field(default_factory=WeightsMemory)


def leaving(memory: HealingMemory) -> Mapping[str, int]:
    """Pods per workload that stay in their ReplicaSet but serve nothing, or soon will: the floor is raised by them."""
    counts: dict[str, int] = {}
    for drain in memory.drains.values():
        counts[drain.workload] = counts.get(drain.workload, 0) + 1
    return counts


def propose(
    seen: Observation,
    signals: Forecast | None,
    policies: PolicySet,
    lead_s: Mapping[str, float],
    memory: HealingMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], HealingMemory]:
    """What healing would do now, what it has to say per workload, and what it remembers."""
    return (), {}, memory
