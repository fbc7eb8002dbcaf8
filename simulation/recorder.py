"""Takes down what a run leaves behind, second by second, and turns it into a `RunResult`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats, Forecast
from simulation.arms import ArmSettings
from simulation.balance import BalanceLog
from simulation.controllers.run_log import RunLog
from simulation.kernel.counters import ServiceBins
from simulation.kernel.histogram import edges_s
from simulation.result import (
    Accounting,
    ClientSeconds,
    Counts,
    ForecastRecord,
    OrderLedger,
    RunResult,
    ServiceSeconds,
)
from simulation.world import World

#: CPU is sampled at this interval; each second of it shows the same mean.
CPU_SAMPLE_S = 5
DEMAND_BIN_S = 15
#: One in so many demand forecasts is kept for the report, at every so manyth step.
FORECAST_KEPT_EVERY = 20
FORECAST_STEP_KEPT_EVERY = 4
_DRAIN_EVERY_S = 60
_BAND = (0.05, 0.50, 0.95)


class Recorder:
    """`sample` once at the end of every scored second, `result` at the end of the run."""

    def __init__(self, world: World, settings: ArmSettings, seed: int, log: RunLog, own_pods: float) -> None:
        """`own_pods` is what the arm's own controllers cost, in pods."""
        self._world = world
        self._settings = settings
        self._seed = seed
        self._log = log
        self._own_pods = own_pods
        self._services = tuple(world.services)
        self._seconds = max(1, math.floor(world.scenario.duration_s))
        shape = (len(self._services), self._seconds)
        self._desired = np.full(shape, np.nan)
        self._ready = np.full(shape, np.nan)
        self._pods = np.full(shape, np.nan)
        self._cpu = np.full(shape, np.nan)
        self._cpu_before: dict[str, tuple[int, float]] = {}
        self._cpu_before_s = 0.0
        self._balance = BalanceLog(world, self._seconds)
        self._bins: list[ServiceBins] = []
        self._forecasts: list[ForecastRecord] = []
        self._issued = 0

    def sample(self, now_s: float) -> None:
        """The state at the end of the second before `now_s`; nothing before t = 1."""
        second = round(now_s) - 1
        if second < -1 or second >= self._seconds:
            return
        if second >= 0:
            self._count_pods(second)
        if (second + 1) % CPU_SAMPLE_S == 0:
            self._measure_cpu(second, now_s)
        self._balance.sample(now_s)
        if (second + 1) % _DRAIN_EVERY_S == 0:
            self._bins.append(self._world.engine.drain_service_bins(now_s))

    def forecast_issued(self, forecast: Forecast) -> None:
        """Keep one forecast in `FORECAST_KEPT_EVERY`, thinned."""
        self._issued += 1
        if (self._issued - 1) % FORECAST_KEPT_EVERY or forecast.issued_at_s + forecast.step_s * forecast.steps < 0:
            return
        kept = slice(None, None, FORECAST_STEP_KEPT_EVERY)
        low, middle, high = (forecast.quantile(level)[:, kept] for level in _BAND)
        times_s = forecast.times_s[kept]
        for workload in forecast.series:
            row = forecast.row(workload)
            if row is not None:
                self._forecasts.append(
                    ForecastRecord(
                        forecast.issued_at_s, workload, times_s, low[row], middle[row], high[row], forecast.model
                    )
                )

    def result(self) -> RunResult:
        world = self._world
        self._bins.append(world.engine.drain_service_bins(world.now_s))
        services = self._service_seconds()
        clients = world.engine.accounting().clients
        load = world.scenario.load
        return RunResult(
            scenario=world.scenario,
            arm=self._settings.arm,
            seed=self._seed,
            client=self._client_seconds(),
            services=services,
            jain_index=self._balance.jain_index,
            pod_hours=float(np.nansum(self._pods) + self._own_pods * self._seconds) / 3600.0,
            orders=self._orders(),
            faults=tuple(world.fault_truths),
            decisions=tuple(self._log.decisions),
            resizes=tuple(self._log.resizes),
            acts=tuple(self._log.acts),
            forecasts=tuple(self._forecasts),
            actual_demand_rps=_bin_means(services.offered_rps),
            accounting=Accounting(clients.arrived, clients.ok, clients.failed, clients.in_flight),
            staircase_s=world.scenario.duration_s / len(load.staircase) if load.staircase else None,
            refusals=frozenset(self._log.refusals),
        )

    def _count_pods(self, second: int) -> None:
        for row, deployment in enumerate(self._world.services.values()):
            ready = placed = 0
            for pod in deployment.pods:
                placed += pod.node is not None
                ready += pod.ready and not pod.deleting
            self._desired[row, second] = deployment.desired
            self._ready[row, second] = ready
            self._pods[row, second] = placed

    def _measure_cpu(self, second: int, now_s: float) -> None:
        used_s = self._world.usage.cpu_s(now_s)
        before, elapsed_s = self._cpu_before, now_s - self._cpu_before_s
        self._cpu_before, self._cpu_before_s = {}, now_s
        for row, deployment in enumerate(self._world.services.values()):
            cores = requested = 0.0
            for pod in deployment.pods:
                if pod.slot is None:
                    continue
                now_used_s = float(used_s[pod.slot])
                self._cpu_before[pod.name] = (pod.slot, now_used_s)
                slot, before_s = before.get(pod.name, (-1, 0.0))
                if slot == pod.slot and now_used_s >= before_s:
                    cores += (now_used_s - before_s) / elapsed_s
                    requested += pod.spec.cpu_request
            if requested > 0 and second >= 0:
                self._cpu[row, max(0, second + 1 - CPU_SAMPLE_S) : second + 1] = cores / requested

    def _service_seconds(self) -> ServiceSeconds:
        offered, ok, failed = (
            np.concatenate([getattr(part, name) for part in self._bins]) for name in ("offered", "ok", "failed")
        )
        latency = np.concatenate([part.latency for part in self._bins])
        first = -self._bins[0].first_s
        scored = slice(first, first + self._seconds)
        return ServiceSeconds(
            services=self._services,
            offered_rps=_per_service(offered[scored]),
            ok_rps=_per_service(ok[scored]),
            failed_rps=_per_service(failed[scored]),
            p50_ms=1000.0 * _quantile_s(latency[scored], 0.50),
            p99_ms=1000.0 * _quantile_s(latency[scored], 0.99),
            cpu_utilization=self._cpu,
            replicas_desired=self._desired,
            replicas_ready=self._ready,
            pods=self._pods,
        )

    def _client_seconds(self) -> ClientSeconds:
        bins = self._world.engine.clients
        first = -bins.first_s
        scored = slice(first, first + self._seconds)

        def counts(values: NDArray[np.integer]) -> Counts:
            return np.array(values[:, scored], dtype=np.int64)

        return ClientSeconds(
            classes=tuple(c.name for c in self._world.engine.plan.classes),
            arrived=counts(bins.arrived),
            ok=counts(bins.ok),
            slow=counts(bins.slow),
            failed=counts(bins.failed),
            degraded=counts(bins.degraded),
            latency_histogram=np.array(bins.latency[scored], dtype=np.int64),
            bucket_edges_s=edges_s(),
        )

    def _orders(self) -> OrderLedger:
        orders = self._world.engine.orders
        scored = (orders.intended_s >= 0) & (orders.intended_s < self._seconds)
        return OrderLedger(
            orders.intended_s[scored], orders.acked[scored].astype(np.bool_), orders.commits[scored].astype(np.int64)
        )


