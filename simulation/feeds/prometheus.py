"""Prometheus in the simulated cluster: scrapes every 15 s, answers a little later, forgets during an outage.

Facts: a scrape of all targets is stamped with one time; what a query sees lags by the scrape's own duration and the
remote path. Demand is counted at the caller's side (ingress, mesh), so it includes what dead or full pods rejected.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from policies.model import SignalHistory, SignalKind, SignalTarget
from simulation import streams
from simulation.cluster.pods import Pod
from simulation.feeds.counters import Rates, Snapshot, p99_s, rates_between, snapshot
from simulation.feeds.demand import STEP_S, DemandLog
from simulation.feeds.signals import SignalLog
from simulation.visits import callers, visits_per_request
from simulation.world import World

#: From a scrape to its visibility in a query.
LAG_RANGE_S = (0.5, 2.0)
_SIGNALS_EVERY = 4  # scrapes: 60 s
#: Demand is censored when this share of what was offered failed, or so much of a pod's queue is taken.
_FAILED_RATIO = 0.02
_QUEUE_RATIO = 0.5
#: A standby that follows later than this loses too much in a failover (Patroni's maximum lag, in seconds).
_LAG_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class ServiceTotals:
    """One service over the last scrape interval."""

    offered_rps: float
    error_ratio: float | None
    latency_p99_s: float | None
    saturated: bool


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one scrape lets a query see. `column` is its place in the demand log."""

    at_s: float
    visible_at_s: float
    column: int
    rates: Rates
    services: Mapping[str, ServiceTotals]
    signals: SignalHistory | None


