"""A cluster made of dictionaries, for tests of experiments: pods that crash and fall ill, machines, switches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

import pytest

from chaos.clusters.plan import NodePlace
from chaos.experiments.injecting.registry import INJECTABLE, injector
from chaos.experiments.injecting.stage import SWITCHED, Stage, Verbs
from chaos.experiments.injecting.undoing import perform
from chaos.experiments.injecting.verbs import LivePod, ShopFault
from chaos.experiments.live_plan import LiveLimits
from chaos.experiments.places import places_of
from chaos.experiments.problems import VerbFailed
from chaos.experiments.rollback import Rollback, RollbackJournal
from simulation.scenario import Fault, FaultKind, Scenario, scenario_of

MACHINES = (NodePlace("node-1", "zone-a"), NodePlace("node-2", "zone-b"), NodePlace("node-3", "zone-a"))


@dataclass
class FakeCluster:
    """Everything that injections can ask for. `says_no` makes verbs fail; `log` is what was done, in order."""

    pods: dict[str, LivePod] = field(default_factory=dict)
    faults: dict[tuple[str, str], ShopFault] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    says_no: set[str] = field(default_factory=set)
    leader: str | None = "shop-postgres-1"

    def add(self, service: str, *names: str, node: str = "node-1", ready: bool = True) -> None:
        for name in names:
            self.pods[name] = LivePod(name, service, node, f"10.0.0.{len(self.pods) + 1}", ready)

    def restart(self, name: str) -> None:
        """The container starts again and has forgotten its faults."""
        self.pods[name] = replace(self.pods[name], restarts=self.pods[name].restarts + 1)
        self.faults = {key: fault for key, fault in self.faults.items() if key[0] != name}

    def _do(self, *words: str) -> None:
        if words[0] in self.says_no:
            raise VerbFailed(f"{words[0]} is out of order")
        self.log.append(" ".join(words))

    # Pods
    def of(self, service: str) -> tuple[LivePod, ...]:
        return tuple(pod for name, pod in sorted(self.pods.items()) if pod.service == service)

    def kill(self, pod: str) -> None:
        self._do("kill", pod)
        self.pods.pop(pod, None)

    # ShopFaults
    def begin(self, pod: LivePod, fault: ShopFault) -> None:
        self._do("begin", fault.name, pod.name)
        self.faults[pod.name, fault.name] = fault

    def is_active(self, pod: LivePod, name: str) -> bool | None:
        return None if "answer" in self.says_no else (pod.name, name) in self.faults

    def end(self, pod: str, name: str) -> None:
        self._do("end", name, pod)
        self.faults.pop((pod, name), None)

    # Databases
    def primary(self, service: str) -> str | None:
        return self.leader

    # Machines
    def kill_node(self, node: str) -> None:
        self._do("kill_node", node)

    def start_node(self, node: str) -> None:
        self._do("start_node", node)

    def kill_zone(self, zone: str) -> None:
        self._do("kill_zone", zone)

    def start_zone(self, zone: str) -> None:
        self._do("start_zone", zone)

    def cut_zone(self, zone: str) -> None:
        self._do("cut_zone", zone)

    def heal_zone(self, zone: str) -> None:
        self._do("heal_zone", zone)

    def switch(self, kind: FaultKind) -> FakeSwitch:
        return FakeSwitch(kind.value, self._do)

    @property
    def verbs(self) -> Verbs:
        return Verbs(self, self, self, self, {kind: self.switch(kind) for kind in SWITCHED})


@dataclass(frozen=True)
class FakeSwitch:
    name: str
    do: Callable[..., None]

    def off(self) -> None:
        self.do("off", self.name)

    def on(self) -> None:
        self.do("on", self.name)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.fixture
def machines() -> tuple[NodePlace, ...]:
    return MACHINES


@pytest.fixture
def scenario() -> Callable[..., Scenario]:
    """A short scenario of the shop; keyword arguments replace its parts."""

    def made(**parts: object) -> Scenario:
        raw = {
            "name": "short",
            "duration_s": 300,
            "warm_up_s": 120,
            "topology": "shop",
            "load": {"rps": 20, "roughness": 0.0},
            "faults": [],
            **parts,
        }
        return scenario_of(raw, "test")

    return made


@pytest.fixture
def limits() -> LiveLimits:
    return LiveLimits(max_rps=60.0, machines=MACHINES, abilities=INJECTABLE)


@pytest.fixture
def rollback(cluster: FakeCluster, tmp_path) -> Rollback:
    return Rollback(RollbackJournal(tmp_path / "rollback.jsonl"), lambda undo: perform(undo, cluster.verbs))


@pytest.fixture
def injected(cluster: FakeCluster, rollback: Rollback, scenario) -> Callable[..., object]:
    """The injector of one fault of a shop scenario; not begun."""

    def made(seed: int = 1, **fault: object):
        whole = scenario(faults=[{"start_s": 60, "duration_s": 120, **fault}])
        stage = Stage(cluster.verbs, rollback, whole.topology, places_of(whole.topology, MACHINES), seed)
        return injector(Fault.model_validate(whole.faults[0]), 0, stage)

    return made
