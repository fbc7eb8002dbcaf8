"""The brakes. Every proposal passes here; undoing is never stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from policies.decision import Proposal, Veto
from policies.model import FastSeen, Observation, PolicySet


@dataclass(frozen=True, slots=True)
class InFlight:
    """The disruptive act that holds a workload's token."""

    kind: str  # "drain", "replace", "shift", "switchover", "brownout"
    target: str
    since_s: float
    until_s: float
    seen: bool = False  # its effect was observed
    undoing: bool = False


@dataclass(frozen=True, slots=True)
class GuardrailMemory:
    in_flight: Mapping[str, InFlight] = field(default_factory=dict)  # by workload
    last_act_s: Mapping[str, float] = field(default_factory=dict)  # by workload
    acts_at_s: tuple[float, ...] = ()  # disruptive acts of all workloads, for the storm brake
    reversals_at_s: Mapping[str, tuple[float, ...]] = field(default_factory=dict)  # by workload


def judge(
    proposals: Sequence[Proposal],
    context: Observation | FastSeen,
    policies: PolicySet,
    memory: GuardrailMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], tuple[Veto, ...], GuardrailMemory]:
    """What may be done, what may not and why."""
    return tuple(proposals), (), memory
