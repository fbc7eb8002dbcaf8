"""What other places see: a pod is proven dead only when two zones say so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from foresail.objects.fast_plan import Peer, Probed
from foresail.objects.fields import at, text
from policies.model import ProbeSeen

STALE_S = 2.5  # a report older than this is silence


@dataclass(frozen=True, slots=True)
class VantageReport:
    """What one place saw in its last round, by `workload/pod`. None: it looked and could not tell."""

    zone: str
    answers: Mapping[str, bool | None] = field(default_factory=dict)
    silent: bool = False  # it did not report, or too long ago


class Vantages(Protocol):
    """Other places that probe the same pods."""

    def reports(self, now_s: float) -> Iterable[VantageReport]: ...


def published(report: VantageReport, age_s: float) -> dict[str, object]:
    """A report as JSON. It carries its age, not its time: clocks of two machines differ."""
    return {"zone": report.zone, "age_s": round(age_s, 3), "answers": dict(report.answers)}


def received(value: object, zone: str) -> VantageReport:
    """A report out of JSON; silent where it is old or cannot be read. `zone` is where the sender is known to be."""
    age_s, answers = at(value, "age_s"), at(value, "answers")
    if isinstance(age_s, bool) or not isinstance(age_s, int | float) or not 0.0 <= age_s <= STALE_S:
        return VantageReport(zone, silent=True)
    if not isinstance(answers, Mapping):
        return VantageReport(zone, silent=True)
    told = {key: ok for key, ok in answers.items() if isinstance(key, str) and (ok is None or isinstance(ok, bool))}
    return VantageReport(text(value, "zone") or zone, told)


def probes_seen(probed: Iterable[Probed], reports: Iterable[VantageReport]) -> tuple[ProbeSeen, ...]:
    """One value per pod. Two places in one zone are one vantage point, which has seen what either has."""
    by_zone: dict[str, list[VantageReport]] = {}
    for report in reports:
        by_zone.setdefault(report.zone, []).append(report)
    return tuple(
        ProbeSeen(
            workload=each.workload,
            pod=each.pod,
            node=each.node,
            zone=each.zone,
            ok_by_vantage={zone: _said(said, each.key) for zone, said in by_zone.items()},
        )
        for each in probed
    )


def silent_nodes(peers: Iterable[Peer], reports: Iterable[VantageReport]) -> frozenset[str]:
    """Nodes of replicas that do not report, where none does; `reports` in the order of `peers`."""
    silent: dict[str, bool] = {}
    for peer, said in zip(peers, reports, strict=True):
        if peer.node is not None:
            silent[peer.node] = silent.get(peer.node, True) and said.silent
    return frozenset(node for node, all_silent in silent.items() if all_silent)


def _said(reports: Iterable[VantageReport], key: str) -> bool | None:
    answers = [ok for report in reports if not report.silent and (ok := report.answers.get(key)) is not None]
    return any(answers) if answers else None
