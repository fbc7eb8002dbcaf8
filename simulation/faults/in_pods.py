"""Faults inside pods: leaks, creeps, errors, burns, waits and crashes."""

from __future__ import annotations

from simulation.cluster.pods import Ailment, Pod, Stage
from simulation.faults.base import RunningFault
from simulation.scenario import FaultKind
from simulation.streams import between

LEAK_SPREAD = 0.2  # pods leak at rates up to this share apart from the fault's


class SickPods(RunningFault):
    """Pods that are ill for a while.

    Without `pods` the whole service is, new pods too. With it, those pods are, also after a restart; a replacement
    is healthy. What grows (leak, creep) begins anew in each container.
    """

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._cause = f"fault/{self.index}"
        self._sick: dict[str, Pod] = {}
        self._running = False
        self.grows = self.fault.kind in (FaultKind.MEMORY_LEAK, FaultKind.POOL_CREEP)

    def begin(self) -> None:
        assert self.fault.service is not None
        self._running = True
        everybody = self.parts.services[self.fault.service].pods
        chosen = self.victims(self.fault.pods) if self.fault.pods is not None else everybody
        for pod in list(chosen):
            self._fall_ill(pod)

    def _fall_ill(self, pod: Pod) -> None:
        self._sick[pod.name] = pod
        self.hit(pod.name)
        self.parts.vitals.afflict(pod, self._cause, self._ailment(pod))

    def step(self) -> None:
        gone = [name for name, pod in self._sick.items() if pod.stage is Stage.GONE]
        for name in gone:
            del self._sick[name]
        for pod in self._sick.values():
            self.parts.vitals.afflict(pod, self._cause, self._ailment(pod))
        if self.fault.kind is FaultKind.MEMORY_LEAK:
            self.parts.check_memory()

    def end(self) -> None:
        self._running = False
        for pod in self._sick.values():
            self.parts.vitals.afflict(pod, self._cause, None)
        self._sick.clear()

    def pod_started(self, pod: Pod) -> None:
        if (
            self._running
            and pod.service == self.fault.service
            and (self.fault.pods is None or pod is self._sick.get(pod.name))
        ):
            self._fall_ill(pod)

    def _ailment(self, pod: Pod) -> Ailment:
        """What the fault does to this pod now."""
        match self.fault.kind:
            case FaultKind.MEMORY_LEAK:
                seed = self.parts.ground.seed
                own = between(1.0 - LEAK_SPREAD, 1.0 + LEAK_SPREAD, seed, "leak", self.index, pod.service, pod.ordinal)
                return Ailment(leak_mib=own * self.fault.size * self._container_s(pod) / 60.0)
            case FaultKind.POOL_CREEP:
                lost = int(self.fault.size * self._container_s(pod) / 60.0)
                return Ailment(pool_leak=min(lost, pod.spec.pool_size))
            case FaultKind.LATENCY_CREEP:
                return Ailment(extra_wait_s=self.fault.size * self._container_level(pod))
            case FaultKind.ERROR_BURST:
                return Ailment(error_ratio=self.magnitude)
            case FaultKind.CPU_BURN:
                return Ailment(cpu_burn_cores=self.magnitude)
            case _:  # slow dependency, lock contention
                return Ailment(extra_wait_s=self.magnitude)

    def _container_s(self, pod: Pod) -> float:
        return 0.0 if pod.container_started_s is None else self.accumulated_s(pod.container_started_s)

    def _container_level(self, pod: Pod) -> float:
        if pod.container_started_s is None:
            return 0.0
        elapsed_s = self.now_s - max(self.fault.start_s, pod.container_started_s)
        return 1.0 if self.fault.ramp_s == 0.0 else min(1.0, max(0.0, elapsed_s / self.fault.ramp_s))


class PodCrash(RunningFault):
    """Containers exit once; their kubelets start them again."""

    def begin(self) -> None:
        for pod in self.victims(self.fault.pods if self.fault.pods is not None else round(self.fault.size)):
            self.hit(pod.name)
            self.parts.kubelet.crash(pod)


class CrashLoop(RunningFault):
    """A rollout whose pods pass their first probes and crash later, again and again, until it is rolled back."""

    def __init__(self, *args: object, **kwargs: object) -> None:
        super().__init__(*args, **kwargs)  # type: ignore[arg-type]
        self._revision: int | None = None

    def begin(self) -> None:
        assert self.fault.service is not None
        self.parts.deployments.roll_out(self.fault.service, flawed_share=min(1.0, self.fault.size))
        self._revision = self.parts.services[self.fault.service].revision

    def pod_started(self, pod: Pod) -> None:
        if pod.flawed and pod.service == self.fault.service and pod.revision == self._revision:
            self.hit(pod.name)

    def end(self) -> None:
        assert self.fault.service is not None
        self.parts.deployments.roll_out(self.fault.service, flawed_share=0.0)
