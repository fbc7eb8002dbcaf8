"""Label selectors: what they mean, and finding who matches among thousands without asking everybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from foresail.objects.fields import at, entries, strings, text, texts

T = TypeVar("T")


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


@dataclass(frozen=True, slots=True)
class Selector:
    """Everything in it must hold; an empty one matches everybody."""

    pairs: Mapping[str, str] = field(default_factory=dict)
    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        return all(labels.get(key) == value for key, value in self.pairs.items()) and all(
            requirement.holds(labels) for requirement in self.requirements
        )


def label_selector(value: object, *path: str) -> Selector | None:
    """A LabelSelector; None where there is none. An expression that cannot be read matches nobody."""
    found = at(value, *path)
    if not isinstance(found, Mapping):
        return None
    requirements = tuple(
        Requirement(text(entry, "key") or "", text(entry, "operator") or "", texts(entry, "values"))
        for entry in entries(found, "matchExpressions")
    )
    return Selector(strings(found, "matchLabels"), requirements)


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
