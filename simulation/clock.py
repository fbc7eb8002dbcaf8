"""Seconds of a run as the clock that its people see, and back."""

from __future__ import annotations

import re
from collections.abc import Callable

from simulation.scenario import Scenario

DAY_S = 86_400

_TIME = re.compile(r"^(?:day (?P<day>\d+) )?(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d))?$")


class TimeInvalid(Exception):
    """A text that is no time of this run; the message says which would be."""


def clock_of(scenario: Scenario) -> Callable[[float], str]:
    """How to say a second of the run: `12:31:15`; after midnight `day 2 00:10:00`."""
    start = _start_s(scenario)

    def clock(at_s: float) -> str:
        day, second = divmod(round(start + at_s), DAY_S)
        text = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        return text if day == 0 else f"day {day + 1} {text}"

    return clock


def seconds_at(text: str, starts_at: str, duration_s: float) -> float:
    """The second of the run at which a clock shows `text`: `12:31`, `12:31:15`, `day 2 00:10`.

    Without a day the first time that the clock shows it. Raises `TimeInvalid` for what is no time or not in the run.
    """
    match = _TIME.match(text.strip())
    if match is None:
        raise TimeInvalid(f"{text!r} is no time: write it like 12:31, 12:31:15 or 'day 2 00:10'")
    hours, minutes = map(int, starts_at.split(":"))
    start = hours * 3600 + minutes * 60
    wanted = int(match["hour"]) * 3600 + int(match["minute"]) * 60 + int(match["second"] or 0)
    at_s = wanted - start + (int(match["day"] or 1) - 1) * DAY_S
    if match["day"] is None and at_s < 0:
        at_s += DAY_S
    if not 0 <= at_s <= duration_s:
        end = round(start + duration_s)
        days = f" of day {end // DAY_S + 1}" if end >= DAY_S else ""
        raise TimeInvalid(
            f"{text!r} is not in the run, which goes from {starts_at} to "
            f"{end // 3600 % 24:02d}:{end // 60 % 60:02d}{days}"
        )
    return float(at_s)


def _start_s(scenario: Scenario) -> int:
    hours, minutes = map(int, scenario.starts_at.split(":"))
    return hours * 3600 + minutes * 60
