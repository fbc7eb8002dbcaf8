"""Which kinds of workloads a cluster has beside its own two: everything with a scale subresource."""

from __future__ import annotations

from collections.abc import Iterator

from foresail.actuators.api import Reader
from foresail.actuators.paths import Kind
from foresail.actuators.refusals import ActRefused
from foresail.objects.fields import Json, at, entries, text

#: Deployments and StatefulSets are known anyway, and ReplicaSets are theirs.
_OWN_GROUP = "apps"
_SCALE = "/scale"
_NEEDED_VERBS = {"list", "patch"}


def scale_kinds(api: Reader) -> tuple[Kind, ...]:
    """As the API server's discovery says it, each in the version that its group prefers.

    What cannot be looked up is left out: an aggregated API that is down or hangs, or all of it where that is not our
    right.
    """
    found: dict[tuple[str, str], Kind] = {}
    for group in _looked_up(api, "/apis", "groups"):
        name = text(group, "name") or ""
        if name == _OWN_GROUP:
            continue
        for version in _versions(group):
            for plural in _scaled(api, version):
                found.setdefault((name, plural), (version, plural))
    return tuple(found.values())


def _versions(group: Json) -> list[str]:
    """The preferred one first."""
    preferred = text(group, "preferredVersion", "groupVersion")
    served = [version for entry in entries(group, "versions") if (version := text(entry, "groupVersion")) is not None]
    return sorted(served, key=lambda version: version != preferred)


def _scaled(api: Reader, version: str) -> Iterator[str]:
    rows = _looked_up(api, f"/apis/{version}", "resources")
    names = {text(row, "name") for row in rows}
    for row in rows:
        plural, verbs = text(row, "name") or "", at(row, "verbs")
        usable = isinstance(verbs, list) and set(verbs) >= _NEEDED_VERBS
        if usable and f"{plural}{_SCALE}" in names:
            yield plural


def _looked_up(api: Reader, path: str, what: str) -> tuple[Json, ...]:
    try:
        return entries(api.get(path), what)
    except ActRefused:
        return ()
