"""Declared events of a policy as the forecaster reads them: every occurrence within a window around now."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import pairwise

from forecasting.forecast import DeclaredEvent
from foresail.resources.events import Event
from foresail.resources.recurrence import RecurrenceInvalid, starts_between

HOUR_S = 3600.0
#: An event stays declared until it has left the history of demand: 512 points of 15 s are a little over two hours.
PAST_S = 3.0 * HOUR_S
AHEAD_S = 24.0 * HOUR_S
#: Occurrences of one event within the window.
MOST_OCCURRENCES = 48
#: Uncertain occurrences at nearly the same time: forecasts work out every combination of those within a horizon.
MOST_UNCERTAIN = 6
NEARLY_S = 1800.0


@dataclass(frozen=True, slots=True)
class Expanded:
    """Occurrences of one event, and what was left out and why."""

    event: Event
    occurrences: tuple[DeclaredEvent, ...]
    dropped: str | None = None


def expanded(events: Sequence[Event], now_s: float) -> tuple[Expanded, ...]:
    """Every event's occurrences that have not left the history and begin within a day, in the order of `events`."""
    # A minute more or less changes nothing, and most ticks find the answer of the one before.
    return _expanded(tuple(events), 60.0 * math.floor(now_s / 60.0))


@lru_cache(maxsize=4096)
def _expanded(events: tuple[Event, ...], now_s: float) -> tuple[Expanded, ...]:
    return _bounded([_apart(_one(event, now_s)) for event in events])


def _one(event: Event, now_s: float) -> Expanded:
    if event.starts_at_s is not None:
        once: tuple[float, ...] = (event.starts_at_s,) if event.starts_at_s < now_s + AHEAD_S else ()
        return Expanded(event, _declared(event, once, now_s))
    recurrence = event.recurrence
    assert recurrence is not None  # one of the two, says the event's first rule
    # Whole hours, so that the search is done once an hour and not at every tick.
    from_s = HOUR_S * math.floor((now_s - PAST_S - event.duration_seconds) / HOUR_S)
    until_s = HOUR_S * math.ceil((now_s + AHEAD_S) / HOUR_S)
    try:
        begins = starts_between(
            recurrence.rrule,
            recurrence.start_on_the_wall,
            recurrence.time_zone,
            from_s,
            until_s,
            MOST_OCCURRENCES + 1,
        )
    except RecurrenceInvalid as error:
        return Expanded(event, (), f"recurrence.rrule: {error}")
    dropped = None
    if len(begins) > MOST_OCCURRENCES:
        dropped = f"more than {MOST_OCCURRENCES} occurrences at once, the later ones are left out: make it rarer"
    return Expanded(event, _declared(event, begins[:MOST_OCCURRENCES], now_s), dropped)


def _declared(event: Event, begins: Sequence[float], now_s: float) -> tuple[DeclaredEvent, ...]:
    return tuple(
        DeclaredEvent(
            name=event.name,
            starts_at_s=start_s,
            ends_at_s=start_s + event.duration_seconds,
            multiplier=event.multiplier,
            probability=event.probability,
            ramp_s=event.ramp_seconds,
        )
        for start_s in begins
        if start_s + event.duration_seconds > now_s - PAST_S
    )


def _apart(e: Expanded) -> Expanded:
    """One occurrence at a time: where one begins before the last has ended, demand would be multiplied twice."""
    if all(one.ends_at_s <= following.starts_at_s for one, following in pairwise(e.occurrences)):
        return e
    apart: list[DeclaredEvent] = []
    for one in e.occurrences:
        if not apart or one.starts_at_s >= apart[-1].ends_at_s:
            apart.append(one)
    why = "occurrences overlap, those that begin within another are left out: shorten durationSeconds or make it rarer"
    return Expanded(e.event, tuple(apart), why)


def _bounded(all_events: Sequence[Expanded]) -> tuple[Expanded, ...]:
    """Leaves out uncertain occurrences beyond `MOST_UNCERTAIN` at the same time; those that weigh most stay."""
    uncertain = [
        (one, (place, index))
        for place, e in enumerate(all_events)
        for index, one in enumerate(e.occurrences)
        if one.probability < 1.0
    ]
    uncertain.sort(key=lambda found: (-found[0].probability * abs(math.log(found[0].multiplier)), found[1]))
    kept: list[DeclaredEvent] = []
    left_out: set[tuple[int, int]] = set()
    for one, position in uncertain:
        if sum(_near(one, other) for other in kept) < MOST_UNCERTAIN:
            kept.append(one)
        else:
            left_out.add(position)
    return tuple(_without(e, {index for at, index in left_out if at == place}) for place, e in enumerate(all_events))


def _near(one: DeclaredEvent, other: DeclaredEvent) -> bool:
    return one.starts_at_s < other.ends_at_s + NEARLY_S and other.starts_at_s < one.ends_at_s + NEARLY_S


def _without(e: Expanded, indexes: set[int]) -> Expanded:
    if not indexes:
        return e
    occurrences = tuple(one for index, one in enumerate(e.occurrences) if index not in indexes)
    why = (
        f"more than {MOST_UNCERTAIN} uncertain events overlap, {len(indexes)} occurrences are left out: declare"
        " fewer, or set probability to 1"
    )
    return replace(e, occurrences=occurrences, dropped=why)
