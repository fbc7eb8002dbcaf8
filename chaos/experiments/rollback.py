"""Everything that an experiment does to a cluster is promised to be taken back, on disk, before it is done.

The journal is the truth: a run that ends well, badly, by a signal or by kill -9 leaves no more than the lines of what
is still to be undone, and `foresail chaos rollback` works them off.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from chaos.experiments.json_lines import append_line, read_lines
from chaos.experiments.problems import RollbackIncomplete, VerbFailed

ROLLBACK = "rollback.jsonl"
TRIES = 3


@dataclass(frozen=True, slots=True)
class Undo:
    """How to take one thing back, as data: a verb and what it is about. Must be safe to do twice, or without need."""

    verb: str
    target: str
    detail: str = ""

    def __str__(self) -> str:
        return " ".join(filter(None, (self.verb.replace("_", " "), self.target, self.detail)))


class RollbackJournal:
    """Promises and their fulfilment, one JSON object a line, each on the disk before the call returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._next = max((number for number, _ in _promised(path)), default=0) + 1

    def promise(self, undo: Undo) -> int:
        number, self._next = self._next, self._next + 1
        append_line(self.path, {"promised": number, **asdict(undo)})
        return number

    def keep(self, number: int) -> None:
        append_line(self.path, {"kept": number})

    def outstanding(self) -> tuple[tuple[int, Undo], ...]:
        """What is still to be undone, the last promise first."""
        kept = {int(line["kept"]) for line in _lines(self.path) if "kept" in line}
        return tuple((number, undo) for number, undo in reversed(_promised(self.path)) if number not in kept)


def _promised(path: Path) -> list[tuple[int, Undo]]:
    return [
        (int(line["promised"]), Undo(str(line["verb"]), str(line["target"]), str(line["detail"])))
        for line in _lines(path)
        if "promised" in line
    ]


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    return (line for _, line in read_lines(path, "line of a rollback journal"))


class Rollback:
    """The stack of a run: leaving the block undoes what is outstanding, whatever ended it.

    Raises `RollbackIncomplete` when something could not be undone; then the journal still has it.
    """

    def __init__(self, journal: RollbackJournal, perform: Callable[[Undo], None]) -> None:
        self._journal = journal
        self._perform = perform

    def promise(self, undo: Undo) -> int:
        """Write down how to take back what is about to be done."""
        return self._journal.promise(undo)

    def undo(self, number: int) -> None:
        """Take one thing back before the end. Raises `VerbFailed`; nothing happens where it was undone already."""
        for outstanding, undo in self._journal.outstanding():
            if outstanding == number:
                self._perform(undo)
                self._journal.keep(number)

    def unwind(self) -> tuple[Undo, ...]:
        """Take everything back, the last thing first, and go on past what fails; returns what was undone."""
        done, failed = [], []
        for number, undo in self._journal.outstanding():
            problem = self._try(undo)
            if problem is None:
                self._journal.keep(number)
                done.append(undo)
            else:
                failed.append(f"{undo}: {problem}")
        if failed:
            raise RollbackIncomplete(f"{self._journal.path}: not undone: {'; '.join(failed)}")
        return tuple(done)

    def _try(self, undo: Undo) -> VerbFailed | None:
        for attempt in range(TRIES):
            try:
                self._perform(undo)
                return None
            except VerbFailed as error:
                if attempt == TRIES - 1:
                    return error
        return None

    def __enter__(self) -> Rollback:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.unwind()
        except RollbackIncomplete as incomplete:
            if error is not None:
                incomplete.add_note(f"while ending because of {error!r}")
            raise
