"""The ladder of acts: how sure one has to be for each rung, and how far up a policy lets Foresail climb."""

from __future__ import annotations

from policies.decision import Proposal, Reason, ReasonCode
from policies.model import Rung, WorkloadPolicy


def confidence_needed(rung: Rung, act_probability: float) -> float:
    """Confidence (0..1) that `rung` needs, strictly growing with the rung.

    `act_probability` is what a replacement needs. The other rungs keep their distance from it, whatever it is set to:
    at 0.60 they need 0.40 (reweight), 0.50 (drain), 0.60 (replace), 0.70 (switch over) and 0.80 (shift a zone).
    """
    doubt = 1.0 - act_probability
    return {
        Rung.OBSERVE: 0.0,
        Rung.PRE_SCALE: 0.0,  # judged by cost, not by confidence
        Rung.REWEIGHT: act_probability * 2.0 / 3.0,
        Rung.DRAIN: act_probability * 5.0 / 6.0,
        Rung.REPLACE: act_probability,
        Rung.SWITCH_OVER: 1.0 - 0.75 * doubt,
        Rung.SHIFT_ZONE: 1.0 - 0.50 * doubt,
    }[rung]


def allows(rung: Rung, policy: WorkloadPolicy) -> bool:
    """Whether the policy lets Foresail climb as far as `rung`."""
    return rung <= policy.healing.highest_rung


def objection(proposal: Proposal, policy: WorkloadPolicy) -> Reason | None:
    """Why the ladder refuses a proposal, None where it does not."""
    if not allows(proposal.rung, policy):
        return Reason(
            ReasonCode.RUNG_NOT_ALLOWED,
            {"rung": proposal.rung.name, "highest_rung": policy.healing.highest_rung.name},
        )
    needed = confidence_needed(proposal.rung, policy.healing.act_probability)
    # Probabilities come from counted samples: 60 of 100 must not lose to a rounding error of 0.6.
    if proposal.confidence < needed - 1e-9:
        return Reason(
            ReasonCode.CONFIDENCE_TOO_LOW,
            {"rung": proposal.rung.name, "confidence": proposal.confidence, "needed": needed},
        )
    return None
