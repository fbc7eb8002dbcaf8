"""A text file → a table whose columns are known to be times, labels or numbers."""

from __future__ import annotations

import csv
import gzip
import re
import zlib
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats
from forecasting.series_times import FIRST_UNIX_S, is_number, is_time

_MOST_BYTES: Final = 1 << 29
_DELIMITERS: Final = ",;\t|"
_GAPS: Final = frozenset(
    {"", "nan", "na", "n/a", "null", "none", "nil", "-", "--", "?", "inf", "+inf", "-inf", "infinity"}
)
#: Header words without case, spaces and signs.
_TIME_WORDS: Final = frozenset({
    "timestamp", "time", "date", "datetime", "ts", "t", "ds", "unixtimestamp", "unixtime", "epoch", "timestampms",
    "timems", "timestamps", "times", "timestamputc", "timeutc", "datetimeutc", "starttime", "epochs", "epochms",
})  # fmt: skip
_LABEL_WORDS: Final = frozenset({"label", "labels", "isanomaly", "anomaly", "anomalous", "isoutlier", "outlier"})
_MARKS: Final = {
    "1": True,
    "1.0": True,
    "true": True,
    "yes": True,
    "0": False,
    "0.0": False,
    "false": False,
    "no": False,
}
#: How tables call a column that only counts their lines.
_COUNTS_LINES: Final = re.compile(r"Unnamed: \d+|index|id|no", re.IGNORECASE)
_MOST_HEADER_ROWS: Final = 8
_SHOWN: Final = 40


class SeriesFileInvalid(Exception):
    """A file of series that cannot be used; the message names file, line or column, what was read and the fix."""


@dataclass(frozen=True, slots=True)
class Table:
    """Columns of equal length. `lines` are line numbers in the file; `times` is None where the file has none."""

    lines: tuple[int, ...]
    times: tuple[str, ...] | None
    names: tuple[str, ...]
    columns: tuple[Floats, ...]  # NaN: missing
    labels: NDArray[np.bool_] | None


def read_table(path: Path) -> Table:
    """The table in a CSV or text file, plain or gzipped. Raises `SeriesFileInvalid`."""
    rows = _rows(_text(path), path)
    if not rows:
        raise SeriesFileInvalid(f"{path}: the file is empty: give one number a line, or a CSV with a header")
    header, body = _header_and_body(rows)
    if not body:
        raise SeriesFileInvalid(f"{path}: there is a header and no line of data: give at least two")
    width = max(len(cells) for cells in (*header, *(row for _, row in body)))
    time_at = _time_column(header, body)
    names = _names(header, width, time_at)
    texts = [tuple(row[at].strip() if at < len(row) else "" for _, row in body) for at in range(width)]
    lines = tuple(line for line, _ in body)
    also_times = {at for at, name in enumerate(names) if time_at is not None and _word(name) in _TIME_WORDS}
    label_at = next((at for at, name in enumerate(names) if _word(name) in _LABEL_WORDS), None)
    if width - len(also_times | {time_at, label_at} - {None}) == 0:
        label_at = None  # a lone column is the values, whatever it is called
    candidates = [at for at in range(width) if at not in also_times | {time_at, label_at}]
    kept, columns = _numbers(path, names, texts, lines, candidates)
    if not kept:
        raise SeriesFileInvalid(f"{path}: no column of numbers among {_listed(names)}: add one")
    return Table(
        lines,
        None if time_at is None else texts[time_at],
        tuple(names[at] for at in kept),
        columns,
        None if label_at is None else _labels(texts[label_at], lines, path, names[label_at]),
    )


