"""What became of each run, on disk, so that an experiment goes on where it was stopped and nothing is hidden."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from chaos.experiments.jobs import RunKey
from chaos.experiments.json_lines import append_line, read_lines
from chaos.experiments.problems import FolderInvalid

STATE = "state.jsonl"


class RunState(StrEnum):
    BEGAN = "began"  # and not heard of since: it was stopped
    FINISHED = "finished"
    FAILED = "failed"  # something broke, or the shop was not well to begin with
    ABORTED = "aborted"  # by the guard: the shop was worse off than allowed


ENDED = (RunState.FINISHED, RunState.FAILED, RunState.ABORTED)


@dataclass(frozen=True, slots=True)
class RunEvent:
    """`at_s` is Unix time; `why` is empty where nothing went wrong."""

    key: RunKey
    state: RunState
    at_s: float
    why: str = ""


class StateFile:
    """JSON lines, each on the disk before the call returns. The last word about a run counts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, event: RunEvent) -> None:
        line = {**event.key._asdict(), "state": event.state.value, "at_s": round(event.at_s, 3), "why": event.why}
        append_line(self.path, line)

    def events(self) -> tuple[RunEvent, ...]:
        """Raises `FolderInvalid`; a torn last line is left out."""
        return tuple(_events(self.path))

    def last(self) -> Mapping[RunKey, RunEvent]:
        return {event.key: event for event in self.events()}


def left_to_do(
    runs: Iterable[RunKey], last: Mapping[RunKey, RunEvent], again: Collection[RunState] = ()
) -> tuple[RunKey, ...]:
    """The runs that have not ended, in their order. `again`: ends that are tried once more."""
    done = {key for key, event in last.items() if event.state in ENDED and event.state not in again}
    return tuple(run for run in runs if run not in done)


def spent_s(events: Iterable[RunEvent]) -> Mapping[RunKey, float]:
    """How long each run took from its last beginning to its end; of those that ended in a result."""
    began: dict[RunKey, float] = {}
    spent: dict[RunKey, float] = {}
    for event in events:
        if event.state is RunState.BEGAN:
            began[event.key] = event.at_s
        elif event.state is RunState.FINISHED and event.key in began:
            spent[event.key] = event.at_s - began[event.key]
    return spent


def _events(path: Path) -> Iterator[RunEvent]:
    for number, line in read_lines(path, "word about a run"):
        try:
            key = RunKey(str(line["scenario"]), str(line["arm"]), int(line["seed"]))
            yield RunEvent(key, RunState(line["state"]), float(line["at_s"]), str(line["why"]))
        except (KeyError, TypeError, ValueError):
            raise FolderInvalid(f"{path}: line {number} says nothing about a run") from None
