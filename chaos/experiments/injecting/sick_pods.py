"""Faults inside the shop's processes, by its fault endpoint, process by process."""

from __future__ import annotations

from chaos.experiments.injecting.injector import Injection
from chaos.experiments.injecting.stage import Stage
from chaos.experiments.injecting.undoing import END_FAULT
from chaos.experiments.injecting.verbs import LivePod, ShopFault, ShopFaults
from chaos.experiments.problems import VerbFailed
from chaos.experiments.rollback import Undo
from chaos.experiments.shop_map import CACHE_ROLE
from simulation.faults.in_pods import LEAK_SPREAD
from simulation.scenario import Fault, FaultKind
from simulation.streams import between

#: Begin anew in each process, as a leak does; the others are where the fault is.
OF_THE_PROCESS = frozenset({FaultKind.MEMORY_LEAK, FaultKind.POOL_CREEP, FaultKind.LATENCY_CREEP})
_LEAST_S = 1.0  # a fault that has less left is not begun in a new process


class SickPods(Injection):
    """Pods that are ill while the fault lasts, in the simulator's manner: without `pods` the whole service is, new
    pods too; with it those pods are, also when their process starts again, and a replacement is healthy."""

    def __init__(self, fault: Fault, index: int, stage: Stage) -> None:
        super().__init__(fault, index, stage)
        self._role = CACHE_ROLE if fault.kind is FaultKind.CACHE_LOSS else str(fault.service)
        self._chosen: frozenset[str] | None = None  # None: everybody
        self._ordinals: dict[str, int] = {}
        self.hit(self._role)

    def inject(self, now_s: float) -> None:
        pods = self._candidates()
        if not pods:
            raise VerbFailed(f"{self._role} has no pod that could fall ill")
        if self.fault.pods is not None and self._chosen is None:
            pods = self.stage.victims(self._role, self.fault.pods, self.index, self.fault.seed)
            self._chosen = frozenset(pod.name for pod in pods)
        for pod in pods:
            self._fall_ill(pod, now_s)

    def advance(self, now_s: float) -> None:
        """New pods, and processes that started again and forgot. One that does not answer is tried again."""
        for pod in self._candidates():
            try:
                self._fall_ill(pod, now_s)
            except VerbFailed:
                continue

    def _candidates(self) -> tuple[LivePod, ...]:
        pods = self.stage.verbs.pods.of(self._role)
        return tuple(p for p in pods if p.address and (self._chosen is None or p.name in self._chosen))

    def _fall_ill(self, pod: LivePod, now_s: float) -> None:
        endpoint, name = self._endpoint(), self.fault.kind.value
        left_s = self.fault.end_s - now_s
        if left_s < _LEAST_S:
            return
        active = endpoint.is_active(pod, name)
        if active is None:
            raise VerbFailed(f"{pod.name} does not answer on its management port")
        if active:
            return
        self.promise(Undo(END_FAULT, pod.name, name))
        endpoint.begin(pod, self._asked_of(pod, now_s, left_s))
        self.hit(pod.name)

    def _asked_of(self, pod: LivePod, now_s: float, left_s: float) -> ShopFault:
        """A process that joins late climbs what is left of the ramp, or all of it where faults begin with it."""
        begins_s = now_s if self.fault.kind in OF_THE_PROCESS else self.fault.start_s
        ramp_s = max(0.0, min(begins_s + self.fault.ramp_s - now_s, left_s))
        return ShopFault(self.fault.kind.value, self._magnitude(pod), ramp_s, left_s, self.fault.seed)

    def _magnitude(self, pod: LivePod) -> float:
        """Pods leak at rates of their own, by the order in which they fell ill."""
        if self.fault.kind is not FaultKind.MEMORY_LEAK:
            return self.fault.size
        ordinal = self._ordinals.setdefault(pod.name, len(self._ordinals))
        return self.fault.size * between(
            1.0 - LEAK_SPREAD, 1.0 + LEAK_SPREAD, self.stage.seed, "leak", self.index, pod.service, ordinal
        )

    def _endpoint(self) -> ShopFaults:
        if self.stage.verbs.shop_faults is None:
            raise VerbFailed("the shop was installed without its fault endpoint: set shop.faults")
        return self.stage.verbs.shop_faults
