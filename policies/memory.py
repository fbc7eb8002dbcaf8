"""Everything the decision core remembers between two looks, as one value that survives a restart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from policies.brownout import BrownoutMemory
from policies.calibration_gate import TrustMemory
from policies.capacity import CapacityState
from policies.failover import FailoverMemory
from policies.fast_lane import FastLaneMemory
from policies.guardrails import GuardrailMemory
from policies.healing import HealingMemory
from policies.lead_time import LeadTimeState
from policies.subject import ScalingState


@dataclass(frozen=True, slots=True)
class Memory:
    """What was learned per workload, and what every part of the core has under way.

    Forecaster states are not here: each forecaster dumps its own.
    """

    capacity: Mapping[str, CapacityState] = field(default_factory=dict)
    lead_time: Mapping[str, LeadTimeState] = field(default_factory=dict)
    scaling: Mapping[str, ScalingState] = field(default_factory=dict)
    healing: HealingMemory = field(default_factory=HealingMemory)
    failover: FailoverMemory = field(default_factory=FailoverMemory)
    brownout: BrownoutMemory = field(default_factory=BrownoutMemory)
    fast_lane: FastLaneMemory = field(default_factory=FastLaneMemory)
    guardrails: GuardrailMemory = field(default_factory=GuardrailMemory)
    trust: TrustMemory = field(default_factory=TrustMemory)
    ticks: int = 0


_ADAPTER: TypeAdapter[Memory] = TypeAdapter(Memory)


def dump(memory: Memory) -> Any:
    """The memory as a JSON value; `load` brings back an equal one."""
    return _ADAPTER.dump_python(memory, mode="json")


def load(dumped: Any) -> Memory:
    """Raises pydantic's `ValidationError` for anything that `dump` cannot have written."""
    return _ADAPTER.validate_python(dumped)
