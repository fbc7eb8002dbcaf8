"""Replicas of a workload that nothing else scales, through its scale subresource.

The subresource shows no annotations, so the mark lies on the object itself and is written first: replicas that changed
without a record could not be taken back. A mark whose second write is missing looks as if somebody had put back the
very value that it replaces; after a change of leader such a one is finished, not counted as a reversal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from foresail.actuators import marks, paths
from foresail.actuators.api import Api, Json
from foresail.actuators.floors import DESCEND_PERIOD_S, JITTER_S, next_step
from foresail.actuators.marks import Mark, Value
from foresail.actuators.patching import Patch
from foresail.actuators.paths import Kind
from foresail.actuators.refusals import ActRefused, RefusalReason
from foresail.actuators.standing import ATTEMPTS, PlainField, Plan, Remembered, Stamp, send, unsign, written
from foresail.actuators.targets import WorkloadTarget
from policies.decision import SetScale

REPLICAS = PlainField(marks.SCALE, ("spec", "replicas"))
#: Kinds whose objects have their replicas there themselves, as every Scale has.
PLAIN = frozenset({paths.DEPLOYMENTS, paths.STATEFUL_SETS})


def set_scale(api: Api, target: WorkloadTarget, action: SetScale, stamp: Stamp, memory: Remembered) -> bool:
    """Whether something was written. Raises `ActRefused`."""
    if target.hpa is not None or target.scaled_object is not None:
        raise ActRefused(RefusalReason.HAS_AUTOSCALER, f"{target.key}: an autoscaler writes its replicas")
    if action.replicas < 0:
        raise ActRefused(RefusalReason.INVALID, f"{target.key}: {action.replicas} replicas")
    path, wanted = target.path, action.replicas

    def plan(seen: Json) -> Plan | None:
        standing = _standing(api, target.kind, path, seen)
        if standing.replicas == 0:
            raise ActRefused(RefusalReason.SCALING_PAUSED, f"{target.key} was scaled to 0 by hand")
        replaces = None if standing.replicas == wanted else standing.replicas
        field = _Announced(standing, memory.of(path, marks.SCALE, seen))
        return written(seen, path, field, wanted, stamp, memory, replaces=replaces)

    announced = send(api, path, marks.SCALE, memory, plan)
    seen = api.get(path)
    mark = marks.read(seen, marks.SCALE)
    if mark is None or mark.written != wanted:
        return announced  # it stood already by somebody else's will
    scaled = _scale(api, path, wanted)
    if not api.dry_run:
        memory.note(path, marks.SCALE, seen, replace(mark, replaces=None))
    return announced or scaled


def give_back(api: Api, kind: Kind, path: str, now_s: float, epoch: int, periods_left: int | None) -> bool:
    """One step of expired replicas towards their original; whether they and the mark are gone. Raises `ActRefused`."""
    seen = api.get(path)
    mark = marks.read(seen, marks.SCALE)
    if mark is None:
        return True
    standing = _standing(api, kind, path, seen)
    ours = standing.once_done(mark) == mark.written
    if ours and isinstance(mark.written, int) and isinstance(mark.original, int):
        value = next_step(mark.written, mark.original, periods_left)
        if value != mark.original:
            due_s = now_s + DESCEND_PERIOD_S - JITTER_S
            stepped = replace(mark, written=value, replaces=mark.written, expires_at_s=due_s)
            _announce(api, path, seen, standing, stepped)
            _scale(api, path, value)
            return False
        _scale(api, path, value)
        seen = api.get(path)
    patch = Patch(seen)
    unsign(patch, seen, marks.SCALE)
    api.patch(path, patch.operations())
    return True


@dataclass(frozen=True, slots=True)
class _Standing:
    """Replicas as they stand. `plain`: the object itself holds them, where every object does."""

    replicas: Value
    plain: bool

    def once_done(self, mark: Mark) -> Value:
        """What stands once the mark's second write is done."""
        return mark.written if mark.replaces is not None and self.replicas == mark.replaces else self.replicas

    def guard(self, patch: Patch) -> None:
        """Replicas that lie who knows where in the object can only be guarded with all of it."""
        if self.plain:
            patch.keep(*REPLICAS.path)
        else:
            patch.keep_whole()


def _standing(api: Api, kind: Kind, path: str, seen: Json) -> _Standing:
    if kind in PLAIN:
        return _Standing(REPLICAS.read(seen), plain=True)
    found = REPLICAS.read(api.get(f"{path}/scale"))
    return _Standing(0 if found is None else found, plain=False)  # left out of JSON where it is 0


@dataclass(frozen=True, slots=True)
class _Announced:
    """Replicas as the mark announces them. Writing is left to the second request; here they are only guarded."""

    standing: _Standing
    remembered: Mark | None
    key: str = marks.SCALE

    def read(self, seen: Json) -> Value:
        mark = marks.read(seen, self.key)
        finished = self.remembered is not None and mark is not None and self.remembered.written == mark.written
        return self.standing.replicas if mark is None or finished else self.standing.once_done(mark)

    def write(self, patch: Patch, value: Value) -> None:
        self.standing.guard(patch)


def _announce(api: Api, path: str, seen: Json, standing: _Standing, mark: Mark) -> None:
    patch = Patch(seen)
    standing.guard(patch)
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
