"""What Prometheus would have stored of a run: every service at 15 s, pods and databases at 60 s."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from forecasting.forecast import Floats
from policies.model import SignalKind, SignalTarget
from simulation.feeds.prometheus import Prometheus
from simulation.feeds.signals import SignalLog
from simulation.world import World

DEMAND_STEP_S = 15.0
SIGNAL_STEP_S = 60.0
#: So long after a scrape it has surely arrived: the feed's lag is at most 2 s.
READ_AFTER_S = 3.0
#: Pods of a service that are written, of those that lived longest.
PODS_KEPT = 2
#: A column with fewer readings is left out, and one that never changes or is a ruler's line (a disk that nobody fills).
FEWEST_READINGS = 60
_STRAIGHT = 1e-6  # of the range

_UNITS = {
    SignalKind.MEMORY: "MiB",
    SignalKind.CONNECTION_POOL: "connections",
    SignalKind.DISK: "MiB",
    SignalKind.QUEUE: "requests",
    SignalKind.LATENCY: "s",
    SignalKind.ERRORS: "ratio",
    SignalKind.REPLICATION_LAG: "s",
}


@dataclass(frozen=True, slots=True)
class Signal:
    """One column. `member` is the pod, None for a whole service; `limit` is where it is a failure."""

    column: str
    quantity: str
    unit: str
    workload: str
    member: str | None = None
    limit: float | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """Signals on one even grid from t = 0 on: `values` is `(signals, points)`, NaN where nothing was measured."""

    step_s: float
    signals: tuple[Signal, ...]
    values: Floats


class Tape(SignalLog):
    """Keeps everything that `prometheus` sees from t = 0 on. Controllers are shown nothing of it."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world
        self._duration_s = world.scenario.duration_s
        self._services: dict[Signal, Floats] = {}
        self._members: dict[Signal, Floats] = {}
        self._taken_s = -np.inf

    def record(
        self, at_s: float, targets: Sequence[SignalTarget], values: Sequence[float], limits: Sequence[float]
    ) -> None:
        """Pods and databases, once a minute."""
        if not 0.0 <= at_s < self._duration_s:
            return
        for target, value, limit in zip(targets, values, limits, strict=True):
            # A cluster has one volume in use; a failover only changes whose it is.
            member = None if target.kind is SignalKind.DISK else target.member
            column = f"{member or target.workload}.{target.kind.value}"
            signal = Signal(column, target.kind.value, _UNITS[target.kind], target.workload, member, limit)
            self._put(self._members, signal, at_s, SIGNAL_STEP_S, value)

    def take(self, prometheus: Prometheus, now_s: float) -> None:
        """Services in the newest scrape; nothing while none arrives."""
        scrape = prometheus.query(now_s)
        if scrape is None or scrape.at_s <= self._taken_s or not 0.0 <= scrape.at_s < self._duration_s:
            return
        self._taken_s = scrape.at_s
        for name, totals in scrape.services.items():
            pods = [pod.name for pod in self._world.services[name].pods if pod.name in scrape.rates.slots]
            cores = sum(scrape.rates.cpu_cores[scrape.rates.slots[pod]] for pod in pods)
            for quantity, unit, value in (
                ("offered", "requests/s", totals.offered_rps),
                ("error_ratio", "ratio", totals.error_ratio),
                ("latency_p99", "s", totals.latency_p99_s),
                ("cpu", "cores", cores),
                ("pods", "pods", float(len(pods))),
            ):
                if value is not None:
                    signal = Signal(f"{name}.{quantity}", quantity, unit, name)
                    self._put(self._services, signal, scrape.at_s, DEMAND_STEP_S, value)

    def recordings(self) -> tuple[Recording, Recording]:
        """Services, and members of those that lived longest."""
        lasting: Counter[str] = Counter()
        kept: dict[Signal, Floats] = {}
        for signal, values in sorted(self._members.items(), key=lambda one: (-_readings(one[1]), one[0].column)):
            kind = f"{signal.workload}.{signal.quantity}"
            if lasting[kind] < PODS_KEPT and _tells_something(values):
                lasting[kind] += 1
                kept[signal] = values
        told = {signal: values for signal, values in self._services.items() if _tells_something(values)}
        return _recording(DEMAND_STEP_S, told), _recording(SIGNAL_STEP_S, kept)

    def _put(self, into: dict[Signal, Floats], signal: Signal, at_s: float, step_s: float, value: float) -> None:
        row = into.get(signal)
        if row is None:
            row = into[signal] = np.full(int(self._duration_s / step_s), np.nan)
        point = int(at_s / step_s)
        if point < row.size:
            row[point] = value


def _readings(values: Floats) -> int:
    return int(np.count_nonzero(~np.isnan(values)))


def _tells_something(values: Floats) -> bool:
    if _readings(values) < FEWEST_READINGS:
        return False
    known = values[~np.isnan(values)]
    return bool(np.abs(np.diff(known, 2)).max() > _STRAIGHT * (known.max() - known.min()))


def _recording(step_s: float, rows: dict[Signal, Floats]) -> Recording:
    signals = tuple(sorted(rows, key=lambda signal: signal.column))
    values = np.stack([rows[signal] for signal in signals]) if signals else np.empty((0, 0))
    return Recording(step_s, signals, values)
