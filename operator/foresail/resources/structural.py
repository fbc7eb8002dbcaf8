"""Structural OpenAPI v3 schemas, as API servers demand them of a CustomResourceDefinition, out of pydantic models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from foresail.resources.sections import Rule

_LEFT_OUT = frozenset({"title", "$defs"})


class SchemaNotStructural(Exception):
    """A model says something that a structural schema cannot; the message names the place."""


def structural_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a model without `$ref`, `anyOf`, titles or null, with its rules as CEL and its defaults."""
    described = model.model_json_schema(by_alias=True, mode="validation")
    schema = _plain(described, described.get("$defs", {}), model.__name__)
    _add_rules(schema, model)
    return schema


def _plain(node: Mapping[str, Any], shared: Mapping[str, Any], at: str) -> dict[str, Any]:
    """One node with references put in their places."""
    node = _resolved(node, shared, at)
    plain: dict[str, Any] = {}
    for key, value in node.items():
        match key:
            case _ if key in _LEFT_OUT:
                continue
            case "properties":
                plain[key] = {name: _plain(child, shared, f"{at}.{name}") for name, child in value.items()}
            case "items":
                plain[key] = _plain(value, shared, f"{at}[]")
            case "additionalProperties":
                # Unknown fields are pruned or refused by the API server itself; false is no structural schema.
                if isinstance(value, Mapping):
                    plain[key] = _plain(value, shared, f"{at}{{}}")
            case "exclusiveMinimum" | "exclusiveMaximum":
                raise SchemaNotStructural(f"{at}: {key} is a flag in OpenAPI 3.0: use an inclusive bound")
            case "default" if value is None:
                continue
            case _:
                plain[key] = value
    if plain.get("type") == "integer":
        plain.setdefault("format", "int32" if plain.get("maximum", 1 << 31) < 1 << 31 else "int64")
    return plain


def _resolved(node: Mapping[str, Any], shared: Mapping[str, Any], at: str) -> dict[str, Any]:
    """The node with its `$ref` read and its "or null" left out: an optional field is one that may be missing."""
    found = dict(node)
    options = [option for option in found.pop("anyOf", ()) if option.get("type") != "null"]
    if len(options) > 1:
        raise SchemaNotStructural(f"{at}: one of several types: choose one")
    for option in options:
        found = {**option, **found}
    reference = found.pop("$ref", None)
    if reference is not None:
        target = shared[reference.rpartition("/")[2]]
        # A field's own description says more than that of its type.
        found = {**_resolved(target, shared, at), **found}
    if "allOf" in found or "oneOf" in found or "prefixItems" in found:
        raise SchemaNotStructural(f"{at}: allOf, oneOf or a tuple of fixed length: use a plain type")
    return found


def _add_rules(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """CEL rules at their sections, and the default of sections that may be left out.

    Written out in full: API servers hold a default to the section's rules before they fill in what it leaves out.
    """
    rules: tuple[Rule, ...] = getattr(model, "rules", ())
    if rules:
        schema["x-kubernetes-validations"] = [
            {"rule": rule.cel, "message": rule.message, "fieldPath": f".{rule.field}", "reason": "FieldValueInvalid"}
            for rule in rules
        ]
    for name, info in model.model_fields.items():
        child = schema["properties"][info.alias or name]
        section = section_of(info)
        if section is None:
            continue
        if child["type"] == "array":
            _add_rules(child["items"], section)
        else:
            _add_rules(child, section)
            if info.default_factory is not None:
                child["default"] = _defaults(child)


def _defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    return {name: child["default"] for name, child in schema["properties"].items() if "default" in child}


def without_defaults(schema: Mapping[str, Any]) -> dict[str, Any]:
    """The schema with no value filled in by the API server, as a status should be."""
    bare = {key: value for key, value in schema.items() if key != "default"}
    if "properties" in bare:
        bare["properties"] = {name: without_defaults(child) for name, child in bare["properties"].items()}
    if "items" in bare:
        bare["items"] = without_defaults(bare["items"])
    return bare


def section_of(info: FieldInfo) -> type[BaseModel] | None:
    """The model that a field holds, alone, in a list or or-nothing."""
    for candidate in (info.annotation, *get_args(info.annotation)):
        if isinstance(candidate, type) and issubclass(candidate, BaseModel):
            return candidate
    return None
