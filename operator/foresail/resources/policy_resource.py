"""A ResiliencePolicy as the API server or a file holds it, read into a value. Nothing that stands there raises."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from foresail.resources.crd import API_VERSION, KIND
from foresail.resources.problems import PolicyName, Problem, ProblemKind
from foresail.resources.sections import BROKEN_RULES
from foresail.resources.spec import Spec

PAUSED_ANNOTATION = "foresail.dev/paused"
#: So many problems of one resource are told; more help nobody.
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class PolicyResource:
    """One resource. `spec` is None where it cannot be used; `problems` then say why."""

    name: PolicyName
    spec: Spec | None
    uid: str = ""
    generation: int | None = None
    created_at_s: float = 0.0
    paused: bool = False
    problems: tuple[Problem, ...] = ()


def read_policy(body: object) -> PolicyResource:
    """The resource in `body`, with every mistake in it as a problem that names its field and the fix."""
    if not isinstance(body, Mapping):
        unnamed = PolicyName("", "")
        return PolicyResource(unnamed, None, problems=(_invalid(unnamed, "", "this is no object: give a mapping"),))
    metadata = _mapping(body.get("metadata"))
    name = PolicyName(_text(metadata.get("namespace")) or "default", _text(metadata.get("name")))
    paused, pause_problems = _paused(name, metadata)
    spec, spec_problems = _spec(name, body)
    return PolicyResource(
        name=name,
        spec=spec,
        uid=_text(metadata.get("uid")),
        generation=_whole(metadata.get("generation")),
        created_at_s=_unix_s(metadata.get("creationTimestamp")),
        paused=paused,
        problems=(*_type_problems(name, body), *pause_problems, *spec_problems)[:MOST_PROBLEMS],
    )


def _type_problems(name: PolicyName, body: Mapping[str, Any]) -> Iterable[Problem]:
    for field, expected in (("apiVersion", API_VERSION), ("kind", KIND)):
        if body.get(field) != expected:
            yield _invalid(name, field, f"{_shown(body.get(field))} is not what this reads: write {expected}")
    if not name.name:
        yield _invalid(name, "metadata.name", "it has no name: give it one")


def _paused(name: PolicyName, metadata: Mapping[str, Any]) -> tuple[bool, tuple[Problem, ...]]:
    """Whether the policy is paused. A value that is neither true nor false was meant to stop something: it does."""
    value = _mapping(metadata.get("annotations")).get(PAUSED_ANNOTATION)
    if value in (None, "false"):
        return False, ()
    if value == "true":
        return True, ()
    field = f"metadata.annotations[{PAUSED_ANNOTATION}]"
    return True, (_invalid(name, field, f'{_shown(value)} is taken for "true": write "true" or "false"'),)


def _spec(name: PolicyName, body: Mapping[str, Any]) -> tuple[Spec | None, tuple[Problem, ...]]:
    if body.get("apiVersion") != API_VERSION or body.get("kind") != KIND or not name.name:
        return None, ()
    try:
        # Through JSON: there enums and lists are what YAML writes, and nothing else passes for a number.
        text = json.dumps(_without_nulls(body.get("spec", {})), allow_nan=True)
        return Spec.model_validate_json(text), ()
    except ValidationError as error:
        return None, tuple(_problems_of(name, error))
    except (TypeError, ValueError, RecursionError) as error:
        return None, (_invalid(name, "spec", f"it is no JSON ({error}): write plain values"),)


def _problems_of(name: PolicyName, error: ValidationError) -> Iterable[Problem]:
    mistakes = error.errors(include_url=False, include_input=False)
    for mistake in mistakes:
        path = _path(("spec", *mistake["loc"]))
        if mistake["type"] == BROKEN_RULES:
            for field, message in mistake["ctx"]["broken"]:
                yield _invalid(name, f"{path}.{field}", message)
        elif mistake["type"] != "too_short" or not any(_within(other["loc"], mistake["loc"]) for other in mistakes):
            # A list is also called too short when its items are wrong; that they are wrong is enough.
            yield _invalid(name, path, _told(mistake))


def _within(inner: Sequence[int | str], outer: Sequence[int | str]) -> bool:
    return len(inner) > len(outer) and tuple(inner[: len(outer)]) == tuple(outer)


def _told(mistake: ErrorDetails) -> str:
    """A finding of pydantic's with what to do about it."""
    match mistake["type"]:
        case "extra_forbidden":
            return "this field does not exist: remove it or correct its name"
        case "missing":
            return "it is missing: add it"
        case "too_short":
            return f"it has {mistake['ctx']['actual_length']} items: give at least {mistake['ctx']['min_length']}"
        case "too_long":
            return f"it has too many items: give at most {mistake['ctx']['max_length']}"
        case "tuple_type":
            return "input should be a list: change it"
    return f"{mistake['msg'][:1].lower()}{mistake['msg'][1:]}: change it"


def _path(parts: Iterable[int | str]) -> str:
    """As Kubernetes writes paths: `spec.targets[0].name`."""
    path = ""
    for part in parts:
        path += f"[{part}]" if isinstance(part, int) else f".{part}" if path else part
    return path


def _invalid(name: PolicyName, field: str, message: str) -> Problem:
    return Problem(name, ProblemKind.INVALID, field, message)


def _without_nulls(value: Any) -> Any:
    """As API servers do: null is the same as left out."""
    if isinstance(value, Mapping):
        return {str(key): _without_nulls(child) for key, child in value.items() if child is not None}
    if isinstance(value, list | tuple):
        return [_without_nulls(child) for child in value]
    return value


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _whole(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shown(value: object) -> str:
    return "nothing" if value is None else repr(value)[:80]


def _unix_s(value: object) -> float:
    """Unix time of a creationTimestamp; 0 where there is none, as in a file: such a policy is the oldest."""
    if isinstance(value, datetime):
        return value.timestamp()
    try:
        return datetime.fromisoformat(value).timestamp() if isinstance(value, str) else 0.0
    except (ValueError, OverflowError, OSError):
        return 0.0
