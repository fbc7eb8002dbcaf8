"""Values of ours that stand over other people's: written, renewed, given up to whoever insists, taken back.

Each function plans one guarded patch for one object as it was read. The engine below reads, plans, patches, and plans
anew when the object changed in between.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from foresail.actuators import marks
from foresail.actuators.api import Api, Json
from foresail.actuators.marks import Mark, Value
from foresail.actuators.patching import ABSENT, Patch, annotation, find
from foresail.actuators.refusals import ActRefused, RefusalReason, Refused

CONTEST_WINDOW_S = 600.0
CONTEST_REVERSALS = 2
CONTEST_HOLD_S = 3600.0  # how long somebody who insists is left alone
ATTEMPTS = 3  # reads of one object for one write


class Field(Protocol):
    """One field that an act changes."""

    @property
    def key(self) -> str:
        """The annotation that holds its mark."""
        ...

    def read(self, seen: Json) -> Value: ...

    def write(self, patch: Patch, value: Value) -> None: ...


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a write is signed with."""

    now_s: float
    expires_at_s: float
    epoch: int
    decision: str


@dataclass(frozen=True, slots=True)
class Plan:
    """A patch to send. `mark` is what stands afterwards, `refused` what to say once it is sent."""

    patch: Patch
    mark: Mark | None
    refused: Refused | None = None


@dataclass(slots=True)
class Remembered:
    """Marks as this process last wrote them: somebody who replaces a whole object takes our annotations along."""

    marks: dict[tuple[str, str], tuple[str, Mark]] = field(default_factory=dict)  # (path, key) → uid, mark

    def of(self, path: str, key: str, seen: Json) -> Mark | None:
        uid, mark = self.marks.get((path, key), ("", None))
        return mark if mark is not None and uid == seen["metadata"]["uid"] else None

    def standing(self, key: str, now_s: float) -> list[Mark]:
        """Marks of one act that have not expired."""
        return [mark for (_, act), (_, mark) in self.marks.items() if act == key and mark.expires_at_s > now_s]

    def due(self, now_s: float) -> bool:
        return any(mark.expires_at_s <= now_s for _, mark in self.marks.values())

    def drop_due(self, now_s: float) -> None:
        """Of objects that are gone: whatever was there has just been taken back."""
        self.marks = {key: row for key, row in self.marks.items() if row[1].expires_at_s > now_s}

    def note(self, path: str, key: str, seen: Json, mark: Mark | None) -> None:
        if mark is None:
            self.marks.pop((path, key), None)
        else:
            self.marks[(path, key)] = (seen["metadata"]["uid"], mark)


def send(api: Api, path: str, key: str, memory: Remembered, plan: Callable[[Json], Plan | None]) -> bool:
    """Whether anything had to be written. Raises the plan's refusal once its patch is through."""
    for attempt in range(1, ATTEMPTS + 1):
        seen = api.get(path)
        planned = plan(seen)
        if planned is None:
            return False
        if planned.patch.changes_anything:
            try:
                api.patch(path, planned.patch.operations())
            except ActRefused as refused:
                meanwhile = refused.reason in (RefusalReason.CHANGED_MEANWHILE, RefusalReason.CONFLICT)
                if not meanwhile or attempt == ATTEMPTS:
                    raise
                continue
        if not api.dry_run:
            memory.note(path, key, seen, planned.mark)
        if planned.refused is not None:
            raise ActRefused(planned.refused.reason, planned.refused.detail)
        return planned.patch.changes_anything
    return False


def written(
    seen: Json,
    path: str,
    target: Field,
    wanted: Value,
    stamp: Stamp,
    memory: Remembered,
    also: Mapping[str, str] | None = None,
    about: str = "",
    replaces: Value = None,
) -> Plan | None:
    """`wanted` over what stands, with its original kept. None: it stands already for long enough, or is theirs."""
    current = target.read(seen)
    if annotation(seen, marks.CONTESTED) is not None and same(current, wanted):
        return _made_up(seen, target, current)
    _check_contest(seen, stamp.now_s)
    mark = marks.read(seen, target.key)
    ours = mark or memory.of(path, target.key, seen)
    stands = ours is not None and same(ours.written, current)
    if ours is None and same(current, wanted):
        return None
    if mark is not None and stands and same(current, wanted) and _lasts(mark, stamp):
        return None
    reversed_at_s = _recent(ours, stamp.now_s)
    if ours is not None and not stands:
        reversed_at_s = (*reversed_at_s, stamp.now_s)
        if len(reversed_at_s) >= CONTEST_REVERSALS:
            return _given_up(seen, target.key, ours, stamp)
    kept = ours if stands else None
    patch = Patch(seen)
    before = {} if ours is None else ours.also
    pairs = {name: pair for name, pair in before.items() if annotation(seen, name) == pair[1]}
    for name, value in (also or {}).items():
        pairs.setdefault(name, (annotation(seen, name), value))
        patch.annotate(name, value)
    renewed = Mark(
        original=current if kept is None else kept.original,
        written=wanted,
        epoch=stamp.epoch,
        expires_at_s=stamp.expires_at_s,
        decision=stamp.decision,
        also=pairs,
        reversed_at_s=reversed_at_s,
        about=about,
        replaces=replaces,
    )
    target.write(patch, wanted)
    _sign(patch, seen, target.key, renewed)
    return Plan(patch, renewed)


