"""Times as files write them → unix seconds. numpy only: the core reads no clock and knows no time zone but offsets."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from forecasting.forecast import Floats

#: Numbers from here on are unix seconds (1973); smaller ones count from the file's own beginning.
FIRST_UNIX_S: Final = 1e8
#: Larger numbers are unix milliseconds, microseconds, nanoseconds.
_FINER_UNITS: Final = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))
#: 2261, which no measurement comes from; digits like 20240501120000 would land beyond it.
_LAST_UNIX_S: Final = 9.2e9

#: In whatever unit.
_MOST: Final = 1e20

_CLOCK = r"(?:[T ,_]+(?P<hour>\d{1,2})(?::?(?P<minute>\d{2})(?::?(?P<second>\d{2})(?P<fraction>[.,]\d+)?)?)?)?"
_TAIL = (
    r"\s*(?P<half>[AaPp]\.?[Mm]\.?)?\s*(?P<zone>[Zz]|UTC|GMT|[+-]\d{2}:?(?:\d{2})?)?(?:\s*(?:UTC|GMT))?(?:\s*m=\S+)?"
)
_YEAR = r"(?P<year>(?:19|20|21)\d{2})"
_YEAR_FIRST: Final = re.compile(
    _YEAR + r"(?P<mark>[-/.]?)(?P<month>0?[1-9]|1[0-2])(?P=mark)(?P<day>[0-3]?\d)" + _CLOCK + _TAIL
)
_YEAR_LAST: Final = re.compile(r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)" + _YEAR + _CLOCK + _TAIL)
_LONGEST_TEXT: Final = 64


class TimeUnreadable(Exception):
    """One text that is no time; `row` is its place among those given."""

    def __init__(self, row: int, text: str) -> None:
        super().__init__(f"{text[:_LONGEST_TEXT]!r} is no time")
        self.row = row


def is_time(text: str) -> bool:
    """Whether the text is a date, with or without a time of day. A mere number is not."""
    return _match(text.strip()) is not None


def is_number(text: str) -> bool:
    try:
        return bool(np.isfinite(float(text)))
    except ValueError:
        return False


def times_s(texts: Sequence[str]) -> tuple[Floats, bool]:
    """Seconds `(texts,)`, and whether they are unix seconds (else they count from an unknown beginning).

    ISO 8601, `2020-01-31 13:05:00`, `1/31/2020 1:05 PM`, `31.1.2020 13:05`, and numbers: unix seconds to nanoseconds,
    or small ones. Without an offset a time is UTC. Month comes before day unless some text of the column says
    otherwise. Raises `TimeUnreadable`.
    """
    texts = [text.strip() for text in texts]
    if texts and is_number(texts[0]) and not (len(texts[0]) == 8 and _match(texts[0]) is not None):
        return _numbers_s(texts)
    return _dates_s(texts), True


def _numbers_s(texts: Sequence[str]) -> tuple[Floats, bool]:
    values = np.empty(len(texts))
    for row, text in enumerate(texts):
        if not is_number(text) or abs(float(text)) > _MOST:
            raise TimeUnreadable(row, text)
        values[row] = float(text)
    middle = float(np.median(values))
    unit = next((unit for least, unit in _FINER_UNITS if middle >= least), 1.0)
    seconds = values / unit
    outside = np.flatnonzero(np.abs(seconds) > _LAST_UNIX_S)
    if outside.size:
        raise TimeUnreadable(int(outside[0]), texts[int(outside[0])])
    return seconds, middle >= FIRST_UNIX_S


def _match(text: str) -> re.Match[str] | None:
    if len(text) > _LONGEST_TEXT or not text.isascii():
        return None
    return _YEAR_FIRST.fullmatch(text) or _YEAR_LAST.fullmatch(text)


def _dates_s(texts: Sequence[str]) -> Floats:
    parts = np.empty((len(texts), 6))  # year, month, day, seconds of the day, offset in seconds, order is known
    for row, text in enumerate(texts):
        match = _match(text)
        if match is None:
            raise TimeUnreadable(row, text)
        parts[row] = _parts(match)
    year, month, day, second, offset, day_first = parts.T
    turned = day_first < 0.0
    if bool((month[turned] > 12).any()) or bool((day_first > 0.0).any()):
        month[turned], day[turned] = day[turned].copy(), month[turned].copy()
    midnight, exists = _midnights(year, month, day)
    wrong = np.flatnonzero(~exists | (second >= 86_401.0))
    if wrong.size:
        raise TimeUnreadable(int(wrong[0]), texts[int(wrong[0])])
    return np.asarray(midnight + second - offset)


def _parts(match: re.Match[str]) -> tuple[float, float, float, float, float, float]:
    """The last is +1 where the day surely came first, -1 where month and day could be either, 0 where it is written."""
    found = match.groupdict()
    clock = _seconds_of_day(found)
    offset = _offset_s(found["zone"])
    year = float(found["year"])
    if "one" not in found:
        return year, float(found["month"]), float(found["day"]), clock, offset, 0.0
    one, two = float(found["one"]), float(found["two"])
    if found["mark"] == ".":
        return year, two, one, clock, offset, 0.0
    return (
        (year, two, one, clock, offset, 1.0)
        if one > 12
        else (year, one, two, clock, offset, -1.0 if two <= 12 else 0.0)
    )


def _seconds_of_day(found: dict[str, str | None]) -> float:
    """86,401 or more where the clock shows no such time."""
    hour, minute, second = (float(found[unit] or 0) for unit in ("hour", "minute", "second"))
    fraction = float((found["fraction"] or "0").replace(",", "."))
    if found["half"]:
        if not 1 <= hour <= 12:
            return np.inf
        hour = hour % 12 + (12 if found["half"][0] in "Pp" else 0)
    if hour > 24 or minute > 59 or second > 60:
        return np.inf
    return hour * 3600.0 + minute * 60.0 + second + fraction


def _offset_s(zone: str | None) -> float:
    if zone is None or zone[0] not in "+-":
        return 0.0
    digits = zone[1:].replace(":", "")
    size = float(digits[:2]) * 3600.0 + float(digits[2:] or 0) * 60.0
    return -size if zone[0] == "-" else size


def _midnights(year: Floats, month: Floats, day: Floats) -> tuple[Floats, NDArray[np.bool_]]:
    """Unix seconds at which the dates begin, and which of them exist."""
    possible = (year >= 1900) & (year <= 2261) & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31)
    months = np.where(possible, (year - 1970) * 12 + month - 1, 0).astype(np.int64).astype("datetime64[M]")
    days = months.astype("datetime64[D]") + np.where(possible, day - 1, 0).astype(np.int64)
    exists = possible & (days.astype("datetime64[M]") == months)
    return np.asarray(days.astype(np.int64) * 86_400.0, dtype=np.float64), np.asarray(exists)
