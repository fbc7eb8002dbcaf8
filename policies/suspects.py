"""Pods that stood out among their peers: for how long, how clearly, and how soon users will feel it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from policies.model import WorkloadSeen
from policies.outliers import Outlier

FORGET_S = 60.0  # a suspect not seen misbehaving for so long is none; thrice as long after a relapse, and so on
REMEMBER_S = 900.0  # one that misbehaves again so soon after it was relieved has not recovered
HARM_LOOKS = 2  # looks of 15 s at a pod that hurts users now
RELAPSED_HARM = 0.5  # less is enough from one that came back: what was done about it only hid it
RISING_LOOKS = 3  # … at one that only will, if it goes on like this


@dataclass(frozen=True, slots=True)
class Suspect:
    """A pod that stood out among its peers. `harm` is how far it is towards hurting users: from 1 on it does."""

    workload: str
    pod: str
    signal: str
    first_seen_s: float
    last_seen_s: float
    sightings: int
    work_ratio: float
    harm: float
    first_harm: float
    certain: bool = False  # no coincidence: very many failed answers, or neighbours on its node that stand out too
    relapses: int = 0  # times it came back after having looked well

    @property
    def key(self) -> str:
        return f"{self.workload}/{self.pod}"

    @property
    def looks(self) -> int:
        """Sightings in a row; certainty counts like one more."""
        return self.sightings + int(self.certain and self.sightings > 0)

    @property
    def confidence(self) -> float:
        """That it is no coincidence: each further look halves the doubt."""
        return 1.0 - 0.5**self.looks

    def harm_in(self, ahead_s: float) -> float:
        """The harm so much later if it goes on growing as since the first look."""
        elapsed_s = self.last_seen_s - self.first_seen_s
        if elapsed_s <= 0.0:
            return self.harm
        return self.harm + max(0.0, self.harm - self.first_harm) / elapsed_s * ahead_s

    def must_go(self, ahead_s: float) -> bool:
        """Whether it hurts users, or will before a successor could serve."""
        if self.harm >= (RELAPSED_HARM if self.relapses else 1.0):
            return self.looks >= HARM_LOOKS
        return self.looks >= RISING_LOOKS and self.harm_in(ahead_s) >= 1.0


def remembered(before: Iterable[Suspect], now_s: float) -> dict[str, Suspect]:
    """Earlier suspects that still matter, by key; those that look well again have no sightings."""
    kept: dict[str, Suspect] = {}
    for suspect in before:
        if now_s - suspect.last_seen_s <= FORGET_S * (1 + 2 * suspect.relapses):
            kept[suspect.key] = suspect
        elif now_s - suspect.last_seen_s <= REMEMBER_S:
            kept[suspect.key] = replace(suspect, sightings=0)
    return kept


def sighted(before: Suspect | None, odd: Outlier, workload: str, certain: bool, now_s: float) -> Suspect:
    """The suspect after one more look at which it stood out."""
    if before is None:
        return Suspect(
            workload, odd.pod, odd.signal, now_s, now_s, 1, odd.work_ratio, odd.harm, odd.harm, odd.certain or certain
        )
    anew = before.sightings == 0 or before.signal != odd.signal
    return replace(
        before,
        signal=odd.signal,
        first_seen_s=now_s if anew else before.first_seen_s,
        first_harm=odd.harm if anew else before.first_harm,
        last_seen_s=now_s,
        sightings=before.sightings + 1,
        work_ratio=odd.work_ratio,
        harm=odd.harm,
        certain=odd.certain or certain,
        relapses=before.relapses + int(before.sightings == 0),
    )


def shared_nodes(workloads: Iterable[WorkloadSeen], odd: Mapping[str, Outlier]) -> frozenset[str]:
    """Nodes on which pods of several workloads stand out at the same look: one cause, and it is the node."""
    counts: Counter[str] = Counter()
    for workload in workloads:
        found = odd.get(workload.name)
        if found is None:
            continue
        node = next((pod.node for pod in workload.pods if pod.name == found.pod), None)
        if node is not None:
            counts[node] += 1
    return frozenset(node for node, count in counts.items() if count >= 2)
