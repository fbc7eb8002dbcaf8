"""Logs as JSON, one object a line: an event name, its fields, and for decisions their ids."""

from __future__ import annotations

import json
import logging
from typing import Any, TextIO

from foresail.explained import explained, moment, outline, refused_of
from foresail.tick_report import TakeOver, TickReport
from policies.decision import Decision

log = logging.getLogger("foresail.decisions")

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON. `extra` fields come as they are; what is no JSON comes as text."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = {
            "at": moment(record.created),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
        }
        fields.update({name: value for name, value in vars(record).items() if name not in _STANDARD})
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps(fields, default=str)


def configure(level: str, stream: TextIO | None = None) -> logging.Handler:
    """Sends the operator's own records to `stream` (default: standard error). kopf's own go where it sends them."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    own = logging.getLogger("foresail")
    for standing in [one for one in own.handlers if isinstance(one.formatter, JsonFormatter)]:
        own.removeHandler(standing)
    own.addHandler(handler)
    own.setLevel(level)
    own.propagate = False
    return handler


class DecisionLog:
    """An `Observer`: one record for every decision that acts, or that says something else than the one before."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[object, ...]] = {}

    def ticked(self, report: TickReport) -> None:
        for decision in report.decisions:
            news = outline(decision)
            level = logging.INFO if decision.actions or self._said.get(decision.workload) != news else logging.DEBUG
            self._said[decision.workload] = news
            if log.isEnabledFor(level):
                log.log(level, "decision", extra={"decision": _told(report, decision)})
        self._said = {name: said for name, said in self._said.items() if name in report.policies.workloads}

    def took_over(self, event: TakeOver) -> None:
        """The runner has logged it."""
        self._said.clear()


def _told(report: TickReport, decision: Decision) -> dict[str, Any]:
    told = explained(decision, refused_of(report, decision))
    return {name: value for name, value in told.items() if value not in (None, [])}
