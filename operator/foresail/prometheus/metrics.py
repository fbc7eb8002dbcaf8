"""Prometheus as the control loop sees it: asked once per tick, remembered in memory, never a reason to fail.

`refresh` asks; everything else only reads what is remembered. Whatever goes wrong in an answer makes something unknown
and is counted; nothing is thrown and nothing becomes zero.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from forecasting.features import HORIZON_STEPS
from foresail.prometheus.answers import Frame
from foresail.prometheus.asking import Asker, Span
from foresail.prometheus.client import PromQl
from foresail.prometheus.coverage import Coverage
from foresail.prometheus.demand_answers import DemandTable, demand_table
from foresail.prometheus.demand_log import DemandLog
from foresail.prometheus.demand_reading import at_the_end, chunk_steps, demand_span, figure_queries, read_custom
from foresail.prometheus.filling import DAY_STEPS, Backlog, LastWeek
from foresail.prometheus.joining import Joiner
from foresail.prometheus.paces import Paces
from foresail.prometheus.pod_answers import pod_metrics, pod_rows
from foresail.prometheus.queries import EVERY_MINUTE, Plan, Question, plan
from foresail.prometheus.reasons import UnknownReason
from foresail.prometheus.recording import NoRecorder, Recorder
from foresail.prometheus.scrape_interval import MEASURED_EVERY_S, interval_s
from foresail.prometheus.settings import DEMAND_STEP_S, NATIVE_POINTS, SIGNAL_STEP_S, Reading
from foresail.prometheus.signal_answers import signal_table
from foresail.prometheus.signal_log import SignalLog
from foresail.prometheus.watched import PodIndex, PodMetrics, Watched, WorkloadMetrics
from policies.model import DemandHistory, SignalHistory, SignalTarget

#: Time for the history that the first forecast needs.
START_BUDGET_S = 60.0
_NOTHING = WorkloadMetrics()
_JOINING = "joining"
_INTERVAL = "scrape_interval"


class PrometheusMetrics:
    """Call `watch` whenever workloads or pods may have changed, `start` once, then `refresh` every 15 s.

    `workloads` and `pods` are the newest values, empty while Prometheus does not answer; `queries` counts those of the
    last `refresh`.
    """

    def __init__(
        self,
        prometheus: PromQl,
        reading: Reading | None = None,
        *,
        method: str = "POST",
        recorder: Recorder | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._prometheus, self._reading, self._method = prometheus, reading or Reading(), method
        self._recorder, self._clock = recorder or NoRecorder(), clock
        self._watched: tuple[Watched, ...] = ()
        self._plan = Plan({}, ())
        self._joiner = Joiner((), PodIndex(), self._reading)
        self._demand = DemandLog(self._reading.demand_points)
        self._signals = SignalLog(self._reading.signal_points, SIGNAL_STEP_S)
        self._backlog, self._week = Backlog(self._reading), LastWeek(self._reading)
        self._coverage = Coverage(self._reading)
        self._paces = Paces()
        self._unfilled: tuple[str, ...] = ()
        self._answered_step: int | None = None  # newest step of demand that was answered
        self._memory: Frame | None = None  # of the newest minute
        self._measured_at_s = float("-inf")  # when the scrape interval was
        self._known_at_s: float | None = None  # newest moment of which anything was known
        self._answering = False
        self.workloads: Mapping[str, WorkloadMetrics] = MappingProxyType({})
        self.pods: Mapping[str, PodMetrics] = MappingProxyType({})
        self.queries = 0

    @property
    def nbytes(self) -> int:
        """Memory of all histories, in bytes."""
        return self._demand.nbytes + self._signals.nbytes + self._week.nbytes

    def watch(self, watched: Iterable[Watched], index: PodIndex) -> None:
        """What is wanted from now on, and who owns which pod. Histories of workloads that stay are kept."""
        wanted = tuple(sorted(watched, key=lambda one: one.workload))
        if wanted != self._watched:
            before = set(self._demand.workloads)
            self._watched, self._plan = wanted, plan(wanted, self._reading, self._method)
            names = tuple(one.workload for one in wanted)
            self._unfilled = tuple(name for name in names if name not in before or name in self._unfilled)
            self._demand.keep(names)
            self._week.keep(names)
        self._joiner = Joiner(wanted, index, self._reading)

    def start(self, now_s: float) -> None:
        """Fills the history that the first forecasts need; what is older comes with the ticks."""
        step = self._step(now_s, DEMAND_STEP_S)
        asker = Asker(self._prometheus, self._recorder, self._clock, START_BUDGET_S)
        self._measure_interval(asker, now_s)
        self._note_unfilled(step)
        self._backlog.work(asker, self._demand, self._joiner, step, points=NATIVE_POINTS, queries=10_000)
        minute = self._step(now_s, SIGNAL_STEP_S)
        steps = self._signal_chunk()
        for first in range(minute + 1 - self._reading.signal_points, minute + 1, steps):
            self._read_signals(asker, Span(first, min(first + steps - 1, minute), SIGNAL_STEP_S), None)
        self.queries = asker.queries

    def refresh(self, now_s: float) -> None:
        """One tick: the newest values, one more column of history, and a piece of what is missing of the past."""
        asker = Asker(self._prometheus, self._recorder, self._clock, self._reading.tick_budget_s)
        step = self._step(now_s, DEMAND_STEP_S)
        self._notice_a_clock_set_back(now_s)
        if self._answered_step is None or step > self._answered_step:
            self._measure_interval(asker, now_s)
            self._read_now(asker, step, now_s)
            self._answering = asker.answered > 0
        if self._answering:
            self._note_unfilled(step)
            self._backlog.work(
                asker,
                self._demand,
                self._joiner,
                step,
                points=self._reading.demand_points,
                queries=self._reading.fills_per_tick,
            )
            if self._backlog.empty:
                self._week.work(asker, self._plan, self._joiner, step)
        self.queries = asker.queries

    def metrics_age_s(self, now_s: float) -> float | None:
        """Since the moment of the newest values, None while Prometheus does not answer or knows nothing of us."""
        if not self._answering or self._known_at_s is None:
            return None
        return max(0.0, now_s - self._known_at_s)

    def demand_history(self, now_s: float) -> DemandHistory | None:
        """Offered demand up to the newest step that can be known now; None before anything was."""
        step = self._step(now_s, DEMAND_STEP_S)
        values, saturated = self._demand.window(step, self._reading.demand_points)
        if values.size == 0:
            return None
        return DemandHistory(
            workloads=self._demand.workloads,
            values_rps=values,
            saturated=saturated,
            step_s=DEMAND_STEP_S,
            last_at_s=step * DEMAND_STEP_S,
            same_time_yesterday=self._demand.between(step + 1 - DAY_STEPS, step + HORIZON_STEPS - DAY_STEPS),
            same_time_last_week=self._week.horizon(step),
        )

    def signal_history(self, now_s: float) -> SignalHistory | None:
        """Failure signals that are worth a forecast, and of every workload the nearest to its limit."""
        minute = self._step(now_s, SIGNAL_STEP_S)
        if self._signals.last is None or minute - self._signals.last >= self._reading.signal_points:
            return None
        return self._signals.history()

    def _step(self, now_s: float, step_s: float) -> int:
        """The newest step whose scrapes have had time to become visible."""
        return int(np.floor((now_s - self._reading.settle_s) / step_s))

    def _notice_a_clock_set_back(self, now_s: float) -> None:
        """Waiting for the old time to come again would take values of then for values of now."""
        if self._answered_step is not None and self._step(now_s, DEMAND_STEP_S) < self._answered_step:
            self._answered_step, self._measured_at_s = None, float("-inf")
            self._signals = SignalLog(self._reading.signal_points, SIGNAL_STEP_S)

    def _measure_interval(self, asker: Asker, now_s: float) -> None:
        if not self._plan.interval or now_s - self._measured_at_s < MEASURED_EVERY_S:
            return
        step = self._step(now_s, DEMAND_STEP_S)
        measured_s = interval_s(asker.ask(_INTERVAL, (self._plan.interval,), demand_span(step, step)))
        self._measured_at_s = now_s if measured_s is not None else now_s - MEASURED_EVERY_S + SIGNAL_STEP_S
        if measured_s is not None and measured_s != self._reading.scrape_interval_s:
            self._reading = replace(self._reading, scrape_interval_s=measured_s)
            self._plan = plan(self._watched, self._reading, self._method)

    def _note_unfilled(self, step: int) -> None:
        if self._unfilled:
            concerned = tuple(one for one in self._watched if one.workload in set(self._unfilled))
            self._backlog.add(plan(concerned, self._reading, self._method), self._unfilled, step)
            self._unfilled = ()

    def _read_now(self, asker: Asker, step: int, now_s: float) -> None:
        span = demand_span(self._first_missing(step), step)
        newest = demand_span(step, step)
        demand = self._ask(asker, Question.DEMAND, span)
        pods = self._ask(asker, Question.PODS, newest)
        latency = at_the_end(self._ask(asker, Question.LATENCY, newest), span.steps)
        custom = read_custom(asker, figure_queries(self._plan), span)
        if demand is not None or any(frame is not None for _, frame in custom):
            table = demand_table(demand, latency, custom, self._joiner, self._reading, span.steps)
            self._count(table.problems)
            self._remember(table, pods, span)
            if demand is not None or not self._plan.parts.get(Question.DEMAND):
                self._answered_step = step
        else:
            self.workloads = MappingProxyType({})
        cpu = self._ask(asker, Question.CPU, newest)
        minute = self._step(now_s, SIGNAL_STEP_S)
        if self._signals.last is None or minute > self._signals.last:
            self._read_minutes(asker, minute, pods if minute * 4 == step else None)
        pod_latency = self._ask(asker, Question.POD_LATENCY, newest)
        memory = self._memory if asker.answered else None
        rows = pod_rows((pods, cpu, memory, pod_latency), self._joiner, self._reading)
        self._count(rows.problems)
        self.pods = MappingProxyType(self._paced(pod_metrics(rows), step))
        counted = any(pod.rate_rps is not None or pod.cpu_cores is not None for pod in self.pods.values())
        if counted or any(one != _NOTHING for one in self.workloads.values()):
            self._known_at_s = newest.end_s

    def _paced(self, pods: Mapping[str, PodMetrics], step: int) -> Mapping[str, PodMetrics]:
        steps = round(self._reading.container_window_s / DEMAND_STEP_S)
        self._paces.note(step, {name: pod.rate_rps for name, pod in pods.items()}, steps)
        return {name: replace(pod, cpu_rate_rps=self._paces.mean_rps(name, steps)) for name, pod in pods.items()}

    def _remember(self, table: DemandTable, pods: Frame | None, span: Span) -> None:
        uncovered = self._coverage.lacking(pods, self._joiner)
        if uncovered:
            self._recorder.unknown(Question.DEMAND, UnknownReason.PARTIAL, len(uncovered))
            table = table.without_newest(uncovered)
        self._demand.write(span.first, table.workloads, table.offered_rps, table.saturated)
        self.workloads = MappingProxyType(table.newest())

    def _first_missing(self, step: int) -> int:
        """After an outage the steps that were missed are asked for as well; what is too much for one answer, later."""
        if self._answered_step is None:
            return step
        missing = self._answered_step + 1
        first = max(missing, step + 1 - chunk_steps(len(self._watched), self._reading))
        if missing < first:
            names = tuple(one.workload for one in self._watched)
            self._backlog.add(self._plan, names, first - 1, first=missing)
        return first

    def _read_minutes(self, asker: Asker, minute: int, pods: Frame | None) -> None:
        first = minute + 1 - self._signal_chunk()
        if self._signals.last is not None:
            first = max(first, self._signals.last + 1)
        single = first == minute
        self._read_signals(asker, Span(first, minute, SIGNAL_STEP_S), pods if single else None)

    def _read_signals(self, asker: Asker, span: Span, pods: Frame | None) -> None:
        self._memory = None
        before = asker.answered
        frames: dict[Question, Frame | None] = {question: self._ask(asker, question, span) for question in EVERY_MINUTE}
        frames[Question.PODS] = pods if pods is not None else self._ask(asker, Question.PODS, span)
        own = [query for query in self._plan.custom if query.for_signals]
        custom = read_custom(asker, own, span)
        if asker.answered == before:
            return
        rows = pod_rows(frames.values(), self._joiner, self._reading)
        table = signal_table(rows, custom, self._joiner, self._reading, span.steps)
        self._count(rows.problems)
        self._signals.write(span.last, table, self._exists)
        self._memory = frames[Question.MEMORY]

    def _exists(self, target: SignalTarget) -> bool:
        namespace = target.workload.partition("/")[0]
        facts = self._joiner.index.pods.get(f"{namespace}/{target.member}")
        return facts is not None and facts.workload in self._joiner.watched

    def _signal_chunk(self) -> int:
        rows = 3 * max(1, len(self._joiner.index.pods))
        return int(np.clip(self._reading.largest_fill // rows, 1, self._reading.signal_points))

    def _ask(self, asker: Asker, question: Question, span: Span) -> Frame | None:
        return asker.ask(question, self._plan.parts.get(question, ()), span)

    def _count(self, problems: Counter[UnknownReason]) -> None:
        for reason, count in (+problems).items():
            self._recorder.unknown(_JOINING, reason, count)
