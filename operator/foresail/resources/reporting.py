"""The status of a policy after a tick. When nothing has changed it equals the one before, and nobody writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from foresail.resources.conditions import ConditionSeen, with_history
from foresail.resources.news import decisions_shown
from foresail.resources.policy_resource import PolicyResource
from foresail.resources.shown import floor_in_short, floors_shown
from foresail.resources.status import (
    CalibrationShown,
    Condition,
    ConditionType,
    ForecastShown,
    ModeShown,
    Status,
    Truth,
)
from policies.decision import Decision
from policies.floors import FloorState
from policies.model import Mode

MOST_BYTES = 32 * 1024


def read_status(body: object) -> Status | None:
    """The status that stands in a resource's body, None where there is none that can be read."""
    written = body.get("status") if isinstance(body, Mapping) else None
    if not isinstance(written, Mapping):
        return None
    try:
        return Status.model_validate(written)
    except (ValidationError, RecursionError):
        return None


def status_of(
    policy: PolicyResource,
    decisions: Sequence[Decision],
    floors: Mapping[str, FloorState],
    calibration: CalibrationShown | None,
    conditions: Sequence[ConditionSeen],
    now_s: float,
    *,
    workloads: Sequence[str] = (),
    forecasts: Sequence[ForecastShown] = (),
    before: Status | None = None,
) -> Status:
    """What to show of one policy: the mode in force and why, floors, forecasts, calibration, last decisions.

    `decisions` are those that `news` found. They and `floors` may be of all workloads: what is shown is of `workloads`,
    the policy's own. Equal to `before` when nothing worth a write has changed.
    """
    own = set(workloads)
    shown_floors = floors_shown({name: state for name, state in floors.items() if name in own})
    was = before or Status()
    written = with_history(conditions, was.conditions, policy.generation, now_s)
    return _bounded(
        Status(
            observed_generation=policy.generation,
            mode=mode_in_force(policy, written),
            workloads=len(own),
            floor=floor_in_short(shown_floors),
            floors=shown_floors,
            forecasts=tuple(forecasts),
            calibration=calibration,
            decisions=decisions_shown([one for one in decisions if one.workload in own], was.decisions),
            conditions=written,
        )
    )


def mode_in_force(policy: PolicyResource, conditions: Sequence[Condition]) -> ModeShown:
    """What is done now, which may be less than the policy asks for."""
    true = {condition.type: condition for condition in conditions if condition.status is Truth.TRUE}
    if policy.spec is None:
        return ModeShown(in_force=Mode.OBSERVE, reason="Invalid", message="the policy cannot be followed: see Ready")
    paused = true.get(ConditionType.PAUSED)
    if paused is not None:
        return ModeShown(
            in_force=Mode.OBSERVE, reason=paused.reason, message=f"nothing is done: {paused.message}"[:700]
        )
    if policy.spec.mode is Mode.ENFORCE and ConditionType.CALIBRATION_POOR in true:
        message = (
            "forecasts have not earned trust: disruptive acts that rest on them are only recommended; floors go on"
        )
        return ModeShown(in_force=Mode.RECOMMEND, reason="CalibrationPoor", message=message)
    if ConditionType.METRICS_MISSING in true:
        message = "without metrics everything holds that rests on them; the fast lane goes on"
        return ModeShown(in_force=policy.spec.mode, reason="MetricsMissing", message=message)
    return ModeShown(in_force=policy.spec.mode, reason="AsDeclared")


def _bounded(status: Status) -> Status:
    """At most `MOST_BYTES` as JSON: the oldest decisions go first, then forecasts, then floors."""
    while len(json.dumps(status.body(), ensure_ascii=False).encode()) > MOST_BYTES:
        if len(status.decisions) > 1:
            status = status.model_copy(update={"decisions": status.decisions[:-1]})
        elif status.forecasts:
            status = status.model_copy(update={"forecasts": status.forecasts[:-1]})
        elif status.floors:
            status = status.model_copy(update={"floors": status.floors[:-1]})
        else:
            return status
    return status
