"""The floor under an autoscaler: `minReplicas` of an HPA, `minReplicaCount` where KEDA owns the HPA.

Whoever else manages the field (Argo CD, Flux, Helm) may take it back: then theirs is the new original.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil

from foresail.actuators import marks, paths
from foresail.actuators.api import Api, Json, Reader
from foresail.actuators.patching import ABSENT, annotation, find
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import PlainField, Plan, Remembered, Stamp, lowered, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SetFloor

HPA_FLOOR = PlainField(marks.FLOOR, ("spec", "minReplicas"))
KEDA_FLOOR = PlainField(marks.FLOOR, ("spec", "minReplicaCount"))
#: What the field's absence means.
DEFAULT_BY_FIELD = {HPA_FLOOR: 1, KEDA_FLOOR: 0}
KEDA_DEFAULT_MAX = 100

DESCEND_RATIO = 0.10  # the larger of this
DESCEND_PODS = 1  # … and this
DESCEND_PERIOD_S = 60.0
JITTER_S = 5.0  # a job that runs every minute may come a little early

_KEDA_PAUSES = ("autoscaling.keda.sh/paused", "autoscaling.keda.sh/paused-replicas")


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Where one workload's floor and ceiling are written."""

    path: str
    floor: PlainField
    ceiling: tuple[str, ...]
    default_ceiling: int | None


def set_floor(api: Api, target: WorkloadTarget, action: SetFloor, stamp: Stamp, memory: Remembered) -> bool:
    """Whether something was written. Raises `ActRefused`."""
    bounds = _bounds(target)
    field = bounds.floor
    if action.floor < 0:
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: a floor of {action.floor} pods")
    _check_running(api, target)

    def plan(seen: Json) -> Plan | None:
        _check_pause(seen, target.key)
        found = find(seen, *bounds.ceiling)
        most = bounds.default_ceiling if found is ABSENT else found
        # A floor above the ceiling would be refused by the API server.
        floor = action.floor if most is None else min(action.floor, most)
        mark = marks.read(seen, field.key)
        if mark is not None and mark.original == floor and mark.written == field.read(seen):
            return restored(seen, field)  # back where people had it: there is nothing left to expire
        return written(seen, bounds.path, field, floor, stamp, memory)

    return send(api, bounds.path, field.key, memory, plan)


def check_floor(api: Reader, target: WorkloadTarget) -> None:
    """Raises what any floor would be refused for now."""
    bounds = _bounds(target)
    _check_running(api, target)
    _check_pause(api.get(bounds.path), target.key)


def _bounds(target: WorkloadTarget) -> _Bounds:
    if target.scaled_object is not None:
        path = paths.path(paths.SCALED_OBJECTS, target.namespace, target.scaled_object)
        return _Bounds(path, KEDA_FLOOR, ("spec", "maxReplicaCount"), KEDA_DEFAULT_MAX)
    if target.hpa is not None:
        return _Bounds(paths.path(paths.HPAS, target.namespace, target.hpa), HPA_FLOOR, ("spec", "maxReplicas"), None)
    detail = f"{target.key} has neither HPA nor ScaledObject: there is no floor to raise"
    raise ActRefused(RefusalReason.NO_AUTOSCALER, detail)


def descended(seen: Json, field: PlainField, now_s: float, epoch: int, periods_left: int | None) -> Plan | None:
    """One step of an expired floor towards its original, the whole way when it is near or there is no time left.

    `periods_left` is within how many minutes it has to be back; None: as long as it takes. Raises `ActRefused`.
    """
    mark = marks.read(seen, field.key)
    if mark is None or not isinstance(mark.written, int):
        return restored(seen, field)
    original = mark.original if isinstance(mark.original, int) else DEFAULT_BY_FIELD.get(field, 0)
    value = next_step(mark.written, original, periods_left)
    if value == original:
        return restored(seen, field)
    due_s = now_s + DESCEND_PERIOD_S - JITTER_S
    return lowered(seen, field, value, Stamp(now_s, due_s, epoch, mark.decision))


def next_step(standing: int, original: int, periods_left: int | None) -> int:
    """The number of pods one minute further down; at once where it goes up."""
    gap = standing - original
    step = max(DESCEND_PODS, ceil(DESCEND_RATIO * standing))
    if periods_left is not None:
        step = max(step, ceil(gap / periods_left)) if periods_left > 0 else gap
    return original if gap <= step else standing - step


def _check_running(api: Reader, target: WorkloadTarget) -> None:
    """Replicas 0 is how people switch a workload and its HPA off. KEDA's zero is another one: it wakes up by itself."""
    if target.scaled_object is None and find(api.get(target.path), "spec", "replicas") == 0:
        raise ActRefused(RefusalReason.SCALING_PAUSED, f"{target.key} was scaled to 0 by hand")


def _check_pause(seen: Json, key: str) -> None:
    for name in _KEDA_PAUSES:
        if annotation(seen, name) not in (None, "false"):
            raise ActRefused(RefusalReason.SCALING_PAUSED, f"{key}: annotation {name} pauses KEDA")
    if find(seen, "spec", "behavior", "scaleUp", "selectPolicy") == "Disabled":
        raise ActRefused(RefusalReason.SCALING_PAUSED, f"{key}: its HPA's scaleUp.selectPolicy is Disabled")
