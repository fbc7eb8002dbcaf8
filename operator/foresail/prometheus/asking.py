"""Asks the questions of one tick within its time, and counts every answer that is of no use."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from foresail.prometheus.answers import Frame, joined
from foresail.prometheus.client import PromQl
from foresail.prometheus.reasons import QueryFailed, UnknownReason
from foresail.prometheus.recording import Recorder

#: After so many answers that never came, the server is left alone until the next tick.
_PATIENCE = 2
_SILENT = (UnknownReason.UNREACHABLE, UnknownReason.TIMED_OUT)


@dataclass(frozen=True, slots=True)
class Span:
    """Moments that are asked for: multiples of `step_s`, first and last included."""

    first: int
    last: int
    step_s: float

    @property
    def steps(self) -> int:
        return self.last - self.first + 1

    @property
    def start_s(self) -> float:
        return self.first * self.step_s

    @property
    def end_s(self) -> float:
        return self.last * self.step_s


class Asker:
    """One tick's conversation. `queries` counts what was sent, `answered` what came back in order."""

    def __init__(self, prometheus: PromQl, recorder: Recorder, clock: Callable[[], float], budget_s: float) -> None:
        self._prometheus, self._recorder, self._clock = prometheus, recorder, clock
        self._until_s = clock() + budget_s
        self._silent = 0
        self.queries = 0
        self.answered = 0

    @property
    def out_of_time(self) -> bool:
        return self._silent >= _PATIENCE or self._clock() >= self._until_s

    def ask(self, name: str, parts: Sequence[str], span: Span) -> Frame | None:
        """The rows of all parts that were answered, None where none was. Parts concern different namespaces."""
        frames = [frame for part in parts if (frame := self._part(name, part, span)) is not None]
        return joined(frames) if frames else None

    def _part(self, name: str, promql: str, span: Span) -> Frame | None:
        if self.out_of_time:
            self._recorder.unknown(name, UnknownReason.OUT_OF_TIME, 1)
            return None
        began_s = self._clock()
        left_s = self._until_s - began_s
        self.queries += 1
        try:
            frame = self._answer(promql, span, left_s)
        except QueryFailed as failed:
            self._silent += failed.reason in _SILENT
            self._recorder.unknown(name, failed.reason, 1)
            return None
        finally:
            self._recorder.query_took(name, self._clock() - began_s)
        self.answered += 1
        for reason, count in frame.problems.items():
            self._recorder.unknown(name, reason, count)
        return frame

    def _answer(self, promql: str, span: Span, left_s: float) -> Frame:
        if span.steps == 1:
            return self._prometheus.instant(promql, span.end_s, left_s)
        return self._prometheus.range(promql, span.start_s, span.end_s, span.step_s, left_s)
