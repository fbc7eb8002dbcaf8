"""Why a floor is what it is: one reason with the numbers that a sentence about it needs."""

from __future__ import annotations

from collections.abc import Mapping

from forecasting.forecast import DeclaredEvent
from policies.decision import Reason, ReasonCode
from policies.floors import Bounds
from policies.needs import Needs
from policies.subject import TICK_S, Subject


def facts_of(subject: Subject, needs: Needs, index: int, current: int, value: int) -> dict[str, float | str]:
    capacity_rps = subject.capacity.rps
    ready = len(subject.seen.endpoints)
    facts: dict[str, float | str] = {
        "floor_before": float(current),
        "floor": float(value),
        "pods_needed": float(needs.pods[index]),
        "ready_pods": float(ready),
        "demand_rps": float(needs.peak_p95_rps[index]),
        "demand_median_rps": float(needs.peak_median_rps[index]),
        "current_rps": subject.state.measured_rps[-1],
        "at_s": float(needs.peak_at_s[index]),
        "capacity_rps": capacity_rps * ready,
        "pod_capacity_rps": capacity_rps,
        "lead_s": subject.lead_s,
    }
    slo = subject.capacity.slo_utilization
    if slo is not None and subject.saturation_utilization == slo:
        facts["slo_busy_ratio"] = slo
    if subject.factor != 1.0:
        facts["through"] = subject.policy.entry or ""
    if subject.missing:
        facts["missing_pods"] = float(subject.missing)
    return facts


def main_reason(
    subject: Subject, current: int, value: int, limits: Bounds, facts: Mapping[str, float | str], now_s: float
) -> Reason:
    if value > current:
        event = _event_ahead(subject, now_s)
        if event is None:
            return Reason(ReasonCode.DEMAND_EXPECTED, facts)
        stage = "coming" if now_s < event.starts_at_s else "on"
        declared: Mapping[str, float | str] = {"event": event.name, "stage": stage, "multiplier": event.multiplier}
        return Reason(ReasonCode.DEMAND_DECLARED, {**facts, **declared})
    if value < current:
        return Reason(ReasonCode.DEMAND_FALLING, facts)
    if value > limits.base:
        return Reason(ReasonCode.FLOOR_HELD, facts)
    return Reason(ReasonCode.DEMAND_FITS, facts)


def _event_ahead(subject: Subject, now_s: float) -> DeclaredEvent | None:
    """The declared event that raises demand before pods asked for now are Ready."""
    until_s = now_s + subject.lead_s + TICK_S
    name = subject.seen.name
    for event in subject.policy.events:
        concerns = not event.series or name in event.series or subject.policy.entry in event.series
        if concerns and event.multiplier > 1.0 and event.starts_at_s <= until_s and now_s < event.ends_at_s:
            return event
    return None
