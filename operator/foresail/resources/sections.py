"""What every part of a ResiliencePolicy has in common: names as Kubernetes writes them, and rules told once.

A rule is written once as CEL, for the API server, and once in Python, for files and for servers that did not check;
tests hold the two to the same verdict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

#: Type of the validation error that carries broken rules in its context.
BROKEN_RULES = "broken_rules"
LIST_TYPE, LIST_KEYS = "x-kubernetes-list-type", "x-kubernetes-list-map-keys"

#: Names of targets and events: DNS labels.
Name = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", min_length=1, max_length=63)]
#: Names of objects of the cluster.
ObjectName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)]
#: A file below the operator's secrets folder for the policy's namespace; no slash, so none can be left.
FileName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][-._A-Za-z0-9]*$", min_length=1, max_length=253)]
Port = Annotated[int, Field(ge=1, le=65535)]
LabelValue = Annotated[str, Field(pattern=r"^([A-Za-z0-9]([-._A-Za-z0-9]*[A-Za-z0-9])?)?$", max_length=63)]
Ratio = Annotated[float, Field(ge=0.0, le=1.0)]


@dataclass(frozen=True, slots=True)
class Rule:
    """What must hold between fields. `message` names the field and the fix; `holds` says in Python what `cel` does."""

    cel: str
    message: str
    field: str  # camelCase, of the section
    holds: Callable[[Any], bool]


class Section(BaseModel):
    """A part of the spec. Unknown fields, text for numbers, infinity and NaN are refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        extra="forbid",
        frozen=True,
        strict=True,
        allow_inf_nan=False,
        hide_input_in_errors=True,
    )

    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        broken = [(rule.field, rule.message) for rule in self.rules if not rule.holds(self)]
        broken += self._doubles()
        if broken:
            text = "; ".join(message for _, message in broken)
            raise PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "broken": broken})
        return self

    def _doubles(self) -> Iterable[tuple[str, str]]:
        """Items of sets, and keys of list maps, that stand there twice; the API server sees to that by itself."""
        for name, info in type(self).model_fields.items():
            extra = info.json_schema_extra
            if not isinstance(extra, Mapping) or LIST_TYPE not in extra:
                continue
            keys = extra.get(LIST_KEYS)
            seen: set[tuple[str, ...]] = set()
            for item in getattr(self, name):
                key = tuple(str(getattr(item, str(part))) for part in keys) if isinstance(keys, list) else (str(item),)
                if key in seen:
                    yield to_camel(name), f"{to_camel(name)} has {' '.join(key).strip()!r} twice: give each its own"
                seen.add(key)


def list_map(*keys: str) -> dict[str, Any]:
    """Marks a list as a map with these keys, so that `kubectl apply` merges it and doubles are refused."""
    return {LIST_TYPE: "map", LIST_KEYS: list(keys)}
