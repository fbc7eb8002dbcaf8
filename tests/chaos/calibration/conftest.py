"""Folders as live experiments leave them, filled from simulated runs: what is true of the shop is known."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from chaos.comparison.played import Played, as_played, played_traffic, without_probes
from chaos.experiments.guard import GuardVerdict
from chaos.experiments.injecting.injections import InjectionRecord
from chaos.experiments.jobs import RunKey
from chaos.experiments.measured.rows import POD_WINDOW_S, PodRow, ServiceRow, WorkloadRow, write_rows
from chaos.experiments.run_folder import Bookkeeping, RunFacts, RunFolder, add_decisions, run_folder, write_facts
from chaos.experiments.state import STATE, RunEvent, RunState, StateFile
from chaos.load.reconcile import Reconciliation
from chaos.load.records import Record, RecordFile, Verdict
from simulation.arms import arm_settings
from simulation.result import ClientSeconds, RunResult
from simulation.scenario import Scenario, scenario_of
from simulation.wiring import assemble
from simulation.world import World

BEGAN_S = 1_790_000_000.0
STEP_S = 5.0
SLOW_MS = 1001.0  # beyond the objective of every scenario here
#: What a client of each class asked for, by the name in its record.
ASKED = {"browse": "front", "search": "search", "cart": "cart-view", "checkout": "order"}


@pytest.fixture(scope="session")
def scenario() -> Callable[..., Scenario]:
    """A short scenario of the shop; keyword arguments replace its parts."""

    def made(**parts: object) -> Scenario:
        raw = {
            "name": "short",
            "duration_s": 120,
            "warm_up_s": 120,
            "topology": "shop",
            "load": {"rps": 20, "roughness": 0.3},
            "faults": [],
            **parts,
        }
        return scenario_of(raw, "test")

    return made


@dataclass
class Watcher:
    """Looks at a simulated world as an observer and a Prometheus look at a live one."""

    world: World
    zero_s: float
    workloads: list[WorkloadRow] = field(default_factory=list)
    pods: list[PodRow] = field(default_factory=list)
    _before: deque[dict[str, tuple[str, int, float, float]]] = field(default_factory=deque)

    def look(self, now_s: float) -> None:
        """Each second: workloads; each step the pods' rates over the last window."""
        for name, deployment in self.world.services.items():
            ready = sum(pod.ready and not pod.deleting for pod in deployment.pods)
            placed = sum(pod.node is not None for pod in deployment.pods)
            self.workloads.append(WorkloadRow(self.zero_s + now_s, name, deployment.desired, ready, placed, None))
        if now_s % STEP_S == 0.0:
            self._before.append(dict(self._counters()))
            if len(self._before) > POD_WINDOW_S / STEP_S:
                then = self._before.popleft()
                if now_s > 0.0:
                    self.pods += self._rates(then, self._before[-1], now_s)

    def _counters(self) -> Iterator[tuple[str, tuple[str, int, float, float]]]:
        used_s, requests = self.world.cpu_used_s(), self.world.engine.pods.requests
        for name, deployment in self.world.services.items():
            for pod in deployment.pods:
                if pod.slot is not None:
                    yield pod.name, (name, pod.slot, float(used_s[pod.slot]), float(requests[pod.slot]))

    def _rates(self, then, now, now_s: float) -> Iterator[PodRow]:
        for pod, (service, slot, used_s, requests) in now.items():
            if pod in then and then[pod][1] == slot:
                cores, rate = (used_s - then[pod][2]) / POD_WINDOW_S, (requests - then[pod][3]) / POD_WINDOW_S
                is_store = self.world.services[service].spec.kind == "store"
                yield PodRow(self.zero_s + now_s, service, pod, None if is_store else rate, cores)


