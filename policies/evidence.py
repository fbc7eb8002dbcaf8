"""What a second's probes prove: a dead pod, a dead node, a dead zone, or nothing at all.

A probe counts as failed only when two vantage points in different zones say so and none says otherwise, or when one
says so and the node's own condition agrees. Silence proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from policies.model import FastSeen, ProbeSeen

VANTAGE_POINTS = 2
FAILED_IN_ROW = 2  # seconds
LONGEST_GAP_S = 3.0  # between two looks; after a longer one seconds in a row are counted anew
WHOLE_ZONE_RATIO = 0.90
LEAST_PODS = 2  # of a node or zone that fail together before the node or zone is blamed
OTHERS_FINE_RATIO = 0.5  # of everybody else must answer: otherwise the probes themselves are in doubt


def key(probe: ProbeSeen) -> str:
    """`workload/pod`."""
    return f"{probe.workload}/{probe.pod}"


def verdict(probe: ProbeSeen, node_down: bool) -> bool | None:
    """True: it answers. False: it is proven not to. None: cannot be told."""
    answers = [ok for ok in probe.ok_by_vantage.values() if ok is not None]
    if any(answers):
        return True
    return False if len(answers) >= (1 if node_down else VANTAGE_POINTS) else None


def counted(before: Mapping[str, int], verdicts: Mapping[str, bool | None], gap_s: float | None) -> dict[str, int]:
    """Seconds in a row that each pod has failed; a second that cannot be told neither adds nor clears."""
    if gap_s is None or gap_s > LONGEST_GAP_S:
        before = {}
    after: dict[str, int] = {}
    for name, ok in verdicts.items():
        if ok is not True:
            seconds = before.get(name, 0) + (1 if ok is False else 0)
            if seconds:
                after[name] = seconds
    return after


@dataclass(frozen=True, slots=True)
class Dead:
    """What is proven dead this second: pods by `workload/pod`, with the widest cause that explains each."""

    pods: Mapping[str, str]  # "pod", "node" or "zone"
    nodes: frozenset[str]
    zones: frozenset[str]


def dead(seen: FastSeen, verdicts: Mapping[str, bool | None], failed_in_row: Mapping[str, int]) -> Dead:
    """The pods that have failed long enough, each with its cause.

    A node or zone is blamed when (nearly) all its probed pods fail while most others answer; a single pod only while at
    least half of its workload's pods answer. When most things fail everywhere, nothing is concluded.
    """
    failing = {
        key(probe)
        for probe in seen.probes
        if verdicts[key(probe)] is False and failed_in_row.get(key(probe), 0) >= FAILED_IN_ROW
    }
    if not failing:
        return Dead({}, frozenset(), frozenset())
    down = {node.name for node in seen.nodes if node.ready is False}
    zones = frozenset(_whole(seen.probes, failing, verdicts, [(p.zone, key(p)) for p in seen.probes]))
    outside = [(None if p.zone in zones else p.node, key(p)) for p in seen.probes]
    nodes = frozenset(_whole([p for p in seen.probes if p.zone not in zones], failing, verdicts, outside)) | {
        probe.node for probe in seen.probes if probe.node in down and probe.node is not None and key(probe) in failing
    }
    peers: dict[str, list[bool | None]] = {}
    for probe in seen.probes:
        peers.setdefault(probe.workload, []).append(verdicts[key(probe)])
    pods: dict[str, str] = {}
    for probe in seen.probes:
        name = key(probe)
        if name not in failing:
            continue
        if probe.zone in zones:
            pods[name] = "zone"
        elif probe.node in nodes:
            pods[name] = "node"
        elif _most_answer(peers[probe.workload]):
            pods[name] = "pod"
    return Dead(pods, nodes, zones)


def _whole(
    probes: Sequence[ProbeSeen],
    failing: set[str],
    verdicts: Mapping[str, bool | None],
    places: Sequence[tuple[str | None, str]],
) -> set[str]:
    """Places (nodes or zones) whose pods nearly all fail, while most pods elsewhere answer."""
    members: dict[str, list[str]] = {}
    for place, name in places:
        if place is not None:
            members.setdefault(place, []).append(name)
    found = set()
    for place, names in members.items():
        gone = sum(name in failing for name in names)
        if gone < LEAST_PODS or gone < WHOLE_ZONE_RATIO * len(names):
            continue
        inside = set(names)
        if _most_answer(verdicts[key(probe)] for probe in probes if key(probe) not in inside):
            found.add(place)
    return found


def _most_answer(verdicts: Iterable[bool | None]) -> bool:
    """Whether at least half of those that can be told answer, and any can be told."""
    known = [ok for ok in verdicts if ok is not None]
    return bool(known) and sum(known) >= OTHERS_FINE_RATIO * len(known)
