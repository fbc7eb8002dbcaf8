"""Decisions as Kubernetes Events, so that `kubectl describe` of a workload tells what Foresail did to it, and why.

Only in the modes Recommend and Enforce, and only where something was done, would be done, or was refused.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from foresail.explained import clock, refused_of
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Action, Decision, ReasonCode
from policies.explain import render
from policies.model import Mode

#: The same again within this time counts up, later it is a new Event.
SERIES_S = 600.0
#: How often a series that goes on is written: a floor renewed at every tick must not cost a request at every tick.
UPDATE_S = 60.0
#: More keys than this are forgotten; a forgotten one only begins a new Event.
MOST_SERIES = 5_000
_MOST_NOTE = 1024  # characters, by the API


@dataclass(frozen=True, slots=True)
class Reference:
    """The object that an Event is about."""

    api_version: str
    kind: str
    namespace: str
    name: str
    uid: str | None = None


@dataclass(frozen=True, slots=True)
class Told:
    """An Event to write: new where `count` is 1, else a series that has been seen `count` times."""

    name: str
    regarding: Reference
    reason: str  # CamelCase, as Events have it
    action: str
    note: str
    warning: bool
    first_at_s: float
    last_at_s: float
    count: int = 1


@dataclass(slots=True)
class _Series:
    told: Told
    count: int
    written_at_s: float


class EventRecorder:
    """An `Observer` that hands Events to `sink`, which must not wait for anybody."""

    def __init__(
        self,
        sink: Callable[[Told], None],
        reference_of: Callable[[str], Reference | None],
        operator: Reference,
    ) -> None:
        """`reference_of` a workload, None: not known, then nothing is told; `operator`: what its own Events concern."""
        self._sink, self._reference_of, self._operator = sink, reference_of, operator
        self._series: dict[tuple[str, str, str], _Series] = {}

    def ticked(self, report: TickReport) -> None:
        for decision in report.decisions:
            if decision.mode is Mode.OBSERVE or not (decision.actions or decision.withheld):
                continue
            regarding = self._reference_of(decision.workload)
            if regarding is not None:
                self._decided(decision, regarding, bool(refused_of(report, decision)))

    def took_over(self, event: TakeOver) -> None:
        if event.problem is not None:
            note = f"Started without the last leader's memory: {event.problem}."
            self._tell(self._operator, "CheckpointUnusable", "TakeOver", note, True, event.at_s)

    def _decided(self, decision: Decision, regarding: Reference, refused: bool) -> None:
        leading = decision.reasons[0].code if decision.reasons else ReasonCode.NOTHING_TO_DO
        reason = "WriteRefused" if refused else _camel(leading)
        # The id leads from the Event to the log and to /decisions.
        note = f"{render(decision, clock)} ({decision.id})"
        self._tell(regarding, reason, _action(decision), note, refused, decision.at_s)

    def _tell(self, regarding: Reference, reason: str, action: str, note: str, warning: bool, at_s: float) -> None:
        key = (f"{regarding.kind}/{regarding.namespace}/{regarding.name}", reason, action)
        standing = self._series.get(key)
        if standing is None or at_s - standing.told.last_at_s > SERIES_S:
            told = Told(_name(key, at_s), regarding, reason, action, _cut(note), warning, at_s, at_s)
            self._remember(key, _Series(told, 1, at_s))
            self._sink(told)
            return
        standing.count += 1
        standing.told = _seen_again(standing.told, at_s, standing.count)
        if standing.count == 2 or at_s - standing.written_at_s >= UPDATE_S:
            standing.written_at_s = at_s
            self._sink(standing.told)

    def _remember(self, key: tuple[str, str, str], series: _Series) -> None:
        self._series.pop(key, None)
        self._series[key] = series
        while len(self._series) > MOST_SERIES:
            self._series.pop(next(iter(self._series)))


def _seen_again(told: Told, at_s: float, count: int) -> Told:
    return Told(
        told.name, told.regarding, told.reason, told.action, told.note, told.warning, told.first_at_s, at_s, count
    )


def _action(decision: Decision) -> str:
    """What was done first, or would be."""
    actions: tuple[Action, ...] = decision.actions or decision.withheld
    kind = type(actions[0]).__name__
    return kind if decision.actions else f"Recommend{kind}"


def _camel(code: ReasonCode) -> str:
    return "".join(word.capitalize() for word in code.value.split("_"))


def _name(key: tuple[str, str, str], at_s: float) -> str:
    """A name that is new for every series; the first part is the object's, as `kubectl get events` expects."""
    digest = hashlib.sha256(f"{key}{at_s}".encode()).hexdigest()[:16]
    return f"{key[0].rpartition('/')[2][:200]}.{digest}"


def _cut(note: str) -> str:
    return note if len(note) <= _MOST_NOTE else f"{note[: _MOST_NOTE - 1]}…"
