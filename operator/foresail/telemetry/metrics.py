"""/metrics: what the operator expects, decides and does, and how it fares itself."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from foresail.runner import Runner
from foresail.telemetry.roster import Roster
from foresail.telemetry.snapshot import Snapshot, snapshot_of
from foresail.tick_report import TakeOver, TickReport
from policies.decision import ReasonCode

_TICK_BUCKETS_S = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 8.0, 15.0, 30.0)
_QUERY_BUCKETS_S = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


class Telemetry(Collector):
    """Keeps the numbers of this replica. An `Observer` of the loop; scraped from another thread.

    Workloads beyond `most_workloads` have no series of their own, which `foresail_workloads_left_out` says.
    """

    def __init__(self, most_workloads: int, registry: CollectorRegistry | None = None) -> None:
        self.registry = registry or CollectorRegistry()
        self._lock = threading.Lock()
        self._roster = Roster(most_workloads)
        self._snapshot = Snapshot()
        self._modes: Counter[str] = Counter()
        self._decisions: Counter[tuple[str, str]] = Counter()
        self._vetoes: Counter[str] = Counter()
        self._actions: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._terms: Counter[str] = Counter()
        self._gauges: list[tuple[str, str, Callable[[], float | None]]] = []
        self._counts: list[tuple[str, str, Callable[[], float]]] = []
        self._runner: Runner | None = None
        self._tick_s = Histogram(
            "foresail_tick_seconds", "Duration of a tick.", ["lane"], buckets=_TICK_BUCKETS_S, registry=self.registry
        )
        self._query_s = Histogram(
            "foresail_prometheus_query_seconds",
            "Duration of a query to Prometheus.",
            ["query"],
            buckets=_QUERY_BUCKETS_S,
            registry=self.registry,
        )
        self._unknown: Counter[tuple[str, str]] = Counter()
        self._refusals: Counter[str] = Counter()
        self.registry.register(self)

    # Told by others

    def ticked(self, report: TickReport) -> None:
        self._tick_s.labels("fast" if report.fast else "slow").observe(report.seconds)
        if report.fast:
            with self._lock:
                self._count(report, self._roster.update(report.policies.workloads))
            return
        with self._lock:
            exported = self._roster.update(report.policies.workloads)
        snapshot = snapshot_of(report, exported)
        with self._lock:
            self._snapshot = snapshot
            self._modes = Counter(policy.mode.value for policy in report.policies.workloads.values())
            self._count(report, exported)

    def took_over(self, event: TakeOver) -> None:
        with self._lock:
            self._terms["fresh" if event.checkpoint_at_s is None else "restored"] += 1

    def follows(self) -> None:
        """This replica does not lead any more: what it said of workloads is the leader's to say."""
        with self._lock:
            self._snapshot = Snapshot()
            self._modes.clear()

    def query_took(self, query: str, took_s: float) -> None:
        """One query to Prometheus ended; `query` is one of a few names."""
        self._query_s.labels(query).observe(took_s)

    def unknown(self, query: str, reason: str, count: int) -> None:
        """So many answers or series could not be used; `reason` is one of a few words."""
        with self._lock:
            self._unknown[query, str(reason)] += count

    def refused(self, reason: str) -> None:
        """A write was refused; `reason` is one of a few words."""
        with self._lock:
            self._refusals[reason] += 1

    def watch_runner(self, runner: Runner) -> None:
        self._runner = runner

    def add_gauge(self, name: str, text: str, read: Callable[[], float | None]) -> None:
        """A number read at every scrape; None: not known, and not exported."""
        self._gauges.append((name, text, read))

    def add_count(self, name: str, text: str, read: Callable[[], float]) -> None:
        """As `add_gauge`, of something that only grows; `name` without `_total`."""
        self._counts.append((name, text, read))

    # Scraped

    def collect(self) -> Iterator[Metric]:
        with self._lock:
            families = [*self._of_workloads(), *self._of_decisions()]
        yield from families
        yield from self._of_this_replica()

    def describe(self) -> Iterable[Metric]:
        return ()  # so that registering does not collect

    def _count(self, report: TickReport, exported: frozenset[str]) -> None:
        gone = [key for key in self._decisions if key[0] not in exported]
        for key in gone:
            del self._decisions[key]
        # As text, because weights hold a mapping and are no keys.
        refused = {(decision_id, repr(action)) for decision_id, action in report.refused}
        for decision in report.decisions:
            reason = decision.reasons[0].code if decision.reasons else ReasonCode.NOTHING_TO_DO
            if decision.workload in exported:
                self._decisions[decision.workload, reason.value] += 1
            self._vetoes.update(veto.reason.code.value for veto in decision.vetoes)
            for action in decision.actions:
                kind = type(action).__name__
                (self._refused if (decision.id, repr(action)) in refused else self._actions)[kind] += 1

    def _of_workloads(self) -> Iterator[Metric]:
        now = self._snapshot
        forecast = GaugeMetricFamily(
            "foresail_forecast",
            "What a signal will be after the horizon, at the time of issue. Of pods' signals the worst pod's.",
            labels=["signal", "workload", "horizon_s", "quantile", "model"],
        )
        for one in now.expected:
            forecast.add_metric(
                [one.signal, one.workload, str(one.horizon_s), f"{one.quantile:g}", one.model], one.value
            )
        yield forecast
        demand = GaugeMetricFamily("foresail_demand_rps", "Offered requests per second.", labels=["workload"])
        for name, rate_rps in now.demand_rps.items():
            demand.add_metric([name], rate_rps)
        yield demand
        floor = GaugeMetricFamily("foresail_floor", "The floor of replicas that Foresail holds.", labels=["workload"])
        for name, replicas in now.floors.items():
            floor.add_metric([name], replicas)
        yield floor
        risk = GaugeMetricFamily(
            "foresail_risk", "Probability of a failure before help could arrive.", labels=["workload", "signal"]
        )
        for name, signal, probability in now.risks:
            risk.add_metric([name, signal], probability)
        yield risk
        coverage = GaugeMetricFamily(
            "foresail_calibration_coverage",
            "Share of outcomes inside the nominal band (percent) of their forecast.",
            labels=["workload", "band"],
        )
        for (name, band), share in now.coverage.items():
            coverage.add_metric([name, band], share)
        yield coverage

    def _of_decisions(self) -> Iterator[Metric]:
        decisions = CounterMetricFamily(
            "foresail_decisions", "Decisions by their first reason.", labels=["workload", "reason"]
        )
        for key, count in self._decisions.items():
            decisions.add_metric(key, count)
        yield decisions
        yield _counter("foresail_vetoes", "Wishes held back, by reason.", "reason", self._vetoes)
        yield _counter("foresail_actions", "Acts done.", "action", self._actions)
        yield _counter("foresail_refused_writes", "Acts that were decided and not done.", "action", self._refused)
        yield _counter("foresail_refusals", "Refused writes, parts of acts too, by reason.", "reason", self._refusals)
        unknown = CounterMetricFamily(
            "foresail_prometheus_unknown", "Answers and series that could not be used.", labels=["query", "reason"]
        )
        for pair, count in self._unknown.items():
            unknown.add_metric(pair, count)
        yield unknown
        yield _counter("foresail_terms", "Terms begun as the leader.", "memory", self._terms)
        modes = GaugeMetricFamily("foresail_workloads", "Workloads under a policy.", labels=["mode"])
        for mode, count in self._modes.items():
            modes.add_metric([mode], count)
        yield modes
        yield GaugeMetricFamily(
            "foresail_workloads_left_out",
            "Workloads without series of their own, beyond the cap on cardinality.",
            value=self._roster.left_out,
        )
        if self._snapshot.fell_back is not None:
            yield GaugeMetricFamily(
                "foresail_fell_back",
                "1: the fallback forecasts for a model that failed.",
                value=self._snapshot.fell_back,
            )
        if self._snapshot.metrics_age_s is not None:
            yield GaugeMetricFamily(
                "foresail_metrics_age_seconds", "Age of the newest metrics.", value=self._snapshot.metrics_age_s
            )

    def _of_this_replica(self) -> Iterator[Metric]:
        build = GaugeMetricFamily("foresail_build_info", "Version of the operator.", labels=["version"])
        build.add_metric([_version()], 1.0)
        yield build
        runner = self._runner
        if runner is not None:
            yield from _of_runner(runner)
        for name, text, read in self._gauges:
            value = read()
            if value is not None:
                yield GaugeMetricFamily(name, text, value=value)
        for name, text, read in self._counts:
            yield CounterMetricFamily(name, text, value=read())


