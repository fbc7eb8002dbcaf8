"""Traffic weights: a slow endpoint gets less before anybody takes it out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from policies.decision import Proposal, Reason, ReasonCode, SetWeights
from policies.model import Rung, WorkloadPolicy

STEP = 0.25  # weights are quantised: a route is not rewritten for a millisecond
LEAST = 0.25  # nobody is starved by weight, that is what a drain is for
HOLD_S = 5.0  # gateways drop requests when routes are written more often
TTL_S = 120.0


@dataclass(frozen=True, slots=True)
class StandingWeights:
    """Weights that were asked for and have not expired."""

    weights: Mapping[str, float]
    changed_at_s: float
    expires_at_s: float


@dataclass(frozen=True, slots=True)
class WeightsMemory:
    standing: Mapping[str, StandingWeights] = field(default_factory=dict)  # by workload


def quantised(ratio: float) -> float:
    """A weight for an endpoint that does `ratio` of its peers' work in the same time."""
    return min(1.0, max(LEAST, round(ratio / STEP) * STEP))


def propose(
    policy: WorkloadPolicy,
    slow: Mapping[str, float],
    reasons: tuple[Reason, ...],
    confidence: float,
    memory: WeightsMemory,
    now_s: float,
) -> tuple[Proposal | None, WeightsMemory]:
    """New weights for one workload, or their renewal, or their end.

    `slow` is how fast each outlier among the endpoints is against its peers (0..1); empty when there is none. `reasons`
    are those of this look; empty while an outlier is only remembered.
    """
    name = policy.workload
    before = memory.standing.get(name)
    if before is not None and now_s >= before.expires_at_s:
        memory, before = _without(memory, name), None
    wanted = {pod: weight for pod, ratio in sorted(slow.items()) if (weight := quantised(ratio)) < 1.0}
    if before is None and not wanted:
        return None, memory
    if before is not None and now_s - before.changed_at_s < HOLD_S:
        return None, memory
    if before is not None and not wanted:
        equal = SetWeights(name, dict.fromkeys(before.weights, 1.0), now_s + TTL_S)
        recovered = Reason(ReasonCode.RECOVERED, {"pod": ", ".join(before.weights)})
        return Proposal(name, Rung.REWEIGHT, equal, 1.0, (recovered,), disruptive=False), _without(memory, name)
    fresh = before is not None and before.expires_at_s - now_s > 0.5 * TTL_S
    if before is not None and dict(before.weights) == wanted and (fresh or not reasons):
        return None, memory  # nothing new, or nothing seen at this look that would justify a renewal
    action = SetWeights(name, wanted, now_s + TTL_S)
    standing = StandingWeights(wanted, now_s, now_s + TTL_S)
    kept = replace(memory, standing={**memory.standing, name: standing})
    return Proposal(name, Rung.REWEIGHT, action, confidence, reasons, disruptive=False), kept


def _without(memory: WeightsMemory, name: str) -> WeightsMemory:
    return replace(memory, standing={key: value for key, value in memory.standing.items() if key != name})
