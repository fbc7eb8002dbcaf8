"""Replicas of a workload that nothing else scales, through its scale subresource.

The subresource shows no annotations, so the mark lies on the object itself and is written first: replicas that changed
without a record could not be taken back. A mark whose second write is missing looks as if somebody had put back the
very value that it replaces; after a change of leader such a one is finished, not counted as a reversal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from foresail.actuators import marks
from foresail.actuators.api import Api, Json
from foresail.actuators.floors import DESCEND_PERIOD_S, JITTER_S, next_step
from foresail.actuators.marks import Mark, Value
from foresail.actuators.patching import Patch
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import ATTEMPTS, PlainField, Plan, Remembered, Stamp, send, unsign, written
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SetScale

REPLICAS = PlainField(marks.SCALE, ("spec", "replicas"))


def set_scale(api: Api, target: WorkloadTarget, action: SetScale, stamp: Stamp, memory: Remembered) -> bool:
    """Whether something was written. Raises `ActRefused`."""
    if target.hpa is not None or target.scaled_object is not None:
        raise ActRefused(RefusalReason.HAS_AUTOSCALER, f"{target.key}: an autoscaler writes its replicas")
    if action.replicas < 0:
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: {action.replicas} replicas")
    path, wanted = target.path, action.replicas

    def plan(seen: Json) -> Plan | None:
        current = REPLICAS.read(seen)
        if current == 0:
            raise ActRefused(RefusalReason.SCALING_PAUSED, f"{target.key} was scaled to 0 by hand")
        replaces = None if current == wanted else current
        return written(
            seen, path, _Announced(memory.of(path, marks.SCALE, seen)), wanted, stamp, memory, replaces=replaces
        )

    announced = send(api, path, marks.SCALE, memory, plan)
    seen = api.get(path)
    mark = marks.read(seen, marks.SCALE)
    if mark is None or mark.written != wanted:
        return announced  # it stood already by somebody else's will
    scaled = _scale(api, path, wanted)
    if not api.dry_run:
        memory.note(path, marks.SCALE, seen, replace(mark, replaces=None))
    return announced or scaled


def give_back(api: Api, path: str, now_s: float, epoch: int, periods_left: int | None) -> bool:
    """One step of expired replicas towards their original; whether they and the mark are gone. Raises `ActRefused`."""
    seen = api.get(path)
    mark = marks.read(seen, marks.SCALE)
    if mark is None:
        return True
    if _effective(seen, mark) == mark.written and isinstance(mark.written, int) and isinstance(mark.original, int):
        value = next_step(mark.written, mark.original, periods_left)
        if value != mark.original:
            due_s = now_s + DESCEND_PERIOD_S - JITTER_S
            _announce(api, path, seen, replace(mark, written=value, replaces=mark.written, expires_at_s=due_s))
            _scale(api, path, value)
            return False
        _scale(api, path, value)
        seen = api.get(path)
    patch = Patch(seen)
    unsign(patch, seen, marks.SCALE)
    api.patch(path, patch.operations())
    return True


@dataclass(frozen=True, slots=True)
class _Announced:
    """Replicas as the mark announces them. Writing is left to the second request; here they are only guarded."""

    remembered: Mark | None
    key: str = marks.SCALE

    def read(self, seen: Json) -> Value:
        mark = marks.read(seen, self.key)
        finished = self.remembered is not None and mark is not None and self.remembered.written == mark.written
        return REPLICAS.read(seen) if mark is None or finished else _effective(seen, mark)

    def write(self, patch: Patch, value: Value) -> None:
        patch.keep(*REPLICAS.path)


def _effective(seen: Json, mark: Mark) -> Value:
    """What stands once the mark's second write is done."""
    current = REPLICAS.read(seen)
    return mark.written if mark.replaces is not None and current == mark.replaces else current


def _announce(api: Api, path: str, seen: Json, mark: Mark) -> None:
    patch = Patch(seen)
    patch.keep(*REPLICAS.path)
    patch.annotate(marks.SCALE, mark.text())
    api.patch(path, patch.operations())


def _scale(api: Api, path: str, replicas: int) -> bool:
    """The second write; False when the replicas are so already."""
    for attempt in range(1, ATTEMPTS + 1):
        scale = api.get(f"{path}/scale")
        if REPLICAS.read(scale) == replicas:
            return False
        patch = Patch(scale)
        patch.put(REPLICAS.path, replicas)
        try:
            api.patch(f"{path}/scale", patch.operations())
        except ActRefused as refused:
            if refused.reason is not RefusalReason.CHANGED_MEANWHILE or attempt == ATTEMPTS:
                raise
            continue
        return True
    return False
