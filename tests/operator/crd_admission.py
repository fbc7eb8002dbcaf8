"""What an API server makes of a custom resource: defaults, types and bounds, doubles in lists, CEL rules.

Written after apiextensions-apiserver's order: nulls dropped, defaults filled in, schema, list types, rules. Rules are
not asked where the schema has already refused the object.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import cel

Schema = Mapping[str, Any]
_TYPES = {"string": str, "boolean": bool, "object": dict, "array": list}


def admitted(schema: Schema, body: Any) -> tuple[Any, list[str]]:
    """The object as it would be stored, and why it is refused."""
    stored = with_defaults(schema, _without_nulls(deepcopy(body)))
    refused = [*_against_schema(schema, stored, ""), *_doubles(schema, stored, "")]
    return stored, refused or list(_against_rules(schema, stored, ""))


def with_defaults(schema: Schema, value: Any) -> Any:
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name not in value and "default" in child:
                value[name] = deepcopy(child["default"])
            if name in value:
                value[name] = with_defaults(child, value[name])
    elif isinstance(value, list) and "items" in schema:
        return [with_defaults(schema["items"], item) for item in value]
    return value


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(child) for key, child in value.items() if child is not None}
    return [_without_nulls(child) for child in value] if isinstance(value, list) else value


def _against_schema(schema: Schema, value: Any, path: str) -> Iterator[str]:
    kind = schema["type"]
    if not _is(kind, value):
        yield f"{path}: is no {kind}"
        return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{path}: is none of {schema['enum']}"
    match kind:
        case "object":
            yield from _against_object(schema, value, path)
        case "array":
            yield from _sized(len(value), schema, "Items", path)
            for index, item in enumerate(value):
                yield from _against_schema(schema["items"], item, f"{path}[{index}]")
        case "string":
            yield from _sized(len(value), schema, "Length", path)
            # As in Go, $ is the end of the text, not of a line before it.
            if "pattern" in schema and re.search(schema["pattern"].replace("$", r"\Z"), value) is None:
                yield f"{path}: does not match {schema['pattern']}"
        case "integer" | "number":
            if value < schema.get("minimum", value) or value > schema.get("maximum", value):
                yield f"{path}: is out of bounds"


def _against_object(schema: Schema, value: Mapping[str, Any], path: str) -> Iterator[str]:
    known = schema.get("properties", {})
    extra = schema.get("additionalProperties")
    yield from _sized(len(value), schema, "Properties", path)
    yield from (f"{path}.{name}: is required" for name in schema.get("required", ()) if name not in value)
    for name, child in value.items():
        if name in known or extra is not None:
            yield from _against_schema(known.get(name, extra), child, f"{path}.{name}")
        elif known:
            yield f"{path}.{name}: is unknown"  # dropped, and refused by kubectl


def _is(kind: str, value: Any) -> bool:
    if kind in ("integer", "number"):
        return isinstance(value, int if kind == "integer" else int | float) and not isinstance(value, bool)
    return isinstance(value, _TYPES[kind])


def _sized(size: int, schema: Schema, what: str, path: str) -> Iterator[str]:
    if size < schema.get(f"min{what}", size) or size > schema.get(f"max{what}", size):
        yield f"{path}: has {size} {what.lower()}"


def _doubles(schema: Schema, value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _doubles(child, value[name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _doubles(schema["items"], item, f"{path}[{index}]")
        keys = schema.get("x-kubernetes-list-map-keys")
        if schema.get("x-kubernetes-list-type") in ("map", "set"):
            seen = [tuple(item.get(key) for key in keys) if keys and isinstance(item, dict) else item for item in value]
            yield from (f"{path}[{index}]: stands there twice" for index, key in enumerate(seen) if key in seen[:index])


def _against_rules(schema: Schema, value: Any, path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        if cel.evaluate(rule["rule"], {"self": as_cel(schema, value)}) is not True:
            yield f"{path}{rule['fieldPath']}: {rule['message']}"
    if isinstance(value, dict):
        for name, child in schema.get("properties", {}).items():
            if name in value:
                yield from _against_rules(child, value[name], f"{path}.{name}")
    elif isinstance(value, list) and "items" in schema:
        for index, item in enumerate(value):
            yield from _against_rules(schema["items"], item, f"{path}[{index}]")


def as_cel(schema: Schema, value: Any) -> Any:
    """The value with the types that the schema gives it: 1 is a double where a number may have a fraction."""
    match schema["type"]:
        case "object" if "properties" in schema:
            known = schema["properties"]
            return {name: as_cel(known[name], child) for name, child in value.items() if name in known}
        case "array":
            return [as_cel(schema["items"], item) for item in value]
        case "number":
            return float(value)
    return value