def _of_runner(runner: Runner) -> Iterator[Metric]:
    yield GaugeMetricFamily("foresail_leader", "1: this replica leads.", value=runner.progress.leads)
    age_s = runner.last_tick_age_s()
    if age_s is not None:
        yield GaugeMetricFamily("foresail_last_tick_age_seconds", "Since the end of the last slow tick.", value=age_s)
    text = "Slow ticks that did not fail, a follower's too."
    yield CounterMetricFamily("foresail_ticks", text, value=runner.progress.ticks)
    took_s = runner.progress.last_tick_s
    if took_s is not None:
        text = "Duration of the last of them, with everything that was told of it."
        yield GaugeMetricFamily("foresail_last_tick_seconds", text, value=took_s)
    skipped = CounterMetricFamily(
        "foresail_ticks_skipped", "Ticks left out because the one before took too long.", labels=["lane"]
    )
    skipped.add_metric(["slow"], runner.slow.skipped)
    skipped.add_metric(["fast"], runner.fast.skipped)
    yield skipped
    yield _counter("foresail_tick_failures", "Ticks that ended with an exception.", "lane", runner.progress.failures)


def _counter(name: str, text: str, label: str, counts: dict[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(name, text, labels=[label])
    for key, count in counts.items():
        family.add_metric([key], count)
    return family


def _version() -> str:
    try:
        return version("foresail")
    except PackageNotFoundError:
        return "unknown"
