"""What the control loop needs from the world. Live adapters and the simulator answer the same three ports."""

from __future__ import annotations

from typing import Protocol

from policies.decision import Action, Decision
from policies.model import FastSeen, Observation


class MetricsUnavailable(Exception):
    """Nothing could be observed at all. The loop holds; it never reads this as zero."""


class Metrics(Protocol):
    """Sees. `observe` may be partly blind (None fields); it raises `MetricsUnavailable` when it sees nothing."""

    def observe(self, now_s: float) -> Observation: ...

    def observe_fast(self, now_s: float) -> FastSeen: ...


class Cluster(Protocol):
    """Acts, idempotently and reversibly. False: the write was refused (API server gone, contested, precondition)."""

    def apply(self, action: Action, decision: Decision, now_s: float) -> bool: ...
