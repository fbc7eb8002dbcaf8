"""What became of each request, one CSV row each: small, written as it happens, read back for the summary."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from sys import intern
from typing import TextIO

HEADER = ("due_s", "operation", "verdict", "status", "error", "lag_ms", "latency_ms")


class Verdict(StrEnum):
    OK = "ok"
    REJECTED = "rejected"  # a proper answer that says no: sold out, card declined
    FAILED = "failed"
    RETRIED = "retried"  # failed, and another attempt of the same request follows
    SKIPPED = "skipped"  # due, but as many requests as allowed were in flight: a client that got nothing
    BLOCKED = "blocked"  # never sent since the request that it builds on failed


@dataclass(frozen=True, slots=True)
class Record:
    """One request. `due_s` is when it should have been sent, since the start; latency counts from there.

    `status` 0: no answer; `error` then says why. `lag_ms` is how much later than due it was sent.
    """

    due_s: float
    operation: str
    verdict: Verdict
    status: int = 0
    error: str = ""
    lag_ms: float = 0.0
    latency_ms: float = 0.0

    @property
    def bad(self) -> bool:
        """A client got nothing that it can use."""
        return self.verdict in (Verdict.FAILED, Verdict.SKIPPED)

    @property
    def answered_well(self) -> bool:
        return self.verdict in (Verdict.OK, Verdict.REJECTED)


class RecordFile:
    """The writing side: lines are buffered, so it costs little; `flush` now and then."""

    def __init__(self, path: Path) -> None:
        self._file: TextIO = path.open("w", encoding="utf-8", newline="")
        self._file.write(",".join(HEADER) + "\n")

    def add(self, record: Record) -> None:
        self._file.write(
            f"{record.due_s:.4f},{record.operation},{record.verdict},{record.status},{record.error},"
            f"{record.lag_ms:.2f},{record.latency_ms:.2f}\n"
        )

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self._file.close()


def read_records(path: Path) -> Iterator[Record]:
    """The rows of a file; a torn last one, which a killed run leaves, is skipped."""
    with path.open(encoding="utf-8", newline="") as file:
        for row in csv.reader(file):
            if len(row) != len(HEADER) or row[0] == HEADER[0]:
                continue
            try:
                due_s, operation, verdict, status, error, lag_ms, latency_ms = row
                yield Record(
                    due_s=float(due_s),
                    operation=intern(operation),  # a long run has a million rows and a dozen words
                    verdict=Verdict(verdict),
                    status=int(status),
                    error=intern(error),
                    lag_ms=float(lag_ms),
                    latency_ms=float(latency_ms),
                )
            except ValueError:
                continue