class Prometheus:
    """Call `scrape` every 15 s from `first_s` on; `query` answers with the newest visible scrape."""

    def __init__(self, world: World, seed: int, signals: SignalLog | None = None) -> None:
        self._world = world
        scenario = world.scenario
        self.first_s = world.now_s + streams.between(0.0, STEP_S, seed, "prometheus scrape")
        self._lag_s = streams.between(*LAG_RANGE_S, seed, "prometheus lag")
        self._services = tuple(world.services)
        self._callers = callers(scenario.topology)
        self.demand = DemandLog(
            self._services,
            visits_per_request(scenario.topology),
            world.traffic,
            first_scrape_s=self.first_s,
            end_s=scenario.duration_s,
            seed=seed,
        )
        self._signals = SignalLog() if signals is None else signals
        self._before: Snapshot | None = None
        self._totals_before: tuple[Floats, Floats] | None = None
        self._taken = 0
        self._pending: deque[Scrape] = deque()
        self._visible: Scrape | None = None

    def scrape(self, now_s: float) -> None:
        """Read every counter that can be reached. During an outage the column stays empty."""
        if not self._world.metrics_available():
            self.demand.record(None, None)
            self._before = self._totals_before = None
            return
        pods = self._reachable_pods()
        counters = snapshot(self._world, {pod.name: pod.slot for pod in pods if pod.slot is not None}, now_s)
        count = len(self._services)  # the engine may have third parties behind them
        offered = self._world.engine.services.offered[:count].astype(np.float64)
        failed = self._world.engine.services.failed[:count].astype(np.float64)
        before, totals_before = self._before, self._totals_before
        self._before, self._totals_before = counters, (offered, failed)
        self._taken += 1
        if before is None or totals_before is None:
            self.demand.record(None, None)
            return
        elapsed_s = now_s - before.at_s
        offered_rps = (offered - totals_before[0]) / elapsed_s
        failed_rps = (failed - totals_before[1]) / elapsed_s
        rates = rates_between(before, counters)
        totals = self._service_totals(pods, rates, offered_rps, failed_rps)
        saturated = np.array([float(totals[name].saturated) for name in self._services])
        column = self.demand.record(offered_rps, saturated)
        if self._taken % _SIGNALS_EVERY == 0:
            self._record_signals(pods, rates, now_s)
        visible_at_s = now_s + self._lag_s + self._world.metrics_extra_lag_s()
        self._pending.append(Scrape(now_s, visible_at_s, column, rates, totals, self._signals.latest))

    def query(self, now_s: float) -> Scrape | None:
        """The newest scrape that has arrived, None while Prometheus does not answer or has nothing yet."""
        while self._pending and self._pending[0].visible_at_s <= now_s:
            self._visible = self._pending.popleft()
        return self._visible if self._world.metrics_available() else None

    def service(self, name: str) -> ServiceTotals | None:
        """Totals of a service in the scrape that was queried last."""
        return None if self._visible is None else self._visible.services.get(name)

    def _reachable_pods(self) -> list[Pod]:
        """Pods with a container whose node answers."""
        nodes = self._world.nodes
        return [
            pod
            for deployment in self._world.services.values()
            for pod in deployment.pods
            if pod.slot is not None and pod.node is not None and nodes[pod.node].reachable
        ]

    def _service_totals(
        self, pods: list[Pod], rates: Rates, offered_rps: Floats, failed_rps: Floats
    ) -> dict[str, ServiceTotals]:
        index = {name: row for row, name in enumerate(self._services)}
        members = np.zeros((len(self._services), rates.answered.shape[0]))
        rejected_rps = dict.fromkeys(self._services, 0.0)
        full = dict.fromkeys(self._services, False)
        queued = self._world.engine.pods.queued
        for pod in pods:
            slot = rates.slots.get(pod.name)
            if slot is None:
                continue
            members[index[pod.service], slot] = 1.0
            rejected_rps[pod.service] += rates.rejected_rps[slot]
            if queued[slot] > _QUEUE_RATIO * pod.spec.queue > 0:
                full[pod.service] = True
        latency = p99_s(members @ rates.answered).tolist()
        offered, failed = offered_rps.tolist(), failed_rps.tolist()
        choked = {
            name for name in self._services if full[name] or rejected_rps[name] > _FAILED_RATIO * offered[index[name]]
        }
        failing = {name for name in self._services if failed[index[name]] > _FAILED_RATIO * offered[index[name]]}
        return {
            name: ServiceTotals(
                offered[row],
                min(1.0, failed[row] / offered[row]) if offered[row] > 0 else None,
                None if latency[row] != latency[row] else latency[row],
                # A caller in trouble does not pass its requests on, so demand behind it reads too low.
                saturated=name in choked or bool(self._callers[name] & (choked | failing)),
            )
            for row, name in enumerate(self._services)
        }

    def _record_signals(self, pods: list[Pod], rates: Rates, now_s: float) -> None:
        targets: list[SignalTarget] = []
        values: list[float] = []
        limits: list[float] = []

        def add(kind: SignalKind, workload: str, member: str, value: float, limit: float) -> None:
            targets.append(SignalTarget(kind, workload, member))
            values.append(value)
            limits.append(limit)

        memory_mib = self._world.usage.memory_mib().tolist()
        pods_now = self._world.engine.pods
        pool_in_use = pods_now.pool_in_use + pods_now.pool_leaked
        queued = self._world.engine.pods.queued
        slo_s = self._world.scenario.slo.latency_s
        for pod in pods:
            slot = pod.slot
            if slot is None or pod.deleting:
                continue
            spec = pod.spec
            add(SignalKind.MEMORY, pod.service, pod.name, memory_mib[slot], spec.memory_limit_mib)
            if spec.pool_size > 0:
                in_use = float(pool_in_use[slot])
                add(SignalKind.CONNECTION_POOL, pod.service, pod.name, in_use, float(spec.pool_size))
            if spec.queue > 0:
                add(SignalKind.QUEUE, pod.service, pod.name, float(queued[slot]), float(spec.queue))
            if pod.name in rates.slots:
                add(SignalKind.LATENCY, pod.service, pod.name, rates.latency_mean_s[slot], slo_s)
                add(SignalKind.ERRORS, pod.service, pod.name, rates.error_ratio[slot], 1.0)
        for database in self._world.databases.values():
            if database.primary is not None:
                disk_mib = database.spec.disk_mib
                add(SignalKind.DISK, database.name, database.primary, database.disk_used_mib, disk_mib)
            for member in database.standbys:
                lag_s = database.lag_of(member.name)
                add(SignalKind.REPLICATION_LAG, database.name, member.name, lag_s, _LAG_LIMIT_S)
        self._signals.record(now_s, targets, values, limits)
