"""Database switchover before the primary fails, and the zone shift that has to come after it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from policies.decision import Proposal, Reason
from policies.model import Observation, PolicySet
from policies.zone_shift import ZoneShiftMemory


@dataclass(frozen=True, slots=True)
class FailoverMemory:
    """When each database was last asked to switch, how long each primary has looked bad, and the zones shifted."""

    asked_at_s: Mapping[str, float] = field(default_factory=dict)  # by database
    at_risk_since_s: Mapping[str, float] = field(default_factory=dict)  # by database
    zones: ZoneShiftMemory = field(default_factory=ZoneShiftMemory)


def propose(
    seen: Observation,
    signals: Forecast | None,
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    policies: PolicySet,
    memory: FailoverMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], FailoverMemory]:
    """Switchovers and zone shifts, and their undo."""
    return (), {}, memory
