"""What one simulated (or live) run leaves behind: everything the scoreboard, the report and `explain` read.

Arrays run over the scored seconds [0, duration); the warm-up is not in them. Unknown is NaN.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from policies.decision import Decision
from simulation.scenario import Scenario

Counts = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class ClientSeconds:
    """Requests by the second of their intended start, `(classes, seconds)`.

    arrived = ok + failed + unfinished. `slow` is the part of ok above the class's SLO latency, `degraded` the part of
    ok without its optional content (None: nobody saw it). `latency_histogram` is `(seconds, buckets)` over all requests
    answered.
    """

    classes: tuple[str, ...]
    arrived: Counts
    ok: Counts
    slow: Counts
    failed: Counts
    degraded: Counts | None
    latency_histogram: Counts
    bucket_edges_s: Floats  # (buckets + 1,)

    @property
    def bad(self) -> Counts:
        """Failed or slower than the SLO, per second over all classes."""
        return np.asarray(self.failed.sum(axis=0) + self.slow.sum(axis=0))


@dataclass(frozen=True, slots=True)
class ServiceSeconds:
    """One row per service, `(services, seconds)`; this becomes timeline.csv."""

    services: tuple[str, ...]
    offered_rps: Floats
    ok_rps: Floats
    failed_rps: Floats
    p50_ms: Floats
    p99_ms: Floats
    cpu_utilization: Floats  # used / requested over pods that run
    replicas_desired: Floats
    replicas_ready: Floats
    pods: Floats  # all pods that cost: pending on a node, running, terminating


@dataclass(frozen=True, slots=True)
class OrderLedger:
    """Every order a client attempted, one entry each."""

    intended_s: Floats
    acknowledged: NDArray[np.bool_]
    commits: Counts  # times it is in the database at the end

    @property
    def attempted(self) -> int:
        return int(self.intended_s.size)

    @property
    def failed(self) -> int:
        return int((~self.acknowledged).sum())

    @property
    def lost(self) -> int:
        """Acknowledged but not stored."""
        return int((self.acknowledged & (self.commits == 0)).sum())

    @property
    def duplicated(self) -> int:
        return int((self.commits > 1).sum())


@dataclass(frozen=True, slots=True)
class FaultTruth:
    """A fault as it really happened. `targets` are services, pods, nodes, zones and databases that it hit."""

    index: int  # in scenario.faults
    kind: str
    label: str  # for people: "memory leak in checkout"
    start_s: float
    end_s: float
    predictable: bool
    targets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Resize:
    """A change of a workload's desired replicas and who asked for it."""

    at_s: float
    service: str
    before: int
    after: int
    by: Literal["hpa", "floor", "peer", "healing", "scenario"]


#: Decision id and class name of an action that the cluster refused: no API server, or not what it was decided about.
Refusal = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Act:
    """An action that changed something; renewals do not. `target` is the pod, zone, database or workload acted on."""

    at_s: float
    workload: str
    kind: str  # class name of the action: "SetTraffic", "EvictPod", …
    target: str
    disruptive: bool
    decision_id: str | None


@dataclass(frozen=True, slots=True)
class ForecastRecord:
    """One issued demand forecast, thinned for the report: quantiles 0.05, 0.5 and 0.95 at each time."""

    issued_at_s: float
    workload: str
    times_s: Floats
    q05_rps: Floats
    q50_rps: Floats
    q95_rps: Floats
    model: str


@dataclass(frozen=True, slots=True)
class Accounting:
    """Conservation over the whole run, warm-up included: arrived = served + failed + in_flight."""

    arrived: int
    served: int
    failed: int
    in_flight: int


@dataclass(frozen=True, slots=True)
class RunResult:
    scenario: Scenario
    arm: str
    seed: int
    client: ClientSeconds
    services: ServiceSeconds
    jain_index: Floats  # (services, 30 s bins): per-pod load relative to capacity, NaN below two pods or without load
    pod_hours: float
    orders: OrderLedger
    faults: tuple[FaultTruth, ...]
    decisions: tuple[
        Decision, ...
    ]  # every decision with an action, a veto or something withheld, and each change of reason
    resizes: tuple[Resize, ...]
    acts: tuple[Act, ...]
    forecasts: tuple[ForecastRecord, ...]
    actual_demand_rps: Floats  # (services, 15 s bins): offered at the service
    accounting: Accounting
    staircase_s: float | None = None  # length of a load step where the scenario is a staircase
    refusals: frozenset[Refusal] = frozenset()  # actions decided that the cluster did not take
