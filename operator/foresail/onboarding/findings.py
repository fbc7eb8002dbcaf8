"""What onboarding says about a workload: steps to take, what is missing, what acts are possible. Values only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from foresail.resources.targets import Role
from policies.model import Rung


class Weight(StrEnum):
    """`MISSING`: an act that the policy asks for cannot be done, or would do harm. `ADVICE`: it would go better."""

    MISSING = "missing"
    ADVICE = "advice"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is not as it should be: what is so, and what to do about it."""

    weight: Weight
    topic: str
    said: str
    fix: str


@dataclass(frozen=True, slots=True)
class Change:
    """A merge patch of one object; the same belongs into the manifest that the object comes from."""

    kind: str
    namespace: str
    name: str
    patch: Mapping[str, Any]

    @property
    def command(self) -> str:
        body = json.dumps(self.patch, separators=(",", ":"))
        return f"kubectl -n {self.namespace} patch {self.kind.lower()} {self.name} --type merge -p '{body}'"


@dataclass(frozen=True, slots=True)
class Step:
    """One step towards the traffic label, in the order of the steps. `change` None: one that only waits.

    `too_early`: what would break if it were taken now; None: it can be taken.
    """

    text: str
    change: Change | None
    command: str
    too_early: str | None = None


@dataclass(frozen=True, slots=True)
class RungAnswer:
    """Whether an act of the ladder is possible for the workload as it is now, and why, or why not."""

    rung: Rung
    possible: bool
    why: str


@dataclass(frozen=True, slots=True)
class WorkloadReport:
    """One workload. `lean` is the change of its HPA that goes with a floor; None: there is none to make."""

    workload: str  # "namespace/name"
    kind: str
    policy: str
    target: str
    role: Role
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    rungs: tuple[RungAnswer, ...]
    lean: Change | None = None

    @property
    def missing(self) -> int:
        """Steps to take and findings that weigh."""
        return len(self.steps) + sum(finding.weight is Weight.MISSING for finding in self.findings)
