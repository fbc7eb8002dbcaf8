"""When a recurring event begins: RRULE (RFC 5545) on a wall clock, as Unix times within a window.

dateutil searches a rule that never matches until the last year that dates can hold, some 5 s for one that looks at
every day. The Gregorian calendar repeats every 400 years, weekdays included, so rules are asked in the last such cycle:
the search ends after 374 years at most, in 0.2 s, and such a rule is refused when it is read.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from dateutil.rrule import rrulestr

#: Nineteen cycles: a rule of 2026 is asked in 9626.
SHIFT_YEARS = 19 * 400
EARLIEST_YEAR, LATEST_YEAR = 1970, 2300
#: Occurrences passed from the start of a rule on (0.4 s at most): 137 years of a daily one, 5 of one every hour.
MOST_PASSED = 50_000
_DAY = timedelta(days=1)

FREQUENCIES = ("DAILY", "WEEKLY", "MONTHLY", "YEARLY")
#: What a rule may hold beside FREQ, and the values it may have. BYSECOND and the finer frequencies are for machines,
#: BYWEEKNO, BYYEARDAY and BYEASTER are never what a sale is planned by.
PARTS: Mapping[str, str] = {
    "INTERVAL": r"[1-9]\d{0,2}",
    "COUNT": r"[1-9]\d{0,3}",
    "UNTIL": r"\d{8}(T\d{6}Z?)?",
    "BYDAY": r"([+-]?[1-5]?(MO|TU|WE|TH|FR|SA|SU))(,[+-]?[1-5]?(MO|TU|WE|TH|FR|SA|SU)){0,20}",
    "BYMONTHDAY": r"-?([1-9]|[12]\d|3[01])(,-?([1-9]|[12]\d|3[01])){0,30}",
    "BYMONTH": r"([1-9]|1[0-2])(,([1-9]|1[0-2])){0,11}",
    "BYHOUR": r"(\d|1\d|2[0-3])(,(\d|1\d|2[0-3])){0,23}",
    "BYMINUTE": r"(\d|[1-5]\d)(,(\d|[1-5]\d)){0,11}",
    "BYSETPOS": r"-?[1-9]\d{0,2}(,-?[1-9]\d{0,2}){0,7}",
    "WKST": r"(MO|TU|WE|TH|FR|SA|SU)",
}


class RecurrenceInvalid(ValueError):
    """The rule cannot be used; the message names the part and the fix."""


def parts_of(rrule: str) -> dict[str, str]:
    """The parts of a rule by name. Raises `RecurrenceInvalid`."""
    parts: dict[str, str] = {}
    for part in rrule.split(";"):
        name, _, value = part.partition("=")
        if name in parts:
            raise RecurrenceInvalid(f"{name} stands there twice: keep one")
        if name == "FREQ":
            if value not in FREQUENCIES:
                raise RecurrenceInvalid(f"FREQ={value} is not supported: use one of {', '.join(FREQUENCIES)}")
        elif name not in PARTS:
            raise RecurrenceInvalid(f"{name or 'an empty part'} is not supported: use FREQ and {', '.join(PARTS)}")
        elif re.fullmatch(PARTS[name], value, re.ASCII) is None:
            raise RecurrenceInvalid(f"{name}={value} is no value for {name}: write it as RFC 5545 does")
        parts[name] = value
    if "FREQ" not in parts:
        raise RecurrenceInvalid(f"FREQ is missing: begin with FREQ={FREQUENCIES[1]} or another frequency")
    if "COUNT" in parts and "UNTIL" in parts:
        raise RecurrenceInvalid("COUNT and UNTIL exclude each other: keep one")
    if re.search(r"\d", parts.get("BYDAY", "")) and parts["FREQ"] not in ("MONTHLY", "YEARLY"):
        raise RecurrenceInvalid("BYDAY with a number needs FREQ=MONTHLY or YEARLY: drop the number")
    return parts


def checked(rrule: str, start: datetime) -> None:
    """Raises `RecurrenceInvalid` for a rule or a start that cannot be used."""
    parts = parts_of(rrule)
    if not EARLIEST_YEAR <= start.year <= LATEST_YEAR:
        raise RecurrenceInvalid(f"it starts in {start.year}: start between {EARLIEST_YEAR} and {LATEST_YEAR}")
    try:
        if "UNTIL" in parts:
            _last_s(parts["UNTIL"], ZoneInfo("UTC"))
        never = _never(_endless(parts), start)
    except ValueError as error:
        raise RecurrenceInvalid(f"{rrule} cannot be read ({error}): write it as RFC 5545 does") from error
    if never:
        raise RecurrenceInvalid(f"{rrule} never happens: change the days, the months or BYSETPOS")


def starts_between(
    rrule: str, start: datetime, time_zone: str, from_s: float, until_s: float, most: int
) -> tuple[float, ...]:
    """The first `most` Unix times in `[from_s, until_s)` at which the rule begins, in order.

    `start` is a local time without zone: RRULE counts in wall-clock time, so a sale at 18:00 stays there when clocks
    change. A time that a change skips is taken with the offset before it, one that comes twice the first time.
    Raises `RecurrenceInvalid` where the window lies too many occurrences after the start.
    """
    found, complete = _search(rrule, start, time_zone, from_s, until_s, most)
    if not complete:
        raise RecurrenceInvalid(f"{rrule} has begun more than {MOST_PASSED:,} times since its start: start it later")
    return found


@lru_cache(maxsize=4096)
def _never(endless: str, start: datetime) -> bool:
    return next(iter(rrulestr(endless, dtstart=_moved(start))), None) is None


@lru_cache(maxsize=4096)
def _search(
    rrule: str, start: datetime, time_zone: str, from_s: float, until_s: float, most: int
) -> tuple[tuple[float, ...], bool]:
    """Starts in the window, and whether the search came to its end."""
    zone = ZoneInfo(time_zone)
    parts = parts_of(rrule)
    last_s = _last_s(parts["UNTIL"], zone) if "UNTIL" in parts else math.inf
    # Local and universal time are never more than a day apart.
    enough = _moved(datetime.fromtimestamp(until_s, UTC).replace(tzinfo=None)) + _DAY
    found: list[float] = []
    for passed, moved in enumerate(rrulestr(_endless(parts), dtstart=_moved(start))):
        if moved >= enough or len(found) >= most:
            return tuple(found), True
        if passed >= MOST_PASSED:
            return (), False
        at_s = moved.replace(year=moved.year - SHIFT_YEARS, tzinfo=zone).timestamp()
        if from_s <= at_s < until_s and at_s <= last_s:
            found.append(at_s)
    return tuple(found), True


def _endless(parts: Mapping[str, str]) -> str:
    """The rule without UNTIL, which is compared with the moments themselves."""
    return ";".join(f"{name}={value}" for name, value in parts.items() if name != "UNTIL")


def _moved(moment: datetime) -> datetime:
    return moment.replace(year=moment.year + SHIFT_YEARS)


def _last_s(until: str, zone: ZoneInfo) -> float:
    """The last moment that UNTIL allows. A mere date allows its whole day."""
    if "T" not in until:
        return (datetime.fromisoformat(until).replace(tzinfo=zone) + _DAY).timestamp() - 1.0
    moment = datetime.fromisoformat(until)
    return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).timestamp()
