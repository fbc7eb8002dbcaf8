"""Crashes of pods: once, or again and again."""

from __future__ import annotations

from chaos.experiments.injecting.injector import Injection
from chaos.experiments.injecting.stage import Stage
from chaos.experiments.injecting.verbs import LivePod, ShopFault, ShopFaults
from chaos.experiments.problems import VerbFailed
from simulation.scenario import Fault

CRASH = "pod_crash"
#: A flawed process lives for so long before it dies, as one does that passes its first probes.
LIVES_S = 5.0


class PodCrash(Injection):
    """Processes die once; their kubelets start them again.

    A crash must not be sent twice to one process. When an answer was lost, a process that answers again without having
    been started anew did not get it.
    """

    def __init__(self, fault: Fault, index: int, stage: Stage) -> None:
        super().__init__(fault, index, stage)
        self._chosen: dict[str, int] = {}  # restarts when it was chosen
        self._asked: set[str] = set()
        self._crashed: set[str] = set()

    def inject(self, now_s: float) -> None:
        assert self.fault.service is not None
        if not self._chosen:
            count = self.fault.pods if self.fault.pods is not None else round(self.fault.size)
            victims = self.stage.victims(self.fault.service, count, self.index, self.fault.seed)
            self._chosen = {pod.name: pod.restarts for pod in victims}
        if not self._chosen:
            raise VerbFailed(f"{self.fault.service} has no pod that could crash")
        for pod in self.stage.verbs.pods.of(self.fault.service):
            if self._chosen.get(pod.name) == pod.restarts and not self._got_it(pod):
                self._asked.add(pod.name)
                self.hit(pod.name)
                crash(_endpoint(self.stage), pod, self.fault)
                self._crashed.add(pod.name)

    def _got_it(self, pod: LivePod) -> bool:
        if pod.name in self._crashed:
            return True
        return pod.name in self._asked and _endpoint(self.stage).is_active(pod, CRASH) is not False


class CrashLoop(Injection):
    """A share of the service's pods whose processes die again and again while the fault lasts.

    The pods are chosen at the beginning and stay the same; a pod that is deleted drops out.
    """

    def __init__(self, fault: Fault, index: int, stage: Stage) -> None:
        super().__init__(fault, index, stage)
        self._chosen: frozenset[str] = frozenset()
        self._crashed_at_restart: dict[str, int] = {}
        self._seen_up_s: dict[tuple[str, int], float] = {}

    def inject(self, now_s: float) -> None:
        assert self.fault.service is not None
        everybody = self.stage.verbs.pods.of(self.fault.service)
        count = self.fault.pods if self.fault.pods is not None else max(1, round(self.fault.size * len(everybody)))
        chosen = self.stage.victims(self.fault.service, count, self.index, self.fault.seed)
        if not chosen:
            raise VerbFailed(f"{self.fault.service} has no pod that could crash")
        self._chosen = frozenset(pod.name for pod in chosen)
        self.hit(*(pod.name for pod in chosen))
        for pod in chosen:
            self._crash(pod)

    def advance(self, now_s: float) -> None:
        """Whose container was started again and lived a while dies again."""
        assert self.fault.service is not None
        for pod in self.stage.verbs.pods.of(self.fault.service):
            if pod.name not in self._chosen or self._crashed_at_restart.get(pod.name) == pod.restarts:
                continue
            up_since_s = self._seen_up_s.setdefault((pod.name, pod.restarts), now_s)
            if now_s - up_since_s >= LIVES_S:
                self._crash(pod)

    def _crash(self, pod: LivePod) -> None:
        """A crash that could not be asked for is asked for again a second later: the process may be starting."""
        try:
            crash(_endpoint(self.stage), pod, self.fault)
        except VerbFailed:
            return
        self._crashed_at_restart[pod.name] = pod.restarts


def crash(endpoint: ShopFaults, pod: LivePod, fault: Fault) -> None:
    endpoint.begin(pod, ShopFault(CRASH, 1.0, fault.ramp_s, max(1.0, fault.ramp_s), fault.seed))


def _endpoint(stage: Stage) -> ShopFaults:
    if stage.verbs.shop_faults is None:
        raise VerbFailed("the shop was installed without its fault endpoint: set shop.faults")
    return stage.verbs.shop_faults
