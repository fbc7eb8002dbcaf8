"""Guarded JSON patches: nothing is replaced that is not exactly as it was read."""

from __future__ import annotations

from typing import Any, Final

from foresail.actuators.api import Json

Step = str | int


class _Absent:
    def __repr__(self) -> str:
        return "ABSENT"


ABSENT: Final = _Absent()


def find(seen: object, *path: Step) -> Any:
    """The value at `path`, `ABSENT` where there is none."""
    current: Any = seen
    for step in path:
        in_list = isinstance(current, list) and isinstance(step, int) and 0 <= step < len(current)
        if not in_list and not (isinstance(current, dict) and step in current):
            return ABSENT
        current = current[step]
    return current


def annotation(seen: Json, key: str) -> str | None:
    found = find(seen, "metadata", "annotations", key)
    return found if isinstance(found, str) else None


def label(seen: Json, key: str) -> str | None:
    found = find(seen, "metadata", "labels", key)
    return found if isinstance(found, str) else None


class Patch:
    """Changes to one object as it was read. Guards: its uid, and each value that is replaced.

    That something is *not* there cannot be guarded by itself, so then the whole object's version is.
    """

    def __init__(self, seen: Json) -> None:
        self._seen = seen
        self._guards: dict[str, Json] = {}
        self._changes: list[Json] = []
        self._made: set[tuple[Step, ...]] = set()
        self._whole = False

    def keep(self, *path: Step) -> None:
        """Guard the value at `path` without changing it."""
        current = find(self._seen, *path)
        if current is ABSENT:
            self._whole = True
        else:
            pointer = _pointer(path)
            self._guards[pointer] = {"op": "test", "path": pointer, "value": current}

    def keep_whole(self) -> None:
        """Guard everything: the object must be at the version that was read."""
        self._whole = True

    def put(self, path: tuple[Step, ...], value: object) -> None:
        """`ABSENT` takes the value away."""
        self.keep(*path)
        current = find(self._seen, *path)
        if current == value and type(current) is type(value):
            return
        if value is ABSENT:
            self._changes.append({"op": "remove", "path": _pointer(path)})
            return
        if current is ABSENT:
            self._make_parents(path[:-1])
        self._changes.append({"op": "add" if current is ABSENT else "replace", "path": _pointer(path), "value": value})

    def annotate(self, key: str, value: str | None) -> None:
        self.put(("metadata", "annotations", key), ABSENT if value is None else value)

    def label(self, key: str, value: str | None) -> None:
        self.put(("metadata", "labels", key), ABSENT if value is None else value)

    @property
    def seen(self) -> Json:
        return self._seen

    @property
    def changes_anything(self) -> bool:
        return bool(self._changes)

    def operations(self) -> list[Json]:
        """All guards first, so that the order of changes cannot invalidate one."""
        meta = self._seen["metadata"]
        guards = [{"op": "test", "path": "/metadata/uid", "value": meta["uid"]}]
        if self._whole:
            version = meta["resourceVersion"]
            guards.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
        return [*guards, *self._guards.values(), *self._changes]

    def _make_parents(self, path: tuple[Step, ...]) -> None:
        for length in range(1, len(path) + 1):
            parent = path[:length]
            if find(self._seen, *parent) is ABSENT and parent not in self._made:
                self._made.add(parent)
                self._changes.append({"op": "add", "path": _pointer(parent), "value": {}})


def _pointer(path: tuple[Step, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in path)
