"""The questions of a tick: one per kind of signal, however many workloads, and one per distinct expression of users."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from foresail.prometheus import usage
from foresail.prometheus.expressions import any_of, duration
from foresail.prometheus.presets import PRESETS, PresetQueries
from foresail.prometheus.scrape_interval import interval_query
from foresail.prometheus.selection import Scope, scopes
from foresail.prometheus.settings import Reading
from foresail.prometheus.watched import Figure, Preset, Watched
from policies.model import SignalKind


class Question(StrEnum):
    """In order of importance: what a tick has no time for is at the end."""

    DEMAND = "demand"
    PODS = "pods"
    LATENCY = "latency"
    CPU = "cpu"
    MEMORY = "memory"
    POOL = "pool"
    QUEUE = "queue"
    LAG = "replication_lag"
    DISK = "disk"
    POD_LATENCY = "pod_latency"


#: Asked every 15 s; the others belong to the failure signals, every 60 s.
EVERY_STEP = (Question.DEMAND, Question.PODS, Question.LATENCY, Question.CPU, Question.POD_LATENCY)
EVERY_MINUTE = (Question.MEMORY, Question.POOL, Question.QUEUE, Question.LAG, Question.DISK)

_OF_PRESETS: Mapping[Question, Callable[[PresetQueries], Callable[[Scope], Iterator[str]]]] = {
    Question.DEMAND: lambda preset: preset.demand,
    Question.PODS: lambda preset: preset.pods,
    Question.LATENCY: lambda preset: preset.latency,
    Question.POD_LATENCY: lambda preset: preset.pod_latency,
}
_OF_USAGE: Mapping[Question, Callable[[Scope], Iterator[str]]] = {
    Question.CPU: usage.cpu,
    Question.MEMORY: usage.memory,
    Question.POOL: usage.pool,
    Question.QUEUE: usage.queue,
    Question.LAG: usage.replication_lag,
    Question.DISK: usage.disk,
}


@dataclass(frozen=True, slots=True)
class CustomQuery:
    """One distinct expression, and who uses it for what."""

    promql: str
    users: tuple[tuple[str, Figure | SignalKind], ...]  # workload, figure

    @property
    def per_minute(self) -> bool:
        """It serves failure signals only, so it is asked once a minute."""
        return all(isinstance(about, SignalKind) for _, about in self.users)

    @property
    def for_signals(self) -> bool:
        return any(isinstance(about, SignalKind) for _, about in self.users)


@dataclass(frozen=True, slots=True)
class Plan:
    """All questions about a set of workloads. The parts of a question are asked one by one and read as one answer."""

    parts: Mapping[Question, tuple[str, ...]]
    custom: tuple[CustomQuery, ...]
    interval: str = ""  # asks how often these namespaces are scraped

    def queries(self, *, minute: bool) -> int:
        """How many queries a tick takes."""
        asked = EVERY_STEP + EVERY_MINUTE if minute else EVERY_STEP
        return sum(len(self.parts.get(question, ())) for question in asked) + sum(
            1 for query in self.custom if minute or not query.per_minute
        )


def plan(watched: Sequence[Watched], reading: Reading, method: str = "POST") -> Plan:
    """The questions whose answers these workloads need; what no preset of theirs can know is not asked."""
    longest = reading.longest_selector if method == "POST" else reading.longest_selector_get
    parts: dict[Question, tuple[str, ...]] = {}
    everywhere = scopes((one.namespace for one in watched), reading, longest)
    for question, usage_of in _OF_USAGE.items():
        parts[question] = _asked(list(usage_of(scope)) for scope in everywhere)
    by_preset = {
        preset: scopes((one.namespace for one in watched if one.preset is preset), reading, longest)
        for preset in Preset
    }
    for question, arms_of in _OF_PRESETS.items():
        most = max((len(found) for found in by_preset.values()), default=0)
        parts[question] = _asked(
            [
                arm
                for preset, found in by_preset.items()
                if part < len(found)
                for arm in arms_of(PRESETS[preset])(found[part])
            ]
            for part in range(most)
        )
    interval = interval_query(everywhere[0]) if everywhere else ""
    return Plan(parts, _custom(watched, reading, everywhere), interval)


def _asked(parts: Iterable[list[str]]) -> tuple[str, ...]:
    return tuple(any_of(arms) for arms in parts if arms)


def _custom(watched: Sequence[Watched], reading: Reading, everywhere: Sequence[Scope]) -> tuple[CustomQuery, ...]:
    users: dict[str, list[tuple[str, Figure | SignalKind]]] = {}
    namespaces = "|".join(scope.namespaces for scope in everywhere)
    filled = {"$namespaces": namespaces, "$window": duration(reading.window_s)}
    for one in watched:
        for expression in one.expressions:
            promql = re.sub(r"\$(namespaces|window)\b", lambda found: filled[found[0]], expression.promql)
            users.setdefault(promql, []).append((one.workload, expression.about))
    return tuple(CustomQuery(promql, tuple(concerned)) for promql, concerned in users.items())
