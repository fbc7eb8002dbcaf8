"""What controllers did, in order: decisions worth keeping, acts that changed something, changes of replicas."""

from __future__ import annotations

from typing import Literal

from policies.decision import Decision, ReasonCode
from simulation.result import Act, Refusal, Resize


class RunLog:
    """Appended to by controllers, read by nobody during the run."""

    def __init__(self) -> None:
        self.decisions: list[Decision] = []
        self.acts: list[Act] = []
        self.resizes: list[Resize] = []
        self.refusals: set[Refusal] = set()
        self._last_codes: dict[tuple[str, bool], tuple[ReasonCode, ...]] = {}

    def decided(self, decision: Decision) -> None:
        """Keep what acts, was vetoed or withheld, and every change of reason; drop what only repeats."""
        codes = tuple(reason.code for reason in decision.reasons)
        lane = (decision.workload, decision.fast)
        changed = self._last_codes.get(lane) != codes
        self._last_codes[lane] = codes
        if changed or decision.actions or decision.vetoes or decision.withheld:
            self.decisions.append(decision)

    def acted(self, at_s: float, decision: Decision, kind: str, target: str, *, disruptive: bool) -> None:
        self.acts.append(Act(at_s, decision.workload, kind, target, disruptive, decision.id))

    def refused(self, decision: Decision, kind: str) -> None:
        self.refusals.add((decision.id, kind))

    def resized(
        self,
        at_s: float,
        service: str,
        before: int,
        after: int,
        by: Literal["hpa", "floor", "peer", "healing", "scenario"],
    ) -> None:
        self.resizes.append(Resize(at_s, service, before, after, by))
