"""JSON patches (RFC 6902) without copy and move, as an API server applies those of the operator."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any


class PatchRefused(Exception):
    """A `test` failed, or there is no such path. Its text names the operation."""


def patched(document: Any, operations: Iterable[Mapping[str, Any]]) -> Any:
    """A copy of `document` with all operations done. Raises `PatchRefused`."""
    result = copy.deepcopy(document)
    for operation in operations:
        try:
            _apply(result, operation)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise PatchRefused(f"{operation['op']} does not apply to {operation['path']}") from error
    return result


def _apply(document: Any, operation: Mapping[str, Any]) -> None:
    *steps, last = [part.replace("~1", "/").replace("~0", "~") for part in operation["path"].split("/")[1:]]
    parent = document
    for step in steps:
        parent = parent[int(step)] if isinstance(parent, list) else parent[step]
    verb, place = operation["op"], int(last) if isinstance(parent, list) and last != "-" else last
    if verb == "add" and isinstance(parent, list):
        parent.insert(len(parent) if last == "-" else int(last), operation["value"])
    elif verb == "add":
        parent[place] = operation["value"]
    elif verb == "remove":
        del parent[place]
    elif verb == "replace":
        del parent[place]  # what is not there cannot be replaced
        if isinstance(parent, list):
            parent.insert(int(last), operation["value"])
        else:
            parent[place] = operation["value"]
    elif verb == "test":
        if parent[place] != operation["value"]:
            raise ValueError(operation["path"])
    else:
        raise ValueError(verb)
