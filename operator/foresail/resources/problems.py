"""What is wrong with a policy, as values that become conditions: which policy, which field, what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class ProblemKind(StrEnum):
    """Named as the reasons of conditions are."""

    INVALID = "Invalid"  # a field is wrong; unless it is an annotation, the policy is not followed
    CONFLICT = "TwoPoliciesOnOneWorkload"
    NO_WORKLOAD = "NoSuchWorkload"
    ENTRY_UNCLEAR = "EntryUnclear"
    EVENT_DROPPED = "EventDropped"


@dataclass(frozen=True, slots=True, order=True)
class PolicyName:
    """Where a ResiliencePolicy stands."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with one policy. `message` names the fix; `field` is the path in the resource."""

    policy: PolicyName
    kind: ProblemKind
    field: str
    message: str
    workload: str | None = None

    def __str__(self) -> str:
        return f"{self.policy}: {self.field}: {self.message}"
