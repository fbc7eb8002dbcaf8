"""Which series are asked for: those of the watched namespaces, in as few parts as the length of a query allows."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from foresail.prometheus.settings import Reading

#: Every namespace, where naming them would take too many queries.
ALL_NAMESPACES = ".+"
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Scope:
    """One part: `namespaces` is a regular expression without anchors or quotes."""

    namespaces: str
    reading: Reading

    def of(self, metric: str, *matchers: str, namespace_label: str | None = None) -> str:
        """A selector of this part's series of `metric`, narrowed by `matchers`."""
        label = namespace_label or self.reading.namespace_label
        return self.where(metric, f'{label}=~"{self.namespaces}"', *matchers)

    def where(self, metric: str, *matchers: str) -> str:
        """A selector that names its namespaces itself, or needs none."""
        extra = (self.reading.extra_matchers,) if self.reading.extra_matchers else ()
        return f"{metric}{{{','.join((*matchers, *extra))}}}"


def scopes(namespaces: Iterable[str], reading: Reading, longest: int) -> tuple[Scope, ...]:
    """The parts, each with a regular expression of at most `longest` characters; one of everything if too many.

    Names that no namespace can have are left out, so that nobody's text becomes part of a query.
    """
    names = sorted({name for name in namespaces if _NAMESPACE.fullmatch(name)})
    parts: list[list[str]] = []
    room = 0
    for name in names:
        if not parts or room < len(name) + 1:
            parts.append([])
            room = longest
        parts[-1].append(name)
        room -= len(name) + 1
    if len(parts) > reading.most_parts:
        return (Scope(ALL_NAMESPACES, reading),)
    return tuple(Scope("|".join(part), reading) for part in parts)
