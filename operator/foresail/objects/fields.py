"""Values out of the API server's JSON. What is missing, or is not what it should be, is None: never an error."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from datetime import UTC, datetime

from kubernetes.utils.quantity import parse_quantity

Json = Mapping[str, object]
NOTHING: Mapping[str, str] = {}


def at(value: object, *path: str) -> object:
    """What lies at `path`, None where there is no such path."""
    for key in path:
        if not isinstance(value, dict):  # as json makes them; asking for any Mapping takes ten times as long
            return None
        value = value.get(key)
    return value


def text(value: object, *path: str) -> str | None:
    """A string that says something. Equal strings share their memory: names and labels come thousands of times."""
    found = at(value, *path)
    return sys.intern(found) if type(found) is str and found else None


def whole(value: object, *path: str) -> int | None:
    found = at(value, *path)
    return found if isinstance(found, int) and not isinstance(found, bool) else None


def flag(value: object, *path: str) -> bool:
    """True only where the API says true."""
    return at(value, *path) is True


def entries(value: object, *path: str) -> tuple[Json, ...]:
    """The objects of a list; entries that are no objects are left out."""
    found = at(value, *path)
    return tuple(entry for entry in found if isinstance(entry, dict)) if isinstance(found, list) else ()


def strings(value: object, *path: str) -> Mapping[str, str]:
    """A map of strings, as labels and annotations are."""
    found = at(value, *path)
    if not isinstance(found, dict):
        return NOTHING
    kept = {sys.intern(key): sys.intern(word) for key, word in found.items() if type(key) is str and type(word) is str}
    return kept or NOTHING


def quantity(value: object, *path: str) -> float | None:
    """A Kubernetes quantity ("250m", "64Mi") as a plain number: cores or bytes."""
    found = at(value, *path)
    if isinstance(found, bool) or not isinstance(found, str | int | float):
        return None
    try:
        number = float(parse_quantity(found))  # type: ignore[no-untyped-call]
    except (ValueError, ArithmeticError):
        return None
    return number if math.isfinite(number) else None


def time_s(value: object, *path: str) -> float | None:
    """An RFC 3339 time in Unix seconds."""
    found = at(value, *path)
    if not isinstance(found, str):
        return None
    try:
        moment = datetime.fromisoformat(found)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
