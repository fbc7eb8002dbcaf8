"""A zone out of rotation: the traffic label of its pods, then a cordon of its nodes; nothing is evicted.

Nodes that somebody else cordoned stay theirs: not marked, and not uncordoned at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from foresail.actuators import marks, paths, services
from foresail.actuators.api import Api, Json, Reader
from foresail.actuators.marks import Value
from foresail.actuators.patching import ABSENT, Patch, find, label
from foresail.actuators.refusals import HOPELESS, ActRefused, RefusalReason
from foresail.actuators.standing import Field, Plan, Remembered, Stamp, restored, send, written
from foresail.actuators.targets import WorkloadTarget
from foresail.actuators.traffic import SHIFTED, label_off
from foresail.objects.names import ZONE_LABELS


@dataclass(frozen=True, slots=True)
class _Cordon:
    """`spec.unschedulable`, which the API server leaves out where it is false."""

    key: str = marks.CORDON

    def read(self, seen: Json) -> Value:
        return find(seen, "spec", "unschedulable") is True

    def write(self, patch: Patch, value: Value) -> None:
        patch.put(("spec", "unschedulable"), True if value else ABSENT)


CORDON = _Cordon()


@dataclass(frozen=True, slots=True)
class Shifted:
    """What one call did, and what it had to leave."""

    pods: int
    nodes: int
    left: tuple[ActRefused, ...]


def check_shift(api: Api, zone: str, targets: Sequence[WorkloadTarget]) -> None:
    """Raises, before anything is written, where a shift would empty a Service or leave new pods without a place."""
    nodes = _nodes(api, zone)
    if not nodes:
        raise ActRefused(RefusalReason.EMPTY_ZONE, f"no node carries {ZONE_LABELS[0]}={zone}")
    names = {node["metadata"]["name"] for node in nodes}
    for target in targets:
        check_spread(api, target)
        pods = pods_in(api, target, names)
        if any(label(pod, marks.TRAFFIC_LABEL) != marks.OFF for pod in pods):
            services.check_leaving(api, pods, target.namespace)


def shift(api: Api, zone: str, targets: Sequence[WorkloadTarget], stamp: Stamp, memory: Remembered) -> Shifted:
    """Empties the zone, pods born since the last call too. What is done already is not done again.

    Raises `ActRefused` when it came to nothing, or when there is no point in going on; the rest is for the next call.
    """
    tally = _Tally()
    nodes = _nodes(api, zone)
    names = {node["metadata"]["name"] for node in nodes}
    for target in targets:
        for pod in pods_in(api, target, names):
            if not _lasts(pod, marks.SHIFTED, label(pod, marks.TRAFFIC_LABEL) == marks.OFF, stamp):
                path = target.pod_path(pod["metadata"]["name"])
                tally.pods += tally.attempt(partial(label_off, api, path, SHIFTED, stamp, memory, {}, zone))
    for node in nodes:
        theirs = CORDON.read(node) and marks.read(node, marks.CORDON) is None
        if not theirs and not _lasts(node, marks.CORDON, CORDON.read(node), stamp):
            path = paths.path(paths.NODES, None, node["metadata"]["name"])
            tally.nodes += tally.attempt(partial(_cordon, api, path, zone, stamp, memory))
    return tally.summed()


def restore(api: Api, zone: str, targets: Sequence[WorkloadTarget], memory: Remembered) -> Shifted:
    """Nodes first, so that new pods find room there again, then the pods' labels. Raises as `shift` does."""
    tally = _Tally()
    for node in _nodes(api, zone):
        if marks.read(node, marks.CORDON) is not None:
            path = paths.path(paths.NODES, None, node["metadata"]["name"])
            tally.nodes += tally.attempt(partial(_undo, api, path, CORDON, memory))
    for target in targets:
        for pod in api.items(target.pods_path, f"{marks.MANAGED_LABEL}=true"):
            mark = marks.read(pod, marks.SHIFTED)
            if mark is not None and mark.about == zone:
                path = target.pod_path(pod["metadata"]["name"])
                tally.pods += tally.attempt(partial(_undo, api, path, SHIFTED, memory))
    return tally.summed()


def check_spread(api: Reader, target: WorkloadTarget) -> None:
    """Raises where the scheduler would go on counting cordoned nodes, and so find no place for new pods."""
    constraints = find(api.get(target.path), "spec", "template", "spec", "topologySpreadConstraints")
    for constraint in () if constraints is ABSENT else constraints:
        strict = constraint.get("whenUnsatisfiable", "DoNotSchedule") == "DoNotSchedule"
        if strict and constraint.get("nodeTaintsPolicy", "Ignore") != "Honor":
            detail = (
                f"{target.key}: topologySpreadConstraint over {constraint.get('topologyKey')} is DoNotSchedule and "
                "counts cordoned nodes: set nodeTaintsPolicy: Honor"
            )
            raise ActRefused(RefusalReason.SPREAD_COUNTS_CORDONED, detail)


def pods_in(api: Api, target: WorkloadTarget, nodes: set[str]) -> list[Json]:
    """The workload's pods on these nodes that are not leaving anyway."""
    found = api.items(target.pods_path, target.labels)
    return [pod for pod in found if find(pod, "spec", "nodeName") in nodes and not services.is_leaving(pod)]


@dataclass(slots=True)
class _Tally:
    """What many small writes came to."""

    pods: int = 0
    nodes: int = 0
    left: list[ActRefused] = field(default_factory=list)

    def attempt(self, act: Callable[[], bool]) -> bool:
        """Whether something was written. An object that is gone meanwhile is no failure."""
        try:
            return act()
        except ActRefused as refused:
            if refused.reason in HOPELESS:
                raise
            if refused.reason not in (RefusalReason.NOT_FOUND, RefusalReason.POD_LEAVING):
                self.left.append(refused)
            return False

    def summed(self) -> Shifted:
        if self.left and not self.pods and not self.nodes:
            raise self.left[0]
        return Shifted(self.pods, self.nodes, tuple(self.left))


def _cordon(api: Api, path: str, zone: str, stamp: Stamp, memory: Remembered) -> bool:
    def plan(seen: Json) -> Plan | None:
        return written(seen, path, CORDON, True, stamp, memory, about=zone)

    return send(api, path, marks.CORDON, memory, plan)


def _undo(api: Api, path: str, target: Field, memory: Remembered) -> bool:
    return send(api, path, target.key, memory, lambda seen: restored(seen, target))


def _lasts(seen: Json, key: str, done: bool, stamp: Stamp) -> bool:
    mark = marks.read(seen, key)
    return done and mark is not None and mark.expires_at_s >= stamp.expires_at_s


def _nodes(api: Api, zone: str) -> list[Json]:
    """Nodes of the zone by the label that clusters use today, else by the one before it."""
    for name in ZONE_LABELS:
        found = api.items(paths.path(paths.NODES, None), f"{name}={zone}")
        if found:
            return found
    return []