def _text(path: Path) -> str:
    try:
        raw = path.read_bytes()
        if raw[:2] == b"\x1f\x8b":
            with gzip.open(path) as unzipped:
                raw = unzipped.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise SeriesFileInvalid(f"{path}: no such file: give the path of a CSV or text file with numbers") from None
    except (OSError, EOFError, zlib.error, ValueError) as error:
        raise SeriesFileInvalid(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(raw) > _MOST_BYTES:
        raise SeriesFileInvalid(f"{path}: larger than {_MOST_BYTES >> 20} MiB: split it")
    encoding = "utf-16" if raw[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SeriesFileInvalid(f"{path}: is not text: give a CSV or text file in UTF-8")
    return text


def _rows(text: str, path: Path) -> list[tuple[int, list[str]]]:
    """Lines that hold something, with their numbers. Lines that begin with # are remarks."""
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip() and not line.lstrip().startswith("#")
    ]
    delimiter = _delimiter([line for _, line in lines[:20]])
    try:
        cells = list(csv.reader((line for _, line in lines), delimiter=delimiter, strict=True))
    except csv.Error as error:
        raise SeriesFileInvalid(f"{path}: is not a CSV file: {error}") from None
    if len(cells) != len(lines):
        raise SeriesFileInvalid(f"{path}: a quoted cell goes over several lines: write each line of data as one line")
    return [(number, row) for (number, _), row in zip(lines, cells, strict=True) if any(cell.strip() for cell in row)]


def _delimiter(lines: list[str]) -> str:
    """The sign that most lines hold, ties to the comma."""
    return max(_DELIMITERS, key=lambda sign: sum(sign in line for line in lines))


def _word(name: str) -> str:
    return re.sub(r"[^a-z]", "", name.lower())


def _is_data(cell: str) -> bool:
    return is_number(cell) or is_time(cell) or cell.strip().lower() in _GAPS


def _header_and_body(rows: list[tuple[int, list[str]]]) -> tuple[list[list[str]], list[tuple[int, list[str]]]]:
    """Rows of words above the first row of data: one, several (a table with levels of names), or none."""
    for count, (_, row) in enumerate(rows[: _MOST_HEADER_ROWS + 1]):
        has_value = any(is_number(cell) or is_time(cell) for cell in row) or len(row) == 1
        is_blank = not row[0].strip()
        if (is_blank and count and has_value) or (not is_blank and has_value and _is_data(row[0])):
            return [cells for _, cells in rows[:count]], rows[count:]
    return [rows[0][1]], rows[1:]


def _time_column(header: list[list[str]], body: list[tuple[int, list[str]]]) -> int | None:
    """A column called like a time, else a first column that holds dates or, without a header, unix times."""
    for at in range(max((len(cells) for cells in header), default=0)):
        if any(at < len(cells) and _word(cells[at]) in _TIME_WORDS for cells in header) and any(
            len(row) > 1 for _, row in body
        ):
            return at
    firsts = [row[0].strip() for _, row in body[:5]]
    if any(len(row) > 1 for _, row in body) and (
        all(is_time(text) and not is_number(text) for text in firsts)
        or (not header and all(is_number(text) and float(text) >= FIRST_UNIX_S for text in firsts) and _rises(firsts))
    ):
        return 0
    return None


def _rises(texts: list[str]) -> bool:
    return len(texts) > 1 and all(float(a) < float(b) for a, b in pairwise(texts))


def _names(header: list[list[str]], width: int, time_at: int | None) -> list[str]:
    """One name per column: its words of all header rows, each once, in order. Doubles are numbered."""
    names: list[str] = []
    for at in range(width):
        words = [cells[at].strip() for cells in header if at < len(cells) and cells[at].strip()]
        times = [word for word in words if _word(word) in _TIME_WORDS]
        name = (
            times[0]
            if at == time_at and times
            else " ".join(dict.fromkeys(words)) or (f"Unnamed: {at}" if header else f"column-{at + 1}")
        )
        doubles = sum(other == name or other.startswith(f"{name}#") for other in names)
        names.append(f"{name}#{doubles + 1}" if doubles else name)
    return names


def _numbers(
    path: Path, names: list[str], texts: list[tuple[str, ...]], lines: tuple[int, ...], candidates: list[int]
) -> tuple[list[int], tuple[Floats, ...]]:
    """The columns of numbers. One that repeats a single word (a pod's name) or counts the lines is passed over."""
    kept: list[int] = []
    columns: list[Floats] = []
    for at in candidates:
        repeated = set(texts[at])
        if len(candidates) > 1 and len(repeated) == 1 and not _is_data(texts[at][0]):
            continue
        column = _column(texts[at], lines, path, names[at])
        if len(candidates) > 1 and _COUNTS_LINES.fullmatch(names[at]) and bool((np.diff(column) == 1.0).all()):
            continue
        kept.append(at)
        columns.append(column)
    return kept, tuple(columns)


def _column(texts: tuple[str, ...], lines: tuple[int, ...], path: Path, name: str) -> Floats:
    try:
        values = np.array([float(text) if text else np.nan for text in texts])
    except ValueError:
        values = np.array([_value(text) for text in texts])
        wrong = [row for row, text in enumerate(texts) if np.isnan(values[row]) and text.lower() not in _GAPS]
        if len(wrong) > len(texts) / 2:
            raise SeriesFileInvalid(
                f"{path}: column {name!r} is text ({texts[wrong[0]][:_SHOWN]!r}), not numbers: "
                "remove the column, or split the file by it"
            ) from None
        if wrong:
            raise SeriesFileInvalid(
                f"{path}: line {lines[wrong[0]]}, column {name!r}: {texts[wrong[0]][:_SHOWN]!r} is not a number: "
                "correct it or leave it empty"
            ) from None
    values[np.isinf(values)] = np.nan
    return values


def _value(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _labels(texts: tuple[str, ...], lines: tuple[int, ...], path: Path, name: str) -> NDArray[np.bool_]:
    marks = [False if text.lower() in _GAPS else _MARKS.get(text.lower()) for text in texts]
    if None in marks:
        row = marks.index(None)
        raise SeriesFileInvalid(
            f"{path}: line {lines[row]}, column {name!r}: {texts[row][:_SHOWN]!r} is no label: write 1 or 0"
        )
    return np.array(marks, dtype=np.bool_)


def _listed(names: list[str]) -> str:
    shown = ", ".join(repr(name[:_SHOWN]) for name in names[:10])
    return shown if len(names) <= 10 else f"{shown} and {len(names) - 10} more"
