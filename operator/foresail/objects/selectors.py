"""Label selectors: what they mean, and finding who matches among thousands without asking everybody."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from foresail.objects.fields import at, strings, text

T = TypeVar("T")

_BETWEEN = re.compile(r",(?![^(]*\))")  # commas outside brackets
_KEY = re.compile(r"[-./A-Za-z0-9_]+")
_PAIR = re.compile(r"(?P<key>[-./A-Za-z0-9_]+)\s*(?P<sign>==|!=|=)\s*(?P<value>[-.A-Za-z0-9_]*)")
_AMONG = re.compile(r"(?P<key>[-./A-Za-z0-9_]+)\s+(?P<operator>in|notin)\s*\((?P<values>[^()]*)\)")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One matchExpressions entry."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, labels: Mapping[str, str]) -> bool:
        """An operator that this version does not know holds for nobody."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
            case _:
                return False

    @property
    def query(self) -> str | None:
        """The same as the API server reads it in a query; None: an operator that this version does not know."""
        match self.operator:
            case "In" if self.values:
                return f"{self.key} in ({','.join(self.values)})"
            case "NotIn" if self.values:
                return f"{self.key} notin ({','.join(self.values)})"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
            case _:
                return None


@dataclass(frozen=True, slots=True)
class Selector:
    """Everything in it must hold; an empty one matches everybody."""

    pairs: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()

    @property
    def is_empty(self) -> bool:
        return not self.pairs and not self.requirements

    @property
    def query(self) -> str | None:
        """The same as a `labelSelector` of a list request; None where a part of it cannot be said."""
        required = [requirement.query for requirement in self.requirements]
        said = [part for part in required if part is not None]
        if len(said) < len(required):
            return None
        return ",".join([*(f"{key}={value}" for key, value in sorted(self.pairs.items())), *said])

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.pairs.items()) and all(
            requirement.holds(labels) for requirement in self.requirements
        )


def label_selector(value: object, *path: str) -> Selector | None:
    """A LabelSelector; None where there is none. An expression that cannot be read matches nobody."""
    found = at(value, *path)
    if not isinstance(found, Mapping):
        return None
    listed = at(found, "matchExpressions")
    requirements = tuple(_requirement(entry) for entry in listed) if isinstance(listed, list) else ()
    return Selector(strings(found, "matchLabels"), requirements)


def _requirement(entry: object) -> Requirement:
    """Values may be empty: a label's value may."""
    values = at(entry, "values")
    kept = tuple(sys.intern(value) for value in values if type(value) is str) if isinstance(values, list) else ()
    return Requirement(text(entry, "key") or "", text(entry, "operator") or "", kept)


def parsed_query(said: str) -> Selector | None:
    """A selector as the API server writes it in one line; None where it says nothing. The other way round: `query`."""
    terms = [term.strip() for term in _BETWEEN.split(said) if term.strip()]
    if not terms:
        return None
    pairs: dict[str, str] = {}
    requirements = []
    for term in terms:
        pair = _PAIR.fullmatch(term)
        if pair is not None and pair["sign"] != "!=":
            pairs[pair["key"]] = pair["value"]
        elif pair is not None:
            requirements.append(Requirement(pair["key"], "NotIn", (pair["value"],)))
        else:
            requirements.append(_said(term))
    return Selector(pairs, tuple(requirements))


def _said(term: str) -> Requirement:
    among = _AMONG.fullmatch(term)
    if among is not None:
        values = tuple(value.strip() for value in among["values"].split(","))
        return Requirement(among["key"], "In" if among["operator"] == "in" else "NotIn", values)
    if _KEY.fullmatch(term):
        return Requirement(term, "Exists")
    if term.startswith("!") and _KEY.fullmatch(term[1:].strip()):
        return Requirement(term[1:].strip(), "DoesNotExist")
    return Requirement(term, "")  # holds for nobody


class LabelIndex(Generic[T]):
    """Finds the things whose labels a selector matches, by the rarest pair that the selector names."""

    def __init__(self, things: Iterable[tuple[T, Mapping[str, str]]]) -> None:
        self._all = list(things)
        self._by_pair: dict[tuple[str, str], list[tuple[T, Mapping[str, str]]]] = {}
        for thing in self._all:
            for pair in thing[1].items():
                self._by_pair.setdefault(pair, []).append(thing)

    def matching(self, selector: Selector) -> Iterator[T]:
        candidates = self._all
        for pair in selector.pairs.items():
            having = self._by_pair.get(pair)
            if having is None:
                return
            if len(having) < len(candidates):
                candidates = having
        for thing, labels in candidates:
            if selector.matches(labels):
                yield thing
