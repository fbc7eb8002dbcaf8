"""Peers in the simulated cluster: what each adds to the HPA, or puts in its place."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from simulation.arms import ArmSettings
from simulation.controllers.hpa_arm import SYNC_PERIOD_S, HpaController, Minimum
from simulation.feeds.demand import STEP_S
from simulation.feeds.prometheus import Prometheus
from simulation.hpa.values import ExternalMetric, Reading
from simulation.peers import crane, cron, kpa, phpa, predict_linear
from simulation.world import World

_DAY_S = 86_400.0
_PAST_STEP_S = 60.0
_COLUMNS_PER_MINUTE = 4


@dataclass(frozen=True, slots=True)
class Workload:
    """What a peer's settings are reckoned from."""

    service: str
    row: int  # in the demand log
    visits: float  # per client request
    capacity_rps: float  # of one pod, as load-tested
    min_replicas: int
    max_replicas: int


class PredictLinearMetric:
    """KEDA's external metric: demand extrapolated by Prometheus."""

    def __init__(self, world: World, prometheus: Prometheus, workload: Workload, settings: ArmSettings) -> None:
        self._deployment = world.services[workload.service]
        self._prometheus = prometheus
        self._row = workload.row
        self._settings = predict_linear.PredictLinearSettings(
            target_rps_per_pod=settings.target_ratio * workload.capacity_rps,
            range_s=settings.range_s,
            look_ahead_s=settings.look_ahead_s,
        )
        self._state = predict_linear.PredictLinearState()
        self._columns = max(2, int(settings.range_s / STEP_S) + 2)
        self.spec: ExternalMetric = predict_linear.metric(self._settings)

    def read(self, now_s: float) -> Reading:
        scrape = self._prometheus.query(now_s)
        times_s: Floats = np.empty(0)
        rates_rps: Floats = np.empty(0)
        if scrape is not None:
            rates_rps = self._prometheus.demand.recent(scrape.column, self._columns)[self._row]
            times_s = scrape.at_s - STEP_S * np.arange(len(rates_rps) - 1, -1, -1, dtype=np.float64)
        reading, self._state = predict_linear.propose(
            self._settings, self._state, times_s, rates_rps, self._deployment.desired, now_s
        )
        return reading


class CraneMetric:
    """Crane's external metric: the largest value of the periodic forecast in its window."""

    def __init__(self, world: World, prometheus: Prometheus, workload: Workload, settings: ArmSettings) -> None:
        self._world = world
        self._prometheus = prometheus
        self._workload = workload
        diurnal = world.scenario.load.diurnal
        self._settings = crane.CraneSettings(
            target_rps_per_pod=settings.target_ratio * workload.capacity_rps,
            seasons_s=(diurnal.period_s,) if diurnal is not None else (_DAY_S, 7 * _DAY_S),
            look_ahead_s=settings.look_ahead_s,
            margins=(settings.margin_ratio,),
        )
        self._state = crane.CraneState()
        self._past = _past_rps(world, workload)
        self.spec: ExternalMetric = crane.metric(self._settings)

    def read(self, now_s: float) -> Reading:
        scrape = self._prometheus.query(now_s)
        if scrape is None:
            return None
        measured = self._prometheus.demand.measured(scrape.column)[self._workload.row]
        minutes = len(measured) // _COLUMNS_PER_MINUTE
        recent = measured[len(measured) - minutes * _COLUMNS_PER_MINUTE :].reshape(minutes, _COLUMNS_PER_MINUTE)
        rates_rps = np.concatenate([self._past, recent.mean(axis=1)])
        reading, self._state = crane.propose(self._settings, self._state, rates_rps, _PAST_STEP_S, scrape.at_s, now_s)
        return reading


def schedule_of(world: World, workload: Workload, settings: ArmSettings) -> Minimum:
    """The minimum by time of day that yesterday's demand suggests to an attentive person."""
    start_s = world.now_s
    times_s: Floats = start_s - _PAST_STEP_S * np.arange(round(_DAY_S / _PAST_STEP_S), 0, -1.0)
    windows = cron.windows_from_demand(
        times_s,
        workload.visits * world.traffic.history_rps(times_s),
        target_rps_per_pod=settings.target_ratio * workload.capacity_rps,
        slot_s=settings.slot_s,
    )
    schedule = cron.CronSettings(windows)
    return lambda now_s: cron.propose(schedule, cron.CronState(), now_s)[0]


class PhpaController:
    """Takes over the scale from the HPA that it computes."""

    def __init__(self, hpa: HpaController, workload: Workload, settings: ArmSettings) -> None:
        self._hpa = hpa
        self._settings = phpa.PhpaSettings(
            model="linear" if settings.scaler == "phpa-linear" else "holt-winters",
            min_replicas=workload.min_replicas,
            max_replicas=workload.max_replicas,
            look_ahead_s=settings.look_ahead_s,
            downscale_stabilization_s=300.0 if settings.hpa_down_window_s is None else settings.hpa_down_window_s,
            stored_values=max(2, round(settings.range_s / SYNC_PERIOD_S)),
            season_s=settings.season_s,
        )
        self._state = phpa.PhpaState()

    def sync(self, now_s: float) -> None:
        decision = self._hpa.decide(now_s)
        if decision is None:
            return
        replicas, self._state = phpa.propose(self._settings, self._state, decision, now_s)
        if replicas is not None:
            self._hpa.write(replicas, "peer", now_s)


class KpaController:
    """Knative's autoscaler in place of the HPA, fed by the pods' own request counts, as queue-proxies do."""

    def __init__(self, world: World, hpa: HpaController, workload: Workload, settings: ArmSettings) -> None:
        self._world = world
        self._hpa = hpa
        self._deployment = world.services[workload.service]
        self._row = workload.row
        self._settings = kpa.KpaSettings(
            target_per_pod=settings.target_ratio * workload.capacity_rps,
            min_replicas=workload.min_replicas,
            max_replicas=workload.max_replicas,
            stable_window_s=settings.stable_window_s,
            panic_threshold_pct=settings.panic_threshold_pct,
        )
        self._state: kpa.KpaState | None = None
        self._offered: int | None = None
        self._read_at_s = world.now_s

    def sync(self, now_s: float) -> None:
        ready = self._deployment.ready_replicas
        state = kpa.started(ready, now_s) if self._state is None else self._state
        replicas, self._state = kpa.propose(self._settings, state, self._load_rps(now_s), ready, now_s)
        if replicas is not None and self._world.api_available():
            self._hpa.write(replicas, "peer", now_s)

    def _load_rps(self, now_s: float) -> float | None:
        """Requests per second since the last reading; None before the first and while metrics are lost."""
        offered = int(self._world.engine.services.offered[self._row])
        before, elapsed_s = self._offered, now_s - self._read_at_s
        self._offered, self._read_at_s = offered, now_s
        if before is None or elapsed_s <= 0 or not self._world.metrics_available():
            return None
        return (offered - before) / elapsed_s


def _past_rps(world: World, workload: Workload) -> Floats:
    """Demand by the minute on the days that are remembered, up to the start of the run."""
    minutes = round(world.scenario.history.days_remembered * _DAY_S / _PAST_STEP_S)
    times_s: Floats = world.now_s - _PAST_STEP_S * np.arange(minutes, 0, -1.0)
    return np.asarray(workload.visits * world.traffic.history_rps(times_s))
