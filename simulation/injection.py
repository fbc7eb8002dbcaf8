"""Faults applied to the world: each begins, grows, and ends at its time."""

from __future__ import annotations

from simulation.cluster.pods import Pod
from simulation.faults.around_pods import ApiOutage, Blindness, Crowd, NodeLoss, NoisyNeighbour, ZoneCut, ZoneLoss
from simulation.faults.base import RunningFault
from simulation.faults.in_pods import CrashLoop, PodCrash, SickPods
from simulation.faults.in_stores import CacheLoss, DiskFill, PaymentTimeouts, PrimaryLoss, ReplicationLag
from simulation.faults.parts import Parts
from simulation.result import FaultTruth
from simulation.scenario import Fault, FaultKind

STEP_S = 1.0  # while a fault grows

_HOW: dict[FaultKind, type[RunningFault]] = {
    FaultKind.POD_CRASH: PodCrash,
    FaultKind.CRASH_LOOP: CrashLoop,
    FaultKind.MEMORY_LEAK: SickPods,
    FaultKind.POOL_CREEP: SickPods,
    FaultKind.SLOW_DEPENDENCY: SickPods,
    FaultKind.LATENCY_CREEP: SickPods,
    FaultKind.NOISY_NEIGHBOUR: NoisyNeighbour,
    FaultKind.NODE_LOSS: NodeLoss,
    FaultKind.ZONE_LOSS: ZoneLoss,
    FaultKind.ZONE_CUT: ZoneCut,
    FaultKind.PRIMARY_LOSS: PrimaryLoss,
    FaultKind.ERROR_BURST: SickPods,
    FaultKind.CPU_BURN: SickPods,
    FaultKind.LOCK_CONTENTION: SickPods,
    FaultKind.PAYMENT_TIMEOUTS: PaymentTimeouts,
    FaultKind.DISK_FILL: DiskFill,
    FaultKind.REPLICATION_LAG: ReplicationLag,
    FaultKind.CACHE_LOSS: CacheLoss,
    FaultKind.METRICS_OUTAGE: Blindness,
    FaultKind.METRICS_DELAY: Blindness,
    FaultKind.API_OUTAGE: ApiOutage,
    FaultKind.CONTROLLER_CRASH: Blindness,
    FaultKind.FLASH_SALE: Crowd,
    FaultKind.VIRAL_RAMP: Crowd,
}


class Injection:
    """All faults of one run."""

    def __init__(self, faults: tuple[Fault, ...], parts: Parts) -> None:
        self._agenda = parts.ground.agenda
        self._faults = faults
        self._running = [_HOW[fault.kind](fault, index, parts) for index, fault in enumerate(faults)]
        for running in self._running:
            self._agenda.at(running.fault.start_s, lambda running=running: self._begin(running))  # type: ignore[misc]

    def _begin(self, running: RunningFault) -> None:
        fault = running.fault
        running.begin()
        self._agenda.at(fault.end_s, running.end)
        if running.grows or fault.ramp_s > 0.0:
            self._agenda.after(STEP_S, lambda: self._step(running))

    def _step(self, running: RunningFault) -> None:
        """Each second while it grows; when the ramp is over, others stay as they are."""
        now_s, fault = self._agenda.now_s, running.fault
        if now_s >= fault.end_s:
            return
        running.step()
        if running.grows or now_s < fault.start_s + fault.ramp_s + STEP_S or fault.kind is FaultKind.LATENCY_CREEP:
            self._agenda.after(STEP_S, lambda: self._step(running))

    def pod_started(self, pod: Pod) -> None:
        for running in self._running:
            running.pod_started(pod)

    def truths(self) -> tuple[FaultTruth, ...]:
        return tuple(running.truth() for running in self._running)

    def active(self, kind: FaultKind) -> bool:
        """A fault of this kind is on."""
        now_s = self._agenda.now_s
        return any(f.kind is kind and f.start_s <= now_s < f.end_s for f in self._faults)

    def extra_lag_s(self) -> float:
        """How much later than usual metrics arrive."""
        now_s = self._agenda.now_s
        return sum(f.size * f.level(now_s) for f in self._faults if f.kind is FaultKind.METRICS_DELAY)
