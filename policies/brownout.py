"""Brownout: optional content dimmed for the seconds until new pods are Ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from forecasting.forecast import Forecast
from policies.decision import Proposal, Reason
from policies.model import Observation, PolicySet


@dataclass(frozen=True, slots=True)
class StandingCeiling:
    """A ceiling that was asked for and has not been lifted."""

    ceiling: float
    changed_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class BrownoutMemory:
    standing: Mapping[str, StandingCeiling] = field(default_factory=dict)  # by workload


def propose(
    seen: Observation,
    demand: Forecast | None,
    capacity_rps: Mapping[str, float],
    lead_s: Mapping[str, float],
    policies: PolicySet,
    memory: BrownoutMemory,
    now_s: float,
) -> tuple[tuple[Proposal, ...], Mapping[str, tuple[Reason, ...]], BrownoutMemory]:
    """Ceilings to lower ahead of a shortage, to renew and to lift."""
    return (), {}, memory