def restored(seen: Json, target: Field) -> Plan | None:
    """The original, where our value still stands; without our mark in any case. None: there is no mark."""
    mark = marks.read(seen, target.key)
    if mark is None:
        return None
    patch = Patch(seen)
    if same(mark.written, target.read(seen)):
        target.write(patch, mark.original)
    else:
        target.write(patch, target.read(seen))  # guarded, unchanged
    _take_along(patch, seen, mark)
    unsign(patch, seen, target.key)
    return Plan(patch, None)


def lowered(seen: Json, target: Field, value: Value, stamp: Stamp) -> Plan | None:
    """A step on the way back: `value` in place of ours, still marked, due again at the stamp's expiry."""
    mark = marks.read(seen, target.key)
    if mark is None or not same(mark.written, target.read(seen)):
        return restored(seen, target)
    patch = Patch(seen)
    target.write(patch, value)
    stepped = replace(mark, written=value, expires_at_s=stamp.expires_at_s)
    patch.annotate(target.key, stepped.text())
    return Plan(patch, stepped)


def unsign(patch: Patch, seen: Json, key: str) -> None:
    """Takes a mark (or the note of a contest) away, and with the last of them the label."""
    patch.annotate(key, None)
    if marks.is_managed(seen) and set(marks.carried(seen)) <= {key}:
        patch.label(marks.MANAGED_LABEL, None)


def same(left: Value, right: Value) -> bool:
    """Equal as JSON: true is not 1."""
    return bool(left == right) and isinstance(left, bool) == isinstance(right, bool)


def _sign(patch: Patch, seen: Json, key: str, mark: Mark) -> None:
    patch.annotate(key, mark.text())
    patch.label(marks.MANAGED_LABEL, "true")
    if annotation(seen, marks.CONTESTED) is not None:
        patch.annotate(marks.CONTESTED, None)


def _lasts(mark: Mark, stamp: Stamp) -> bool:
    return mark.expires_at_s - stamp.now_s >= 0.5 * (stamp.expires_at_s - stamp.now_s)


def _recent(mark: Mark | None, now_s: float) -> tuple[float, ...]:
    return () if mark is None else tuple(at_s for at_s in mark.reversed_at_s if now_s - at_s < CONTEST_WINDOW_S)


def _check_contest(seen: Json, now_s: float) -> None:
    until = annotation(seen, marks.CONTESTED)
    try:
        until_s = 0.0 if until is None else float(until)
    except ValueError:
        until_s = 0.0  # nothing that we wrote
    if until_s > now_s:
        raise ActRefused(RefusalReason.CONTESTED, f"{seen['metadata']['name']}: left alone until {until_s:.0f}")


def _take_along(patch: Patch, seen: Json, mark: Mark) -> None:
    """Annotations that were written with the value, where they are still ours."""
    for name, (original, ours) in mark.also.items():
        if annotation(seen, name) == ours:
            patch.annotate(name, original)


def _given_up(seen: Json, key: str, mark: Mark, stamp: Stamp) -> Plan:
    """Theirs stays. The annotation tells a successor, and people."""
    patch = Patch(seen)
    _take_along(patch, seen, mark)
    patch.annotate(key, None)
    patch.label(marks.MANAGED_LABEL, "true")  # so that the note is found again and taken away
    patch.annotate(marks.CONTESTED, f"{stamp.now_s + CONTEST_HOLD_S:.0f}")
    detail = f"{seen['metadata']['name']}: {key} was replaced {CONTEST_REVERSALS} times within 10 minutes"
    return Plan(patch, None, Refused(RefusalReason.CONTESTED, detail))


def _made_up(seen: Json, target: Field, current: Value) -> Plan:
    """They wrote what we want: theirs stays, and nobody has to be left alone any more."""
    patch = Patch(seen)
    target.write(patch, current)  # guarded, unchanged
    unsign(patch, seen, marks.CONTESTED)
    return Plan(patch, None)


@dataclass(frozen=True, slots=True)
class PlainField:
    """A field at a fixed place. `None` stands for its absence."""

    key: str
    path: tuple[str | int, ...]

    def read(self, seen: Json) -> Value:
        found = find(seen, *self.path)
        return None if found is ABSENT else found

    def write(self, patch: Patch, value: Value) -> None:
        patch.put(self.path, ABSENT if value is None else value)