def _per_service(counts: NDArray[np.integer]) -> Floats:
    return np.ascontiguousarray(counts.T, dtype=np.float64)


def _quantile_s(counts: NDArray[np.integer], level: float) -> Floats:
    """`(services, seconds)` from counts `(seconds, services, buckets)`; linear within a bucket, NaN without answers."""
    edges = edges_s()
    edges[-1] = edges[-2]  # the last bucket answers its lower edge
    reached = np.cumsum(counts, axis=2, dtype=np.int64)
    total = reached[:, :, -1]
    wanted = level * total
    bucket = np.argmax(reached >= wanted[:, :, None], axis=2)
    in_bucket = np.take_along_axis(counts, bucket[:, :, None], axis=2)[:, :, 0].astype(np.float64)
    before = np.take_along_axis(reached, bucket[:, :, None], axis=2)[:, :, 0] - in_bucket
    share = np.clip((wanted - before) / np.maximum(in_bucket, 1.0), 0.0, 1.0)
    value = edges[bucket] + share * (edges[bucket + 1] - edges[bucket])
    return np.ascontiguousarray(np.where(total > 0, value, np.nan).T)


def _bin_means(per_second: Floats) -> Floats:
    bins = per_second.shape[1] // DEMAND_BIN_S
    whole = per_second[:, : bins * DEMAND_BIN_S]
    return np.asarray(whole.reshape(per_second.shape[0], bins, DEMAND_BIN_S).mean(axis=2))
