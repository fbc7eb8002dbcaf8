"""Faults of whole zones, for providers whose faults are of nodes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from chaos.clusters.cluster import ClusterFailed
from chaos.clusters.plan import NodePlace


def place_named(places: Iterable[NodePlace], node: str) -> NodePlace:
    """Raises `ClusterFailed` naming the nodes that there are."""
    known = tuple(places)
    for place in known:
        if place.name == node:
            return place
    raise ClusterFailed(f"no node is called {node!r}; there are {', '.join(place.name for place in known)}")


def nodes_in(places: Iterable[NodePlace], zone: str) -> tuple[str, ...]:
    """Names of the zone's nodes. Raises `ClusterFailed` naming the zones that there are."""
    known = tuple(places)
    found = tuple(place.name for place in known if place.zone == zone)
    if not found:
        zones = ", ".join(sorted({place.zone for place in known}))
        raise ClusterFailed(f"no zone is called {zone!r}; there are {zones}")
    return found


def on_each(places: Iterable[NodePlace], zone: str, act: Callable[[str], None]) -> None:
    """Does it to every node of the zone, to all of them even when one fails; then raises the first failure."""
    failures = []
    for node in nodes_in(places, zone):
        try:
            act(node)
        except ClusterFailed as error:
            failures.append(error)
    if failures:
        raise failures[0]
