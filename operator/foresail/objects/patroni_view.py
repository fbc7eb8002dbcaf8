"""A Patroni cluster as its members describe it: who leads, who is synchronous, how far behind each one is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from foresail.objects.fields import Json, at, entries, flag, text, whole
from policies.model import DatabaseSeen, MemberSeen

_LEADING = ("leader", "standby_leader")
_SYNCHRONOUS = ("sync_standby", "quorum_standby")  # both are listed in /sync
_FINE = ("running", "streaming", "in archive recovery")
_CHANGING = ("stopping", "stopped", "starting", "restarting", "demoting", "promoting")
_KEPT_S = 300.0


@dataclass(frozen=True, slots=True)
class DatabaseTarget:
    """Where a Patroni cluster is to be asked.

    Its members are the pods in the namespace of `workload` (`namespace/name`) that bear the labels `members`, where
    none does the pods of `workload`; they are asked at `port`. Where they are no pods that we see, `url` leads to any
    of them and the rest is learned from it.
    """

    name: str
    workload: str
    port: int = 8008
    url: str | None = None
    members: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MemberPlace:
    """Where a member's pod runs."""

    node: str | None = None
    zone: str | None = None


@dataclass(frozen=True, slots=True)
class MemberAnswers:
    """What one member's REST API said; None: nothing, or no JSON."""

    member: str | None  # its pod's name, None where it is reached by URL
    own: Json | None  # GET /patroni
    cluster: Json | None  # GET /cluster


@dataclass(frozen=True, slots=True)
class Positions:
    """Where the leader's log stood, oldest first: what a standby has replayed tells how old its picture is."""

    leader: str | None = None
    points: tuple[tuple[float, int], ...] = ()  # time in s, bytes

    def with_point(self, leader: str, location: int | None, now_s: float) -> Positions:
        if location is None:
            return self if leader == self.leader else Positions(leader)
        before = self.points if leader == self.leader else ()
        return Positions(leader, (*(point for point in before if now_s - point[0] <= _KEPT_S), (now_s, location)))

    def lag_s(self, replayed: int | None, now_s: float) -> float | None:
        """Seconds since the leader's log was where the standby is now; None: not watched for long enough to tell."""
        if replayed is None or not self.points:
            return None
        later_s, later = self.points[-1]
        if replayed >= later:
            return max(0.0, now_s - later_s)
        for earlier_s, earlier in reversed(self.points[:-1]):
            if earlier <= replayed:
                share = (replayed - earlier) / (later - earlier)
                return now_s - (earlier_s + share * (later_s - earlier_s))
            later_s, later = earlier_s, earlier
        return None


def database_seen(
    target: DatabaseTarget,
    answers: Sequence[MemberAnswers],
    places: Mapping[str, MemberPlace],
    positions: Positions,
    now_s: float,
) -> tuple[DatabaseSeen | None, Positions]:
    """The cluster, None while no member describes it. `places` is by member, which is called like its pod."""
    cluster = _freshest(answers)
    if cluster is None:
        return None, positions
    own = {name: answer.own for answer in answers if answer.own is not None and (name := _name(answer)) is not None}
    described = {name: entry for entry in entries(cluster, "members") if (name := text(entry, "name")) is not None}
    leader = next((name for name, entry in described.items() if text(entry, "role") in _LEADING), None)
    if leader is not None:
        positions = positions.with_point(leader, whole(own.get(leader), "xlog", "location"), now_s)
    members = {
        name: MemberSeen(
            name=name,
            node=places.get(name, MemberPlace()).node,
            zone=places.get(name, MemberPlace()).zone,
            healthy=_healthy(entry, own.get(name)),
            synchronous=text(entry, "role") in _SYNCHRONOUS,
            lag_s=None if name == leader else positions.lag_s(whole(own.get(name), "xlog", "replayed_location"), now_s),
        )
        for name, entry in described.items()
    }
    primary = members.pop(leader, None) if leader is not None else None
    seen = DatabaseSeen(
        name=target.name,
        workload=target.workload,
        primary=primary,
        standbys=tuple(members[name] for name in sorted(members)),
        long_transaction=None,  # Patroni does not know
        switching=_is_switching(cluster, leader, described.get(leader or ""), own.get(leader or "")),
    )
    return seen, positions


def _freshest(answers: Sequence[MemberAnswers]) -> Json | None:
    """The description by the member that heard of the others last: one that is cut off shows what used to be."""
    told = [(whole(a.own, "dcs_last_seen") or 0, a.cluster) for a in answers if entries(a.cluster, "members")]
    return max(told, key=lambda each: each[0])[1] if told else None


def _name(answer: MemberAnswers) -> str | None:
    return text(answer.own, "patroni", "name") or answer.member


def _healthy(described: Json, own: Json | None) -> bool | None:
    """What the member says of itself. Of one that is silent only bad news is believed: good news may be old."""
    state = text(own, "state") or text(described, "state")
    if state is None or state == "unknown":
        return None
    if state in _FINE:
        return True if own is not None else None
    return False


def _is_switching(cluster: Json, leader: str | None, described: Json | None, own: Json | None) -> bool:
    """Whether leadership is on its way to somebody else, by plan or just now, or people want it left alone (pause)."""
    if at(cluster, "scheduled_switchover") is not None or flag(cluster, "pause"):
        return True
    # The leader itself knows of its stepping down seconds before the others do.
    return leader is None or text(described, "state") in _CHANGING or text(own, "state") in _CHANGING
