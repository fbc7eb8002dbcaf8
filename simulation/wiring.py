"""Composition root of a simulated run: one world, the feeds, and the controllers of one arm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from forecasting.fallback import FallbackForecaster
from forecasting.forecast import Forecaster
from forecasting.persistence import PersistenceForecaster
from forecasting.serving import default_forecaster
from policies.loop import ControlLoop
from simulation import streams
from simulation.arms import ArmSettings
from simulation.controllers.ablation import AblatedForecaster
from simulation.controllers.actuation import SimulatedCluster
from simulation.controllers.clairvoyant import ClairvoyantDemand, ClairvoyantSignals
from simulation.controllers.controller_process import ControllerProcess
from simulation.controllers.floors import Floors
from simulation.controllers.hpa_arm import SYNC_PERIOD_S, HpaController
from simulation.controllers.hpa_specs import hpa_spec
from simulation.controllers.observation import SimulatedMetrics
from simulation.controllers.peers_arm import (
    CraneMetric,
    KpaController,
    PhpaController,
    PredictLinearMetric,
    Workload,
    schedule_of,
)
from simulation.controllers.policy_set import policies_for
from simulation.controllers.run_log import RunLog
from simulation.feeds.metrics_server import HOUSEKEEPING_BEAT_S, RESOLUTION_S, MetricsServer
from simulation.feeds.probes import Probes
from simulation.feeds.prometheus import Prometheus
from simulation.recorder import Recorder
from simulation.scenario import FaultKind, Scenario
from simulation.schedule import Schedule
from simulation.topology import Topology
from simulation.traffic import Traffic
from simulation.visits import capacity_rps, visits_per_request
from simulation.world import World

TICK_PERIOD_S = 15.0
PROMETHEUS_PERIOD_S = 15.0
KPA_PERIOD_S = 2.0
SETTLE_PERIOD_S = 15.0
#: The fast lane keeps looking for so long after the last trouble, until its memory has settled.
FAST_LANE_LINGERS_S = 30.0
#: The operator's pods ask for this much CPU each; two, so that there are two vantage points.
OPERATOR_PODS = 2
OPERATOR_CPU_REQUEST = 0.1
#: A peer's own controller, beside the HPA that every cluster has.
PEER_PODS = 1


@dataclass(frozen=True, slots=True)
class Run:
    """Everything of one run that somebody outside may want to look at."""

    world: World
    schedule: Schedule
    recorder: Recorder
    log: RunLog
    hpas: dict[str, HpaController]
    process: ControllerProcess | None


def assemble(scenario: Scenario, settings: ArmSettings, seed: int, traffic: Traffic | None = None) -> Run:
    """A run ready to be started. Phases of all periodic activities are seeded and shared by all arms."""
    world = World(scenario, seed, traffic)
    log, floors, schedule = RunLog(), Floors(), Schedule()
    recorder = Recorder(world, settings, seed, log, own_pods(settings, scenario.topology))
    prometheus, metrics_server = Prometheus(world, seed), MetricsServer(world, seed)
    if _reads_prometheus(settings, scenario.topology):
        schedule.every(PROMETHEUS_PERIOD_S, prometheus.first_s, prometheus.scrape)
    first_second_s = float(-(-world.now_s // 1))
    schedule.every(HOUSEKEEPING_BEAT_S, first_second_s, metrics_server.housekeep)
    scrape_phase_s = _phase_s(seed, "metrics server", "", RESOLUTION_S)
    schedule.every(RESOLUTION_S, world.now_s + scrape_phase_s, metrics_server.scrape)
    hpas = _autoscalers(world, settings, seed, metrics_server, prometheus, floors, log, schedule)
    process = None
    fast_look: Callable[[float], None] | None = None
    if settings.has_loop:
        cluster = SimulatedCluster(world, floors, log)
        probes = Probes(world)
        metrics = SimulatedMetrics(world, prometheus, probes, floors, cluster)
        demand, signals = _forecasters(world, settings)
        # Who only knows current values knows no announcements either.
        declared = () if settings.outlook == "persistence" else world.traffic.declared_events()
        policies = policies_for(scenario, settings, declared)
        process = ControllerProcess(
            lambda: ControlLoop(metrics, demand, signals, cluster, policies, seed),
            keeps_checkpoints=any(f.kind is FaultKind.CONTROLLER_CRASH for f in scenario.faults),
        )
        cluster.before_write = process.write_checkpoint
        schedule.every(SETTLE_PERIOD_S, world.now_s + _phase_s(seed, "revert", "", SETTLE_PERIOD_S), cluster.settle)
        _add_loop(world, process, recorder, log, schedule, seed)
        fast_look = _FastLane(world, process, probes, cluster, log).look
    schedule.every(1.0, first_second_s + 1.0, _each_second(recorder, fast_look))
    return Run(world, schedule, recorder, log, hpas, process)


def own_pods(settings: ArmSettings, topology: Topology) -> float:
    """What the arm's own controllers cost, in pods of the shop's mean CPU request: they are small, but not free."""
    count = OPERATOR_PODS if settings.has_loop else 0 if settings.scaler == "hpa" else PEER_PODS
    mean_request = sum(s.cpu_request for s in topology.services) / len(topology.services)
    return count * OPERATOR_CPU_REQUEST / mean_request


def _reads_prometheus(settings: ArmSettings, topology: Topology) -> bool:
    """Somebody queries it; a plain HPA on CPU does not, and scrapes that nobody reads change nothing."""
    hpas = [service.hpa for service in topology.services if service.hpa is not None]
    by_resource = all(metric.type in ("Resource", "ContainerResource") for hpa in hpas for metric in hpa.metrics)
    return settings.has_loop or settings.scaler in ("predict-linear", "crane-fft") or not by_resource


def _autoscalers(
    world: World,
    settings: ArmSettings,
    seed: int,
    metrics_server: MetricsServer,
    prometheus: Prometheus,
    floors: Floors,
    log: RunLog,
    schedule: Schedule,
) -> dict[str, HpaController]:
    """One per service with an HPA, synced at its own phase."""
    topology = world.scenario.topology
    visits, capacity = visits_per_request(topology), capacity_rps(topology)
    hpas: dict[str, HpaController] = {}
    for row, service in enumerate(topology.services):
        if service.hpa is None:
            continue
        workload = Workload(
            service.name,
            row,
            visits[service.name],
            capacity[service.name],
            service.hpa.min_replicas,
            service.hpa.max_replicas,
        )
        own: PredictLinearMetric | CraneMetric | None = None
        if settings.scaler == "predict-linear":
            own = PredictLinearMetric(world, prometheus, workload, settings)
        elif settings.scaler == "crane-fft":
            own = CraneMetric(world, prometheus, workload, settings)
        spec = hpa_spec(service.hpa, settings, () if own is None else (own.spec,))
        hpa = HpaController(
            world,
            service.name,
            spec,
            metrics_server,
            prometheus,
            floors,
            log,
            own_metrics={} if own is None else {own.spec.name: own.read},
            scheduled=schedule_of(world, workload, settings) if settings.scaler == "cron" else None,
        )
        hpas[service.name] = hpa
        first_s = world.now_s + _phase_s(seed, "hpa sync", service.name, SYNC_PERIOD_S)
        if settings.scaler == "kpa":
            kpa = KpaController(world, hpa, workload, settings)
            schedule.every(KPA_PERIOD_S, world.now_s + _phase_s(seed, "kpa", service.name, KPA_PERIOD_S), kpa.sync)
        elif settings.scaler in ("phpa-linear", "phpa-holt-winters"):
            schedule.every(SYNC_PERIOD_S, first_s, PhpaController(hpa, workload, settings).sync)
        else:
            schedule.every(SYNC_PERIOD_S, first_s, hpa.sync)
    return hpas


def _forecasters(world: World, settings: ArmSettings) -> tuple[Forecaster, Forecaster]:
    """For demand and for failure signals."""
    match settings.outlook:
        case "clairvoyant":
            scenario = world.scenario
            demand = ClairvoyantDemand(world.traffic.rate_rps, visits_per_request(scenario.topology))
            return demand, ClairvoyantSignals(scenario.faults, lambda index: world.fault_truths[index].targets)
        case "persistence":
            return PersistenceForecaster(), PersistenceForecaster()
        case "independent" | "point" as ablation:
            return AblatedForecaster(_default(), ablation), AblatedForecaster(_default(), ablation)
        case "fallback":
            return FallbackForecaster(), FallbackForecaster()
        case _:
            return _default(), _default()


@cache
def _default() -> Forecaster:
    """What Foresail ships with, loaded once per process. One thread: sweeps run one process per core."""
    return default_forecaster(threads=1)


def _add_loop(
    world: World, process: ControllerProcess, recorder: Recorder, log: RunLog, schedule: Schedule, seed: int
) -> None:
    def tick(now_s: float) -> None:
        for decision in process.tick(now_s):
            log.decided(decision)
        if process.loop is not None and process.loop.last_demand is not None:
            recorder.forecast_issued(process.loop.last_demand)

    schedule.every(TICK_PERIOD_S, world.now_s + _phase_s(seed, "control tick", "", TICK_PERIOD_S), tick)


class _FastLane:
    """Ticks each second while something is wrong or in force; otherwise there is nothing to see and nothing to undo."""

    def __init__(
        self, world: World, process: ControllerProcess, probes: Probes, cluster: SimulatedCluster, log: RunLog
    ) -> None:
        self._world = world
        self._process = process
        self._probes = probes
        self._cluster = cluster
        self._log = log
        self._awake_until_s = world.now_s
        self._restarts_s = sorted(world.scenario.restart_controller_at_s, reverse=True)

    def look(self, now_s: float) -> None:
        # Restarts wait for the second's end: stopping the world just for them would round its sums differently.
        while self._restarts_s and now_s >= self._restarts_s[-1]:
            self._restarts_s.pop()
            self._process.restart()
        self._process.live(now_s, self._world.controller_alive())
        if self._probes.look() or self._cluster.outstanding:
            self._awake_until_s = now_s + FAST_LANE_LINGERS_S
        if now_s <= self._awake_until_s:
            for decision in self._process.fast_tick(now_s):
                self._log.decided(decision)


def _each_second(recorder: Recorder, fast_look: Callable[[float], None] | None) -> Callable[[float], None]:
    if fast_look is None:
        return recorder.sample

    def second(now_s: float) -> None:
        recorder.sample(now_s)
        fast_look(now_s)

    return second


def _phase_s(seed: int, purpose: str, entity: str, period_s: float) -> float:
    return round(streams.between(0.0, period_s, seed, purpose, entity), 3)
