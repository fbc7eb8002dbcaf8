"""What slows a pod or spoils its answers: warmth, its share of the node's CPU, and whatever faults do to it."""

from __future__ import annotations

from simulation.cluster.ground import Ground
from simulation.cluster.pods import Ailment, Pod, Stage
from simulation.cluster.usage import Usage

LEAST_SPEED = 0.02  # a starved pod still creeps
#: Above this share of its memory limit a container spends ever more CPU on garbage collection and reclaim;
#: at the limit this much of its speed is left.
PRESSURE_FROM, SPEED_AT_LIMIT = 0.85, 0.4


class Vitals:
    """Adds up all causes and tells the engine."""

    def __init__(self, ground: Ground, usage: Usage) -> None:
        self._ground = ground
        self._usage = usage

    def afflict(self, pod: Pod, cause: str, ailment: Ailment | None) -> None:
        """Set what one cause does to the pod; None: it is over."""
        if ailment == pod.ailments.get(cause):
            return
        if ailment is None:
            pod.ailments.pop(cause)
        else:
            pod.ailments[cause] = ailment
        if pod.stage is Stage.SERVING:
            self.apply(pod)

    def apply(self, pod: Pod) -> None:
        """What all causes together do to a serving pod, from now on."""
        assert pod.slot is not None
        engine, slot, before = self._ground.engine, pod.slot, pod.suffers
        after = pod.suffers = _together(pod)
        if after.extra_wait_s != before.extra_wait_s:
            engine.set_extra_wait(slot, after.extra_wait_s)
        if after.error_ratio != before.error_ratio:
            engine.set_error_ratio(slot, after.error_ratio)
        if after.pool_leak != before.pool_leak:
            engine.set_pool_leak(slot, after.pool_leak)
        self._usage.set_leak(slot, after.leak_mib)
        self._usage.set_other_cores(slot, _other_cores(pod), self._ground.now_s)
        self.set_speed(pod)

    def set_speed(self, pod: Pod) -> None:
        """Requests run at what warmth, the node's other pods, and idle work and burns inside the pod's limit leave."""
        assert pod.slot is not None
        limit = pod.spec.cpu_limit
        workers_cores = min(limit, float(pod.spec.threads))
        share = pod.share * min(1.0, max(LEAST_SPEED * limit, limit - _other_cores(pod)) / workers_cores)
        self._usage.set_share(pod.slot, share, pod.share, self._ground.now_s)
        speed = pod.warmth * share * _speed_under_memory_pressure(pod)
        self._ground.engine.set_speed(pod.slot, max(LEAST_SPEED, speed))


def _other_cores(pod: Pod) -> float:
    """What runs in the pod besides its requests."""
    return min(pod.spec.cpu_limit, pod.spec.cpu_idle + pod.suffers.cpu_burn_cores)


def _together(pod: Pod) -> Ailment:
    """All ailments of the pod as one, within what it has."""
    ailments = pod.ailments.values()
    answered = 1.0
    for ailment in ailments:
        answered *= 1.0 - min(1.0, ailment.error_ratio)
    return Ailment(
        extra_wait_s=sum(a.extra_wait_s for a in ailments),
        error_ratio=1.0 - answered,
        pool_leak=min(sum(a.pool_leak for a in ailments), pod.spec.pool_size),
        cpu_burn_cores=min(sum(a.cpu_burn_cores for a in ailments), pod.spec.cpu_limit),
        leak_mib=sum(a.leak_mib for a in ailments),
    )


def _speed_under_memory_pressure(pod: Pod) -> float:
    """1 while leaks leave enough memory, then less, down to what is left at the limit."""
    leaked_mib = pod.suffers.leak_mib
    if leaked_mib == 0.0:
        return 1.0
    used = (pod.spec.memory_base_mib + leaked_mib) / pod.spec.memory_limit_mib
    pressure = min(1.0, max(0.0, (used - PRESSURE_FROM) / (1.0 - PRESSURE_FROM)))
    return 1.0 - (1.0 - SPEED_AT_LIMIT) * pressure
