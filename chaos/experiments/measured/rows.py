"""Rows that are taken down during a run: what the API server said each second, and what Prometheus knows of it.

CSV files of plain numbers; an empty field is unknown. Times are Unix seconds.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, TypeVar, get_args, get_type_hints

from chaos.experiments.problems import FolderInvalid

#: What the rates of a row by Prometheus are means over: three scrapes of the chart's for services. Kubelets look at
#: containers every 10 to 15 s only, and a pod's requests must be those of the seconds that its CPU is of.
SERVICE_WINDOW_S = 15.0
POD_WINDOW_S = 30.0


@dataclass(frozen=True, slots=True)
class WorkloadRow:
    """A workload at a moment, by the API server. `floor`: minReplicas of its HPA; None: it has none."""

    at_s: float
    service: str
    desired: int
    ready: int
    pods: int  # on a node and not ended: what costs
    floor: int | None


@dataclass(frozen=True, slots=True)
class ServiceRow:
    """A service over the `SERVICE_WINDOW_S` before a moment, by Prometheus."""

    at_s: float
    service: str
    offered_rps: float | None
    failed_rps: float | None
    p50_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class PodRow:
    """A pod over the `POD_WINDOW_S` before a moment, by Prometheus."""

    at_s: float
    service: str
    pod: str
    answered_rps: float | None
    cpu_cores: float | None


Row = TypeVar("Row", WorkloadRow, ServiceRow, PodRow)


def write_rows(path: Path, kind: type[Row], rows: Iterable[Row]) -> None:
    """Appends; the first rows of a file come with its header."""
    names = [f.name for f in fields(kind)]
    new = not path.exists() or path.stat().st_size == 0
    with path.open("a", encoding="utf-8", newline="") as out:
        writer = csv.writer(out)
        if new:
            writer.writerow(names)
        for row in rows:
            values = (getattr(row, name) for name in names)
            writer.writerow(["" if v is None else f"{v:.6g}" if type(v) is float and v < 1e6 else v for v in values])


def read_rows(path: Path, kind: type[Row]) -> tuple[Row, ...]:
    """Raises `FolderInvalid`; a torn last line, which a killed run leaves, is left out."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(_parsed(path, kind, csv.reader(file)))
    except OSError as error:
        raise FolderInvalid(f"{path}: cannot be read: {error.strerror}") from None


def _parsed(path: Path, kind: type[Row], lines: Iterator[list[str]]) -> Iterator[Row]:
    names = [f.name for f in fields(kind)]
    if next(lines, None) != names:
        raise FolderInvalid(f"{path}: the columns are not {','.join(names)}")
    hints = get_type_hints(kind)
    torn = None
    for number, line in enumerate(lines, start=2):
        if torn is not None:
            raise FolderInvalid(f"{path}: line {torn} is no row of {len(names)} values")
        try:
            values: dict[str, Any] = {n: _value(hints[n], text) for n, text in zip(names, line, strict=True)}
            yield kind(**values)
        except ValueError:
            torn = number


def _value(hint: object, text: str) -> object:
    known = [one for one in get_args(hint) if one is not type(None)]
    if known:
        return None if text == "" else _value(known[0], text)
    if hint is str:
        return text
    return int(text) if hint is int else float(text)
