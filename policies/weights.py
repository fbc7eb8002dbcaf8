"""Traffic weights: a slow endpoint gets less before anybody takes it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class StandingWeights:
    """Weights that were asked for and have not expired."""

    weights: Mapping[str, float]
    changed_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class WeightsMemory:
    standing: Mapping[str, StandingWeights] = field(default_factory=dict)  # by workload