@dataclass
class LiveFolder:
    """An experiment's folder. Every `play` adds a finished run to it."""

    path: Path
    scenarios: tuple[Scenario, ...]
    played: Played

    def __post_init__(self) -> None:
        self.path.mkdir()
        recorded = {scenario.name: scenario.model_dump(mode="json") for scenario in self.scenarios}
        text = json.dumps(
            {"played": {"scale": self.played.scale, "warm_up_s": None, "settle_s": 0.0}, "scenarios": recorded}
        )
        (self.path / "experiment.json").write_text(text)

    def play(self, scenario: Scenario, arm: str, seed: int, truth=None) -> RunFolder:
        """Simulates the run, with `truth` as the shop's real topology, and writes it down as if it had been live."""
        folder = self._folder(scenario, arm, seed)
        run = assemble(
            as_played(scenario, self.played, truth),
            arm_settings(arm),
            seed,
            played_traffic(scenario, seed, self.played, truth),
        )
        zero_s = BEGAN_S + self.played.warm_up_s
        watcher = Watcher(run.world, zero_s)
        run.schedule.every(1.0, float(np.ceil(run.world.now_s)), watcher.look)
        run.schedule.run(run.world, scenario.duration_s)
        self._write(folder, run.recorder.result(), watcher, scenario)
        self.end(scenario, arm, seed, RunState.FINISHED)
        return folder

    def end(self, scenario: Scenario, arm: str, seed: int, state: RunState, why: str = "") -> None:
        StateFile(self.path / STATE).note(RunEvent(RunKey(scenario.name, arm, seed), state, BEGAN_S, why))

    def _folder(self, scenario: Scenario, arm: str, seed: int) -> RunFolder:
        folder = run_folder(self.path, RunKey(scenario.name, arm, seed))
        folder.load.mkdir(parents=True)
        folder.ledger.write_text("")
        return folder

    def _write(self, folder: RunFolder, result: RunResult, watcher: Watcher, scenario: Scenario) -> None:
        write_rows(folder.workloads, WorkloadRow, watcher.workloads)
        write_rows(folder.pods, PodRow, watcher.pods)
        write_rows(folder.services, ServiceRow, service_rows(result, watcher.zero_s))
        add_decisions(folder, [])
        records = RecordFile(folder.requests)
        for record in client_records(without_probes(result.client, scenario), self.played.warm_up_s):
            records.add(record)
        records.close()
        self._write_probes(folder, self.played.warm_up_s + scenario.duration_s)
        injections = tuple(
            InjectionRecord(fault.index, fault.kind, fault.start_s, fault.end_s, fault.targets)
            for fault in result.faults
        )
        books = Bookkeeping(Reconciliation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, ()), {})
        verdict = GuardVerdict(True, (), 0.0, 5.0, None)
        write_facts(folder, RunFacts(BEGAN_S, watcher.zero_s, STEP_S, injections, verdict, books))

    def _write_probes(self, folder: RunFolder, load_s: float) -> None:
        if self.played.probe_hz == 0.0:
            return
        probes = RecordFile(folder.probes)
        for number in range(round(load_s * self.played.probe_hz)):
            probes.add(Record(number / self.played.probe_hz, "probe", Verdict.OK, 201, latency_ms=200.0))
        probes.close()


def service_rows(result: RunResult, zero_s: float) -> Iterator[ServiceRow]:
    """Means over each step of what a simulated run knows of its services; stores serve no HTTP."""
    seen = result.services
    stores = {service.name for service in result.scenario.topology.services if service.kind == "store"}
    for last in range(int(STEP_S), seen.offered_rps.shape[1] + 1, int(STEP_S)):
        step = slice(last - int(STEP_S), last)
        for row, name in enumerate(seen.services):
            if name not in stores:
                offered, failed = float(seen.offered_rps[row, step].mean()), float(seen.failed_rps[row, step].mean())
                yield ServiceRow(zero_s + last, name, offered, failed or None, None, None)


def client_records(client: ClientSeconds, warm_up_s: float) -> Iterator[Record]:
    """One record per request: each second's latencies as its histogram has them, the longest for those that were
    slow. What failed was refused at once; what a simulation leaves in flight at its end a load run waits for."""
    edges = np.where(np.isfinite(client.bucket_edges_s), client.bucket_edges_s, 40.0)
    middles_ms = 1000.0 * (edges[:-1] + edges[1:]) / 2.0
    fast = client.arrived - client.failed - client.slow
    for second in range(client.arrived.shape[1]):
        latencies = deque(np.repeat(middles_ms, client.latency_histogram[second]).tolist())
        due_s = warm_up_s + second + 0.5
        for row, name in enumerate(client.classes):
            for _ in range(int(client.slow[row, second])):
                yield Record(due_s, ASKED[name], Verdict.OK, 200, latency_ms=max(latencies.pop(), SLOW_MS))
        for row, name in enumerate(client.classes):
            for _ in range(int(fast[row, second])):
                latency_ms = min(latencies.popleft(), SLOW_MS - 2.0) if latencies else 1.0
                yield Record(due_s, ASKED[name], Verdict.OK, 200, latency_ms=latency_ms)
            for _ in range(int(client.failed[row, second])):
                yield Record(due_s, ASKED[name], Verdict.FAILED, 503, latency_ms=1.0)


@pytest.fixture(scope="session")
def live_folder(tmp_path_factory) -> Callable[..., LiveFolder]:
    def made(*scenarios: Scenario, scale: float = 1.0, warm_up_s: float = 60.0, probe_hz: float = 0.0) -> LiveFolder:
        played = Played(scale, warm_up_s, probe_hz)
        return LiveFolder(tmp_path_factory.mktemp("experiment") / "live", scenarios, played)

    return made
