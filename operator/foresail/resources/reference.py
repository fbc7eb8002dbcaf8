"""The reference of all fields, read from the same schema that API servers are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from foresail.resources.spec import Spec
from foresail.resources.status import Status
from foresail.resources.structural import structural_schema, without_defaults


def reference_markdown() -> str:
    """Tables of spec and status, one line per field, and the rules between fields."""
    spec, status = structural_schema(Spec), without_defaults(structural_schema(Status))
    lines = ["### Spec", "", *_table(spec, "spec"), "", "### Rules between fields", ""]
    lines += ["| at | rule |", "|---|---|", *_rules(spec, "spec")]
    lines += ["", "### Status", "", *_table(status, "status")]
    return "\n".join(lines) + "\n"


def _table(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    yield "| field | type | default | meaning |"
    yield "|---|---|---|---|"
    for name, child, required in _fields(schema, path):
        default = "required" if required else _default(child)
        meaning = str(child.get("description", "")).replace("|", "\\|")
        yield f"| `{name}` | {_type(child)} | {default} | {meaning} |"


def _fields(schema: Mapping[str, Any], path: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    """Every field with its path, depth first."""
    required = schema.get("required", ())
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child, name in required
        inner = child.get("items", child)
        if "properties" in inner:
            yield from _fields(inner, f"{path}.{name}{'[]' if 'items' in child else ''}")


def _type(schema: Mapping[str, Any]) -> str:
    kind = str(schema["type"])
    if "enum" in schema:
        return " \\| ".join(f"`{value}`" for value in schema["enum"])
    if kind == "array":
        return f"list, at most {schema['maxItems']}" if "maxItems" in schema else "list"
    if kind == "object":
        return "map of text" if "additionalProperties" in schema else "section"
    if schema.get("format") == "date-time":
        return "time"
    if kind in ("integer", "number") and "minimum" in schema and "maximum" in schema:
        return f"{kind}, {_number(schema['minimum'])} to {_number(schema['maximum'])}"
    return {"string": "text", "boolean": "true or false"}.get(kind, kind)


def _default(schema: Mapping[str, Any]) -> str:
    if "default" not in schema or schema["type"] == "object":
        return ""
    value = schema["default"]
    if value in ("", []):
        return "empty"
    return f"`{_number(value) if isinstance(value, float) else yaml.safe_dump(value).split(chr(10))[0]}`"


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[str]:
    for rule in schema.get("x-kubernetes-validations", ()):
        yield f"| `{path}{rule['fieldPath']}` | {rule['message']} |"
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child.get("items", child), f"{path}.{name}{'[]' if 'items' in child else ''}")


def _number(value: float) -> str:
    return f"{value:,.10g}".replace(",", " ") if abs(value) >= 10_000 else f"{value:.10g}"
