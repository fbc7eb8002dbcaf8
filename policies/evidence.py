"""What a second's probes prove: a dead pod, a dead node, a dead zone, or nothing at all.

A probe counts as failed only when two vantage points in different zones say so and none says otherwise, or when one
says so and something else agrees: the node's own condition, or for a whole node or zone the silence of its own vantage
point. Silence alone proves nothing. A vantage point that reaches nothing outside its zone, while others do, is cut off
itself: what it says is not counted.
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


@dataclass(frozen=True, slots=True)
class Testimony:
    """What the vantage points that can be believed say, by `workload/pod`."""

    verdicts: Mapping[str, bool | None]  # True: answers. False: proven not to. None: cannot be told.
    twofold: frozenset[str]  # of those that do not answer: proven without the help of a silent vantage point


def key(probe: ProbeSeen) -> str:
    """`workload/pod`."""
    return f"{probe.workload}/{probe.pod}"


def hear(seen: FastSeen) -> Testimony:
    """The verdicts of one second."""
    down = {node.name for node in seen.nodes if node.ready is False}
    unheard = _unheard(seen.probes)
    verdicts: dict[str, bool | None] = {}
    twofold: set[str] = set()
    for probe in seen.probes:
        answers = [ok for zone, ok in probe.ok_by_vantage.items() if ok is not None and zone not in unheard]
        name = key(probe)
        if any(answers):
            verdicts[name] = True
        elif len(answers) >= VANTAGE_POINTS or (answers and probe.node in down):
            verdicts[name] = False
            twofold.add(name)
        else:
            verdicts[name] = False if answers and probe.zone in unheard else None
    return Testimony(verdicts, frozenset(twofold))


def _unheard(probes: Sequence[ProbeSeen]) -> set[str]:
    """Vantage points that say nothing at all, and those that are cut off from everything but their own zone."""
    said: dict[str, list[bool]] = {}
    contradicted: dict[str, list[bool]] = {}
    for probe in probes:
        for zone, ok in probe.ok_by_vantage.items():
            said.setdefault(zone, [])
            if ok is None:
                continue
            said[zone].append(ok)
            if zone != probe.zone:
                others = (other for place, other in probe.ok_by_vantage.items() if place != zone)
                contradicted.setdefault(zone, []).append(not ok and any(others))
    silent = {zone for zone, answers in said.items() if not answers}
    cut_off = {
        zone
        for zone, lonely in contradicted.items()
        if len(lonely) >= LEAST_PODS and sum(lonely) >= WHOLE_ZONE_RATIO * len(lonely)
    }
    return silent | cut_off


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


def dead(seen: FastSeen, testimony: Testimony, failed_in_row: Mapping[str, int]) -> Dead:
    """The pods that have failed long enough, each with its cause.

    A node or zone is blamed when (nearly) all its probed pods fail while most others answer; a single pod only while at
    least half of its workload's pods answer. When most things fail everywhere, nothing is concluded. A node may have
    taken its own vantage point along: then the witness that is left is enough, since two things on it are silent.
    """
    verdicts = testimony.verdicts
    failing = {name for name, ok in verdicts.items() if ok is False and failed_in_row.get(name, 0) >= FAILED_IN_ROW}
    if not failing:
        return Dead({}, frozenset(), frozenset())
    down = {node.name for node in seen.nodes if node.ready is False}
    zones = frozenset(_whole(seen.probes, failing, verdicts, [(probe.zone, key(probe)) for probe in seen.probes]))
    proven = failing & testimony.twofold
    outside = [probe for probe in seen.probes if probe.zone not in zones]
    places = [(probe.node, key(probe)) for probe in outside]
    mute = seen.silent_nodes & _whole(outside, failing, verdicts, places)
    nodes = frozenset(_whole(outside, proven, verdicts, places)) | mute
    nodes |= {probe.node for probe in seen.probes if probe.node in down and probe.node and key(probe) in proven}
    peers: dict[str, list[bool | None]] = {}
    for probe in seen.probes:
        peers.setdefault(probe.workload, []).append(verdicts[key(probe)])
    pods: dict[str, str] = {}
    for probe in seen.probes:
        name = key(probe)
        if name in failing and probe.zone in zones:
            pods[name] = "zone"
        elif (name in proven and probe.node in nodes) or (name in failing and probe.node in mute):
            pods[name] = "node"
        elif name in proven and _most_answer(peers[probe.workload]):
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
