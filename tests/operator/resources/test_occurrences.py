"""Which occurrences of declared events the forecaster is told of."""

from __future__ import annotations

from itertools import pairwise

import pytest
from policies_as_written import event, policy

from forecasting.forecast import DeclaredEvent
from foresail.resources.occurrences import (
    AHEAD_S,
    MOST_OCCURRENCES,
    MOST_UNCERTAIN,
    PAST_S,
    expanded,
)

# 2026-11-27T08:00:00Z
BLACK_FRIDAY_S = 1_795_766_400.0


def events(*declared):
    return policy(events=list(declared)).spec.events


def told(now_s, *declared):
    return [occurrence for found in expanded(events(*declared), now_s) for occurrence in found.occurrences]


def again(rrule="FREQ=DAILY", start="2026-01-01T08:00:00", **fields):
    return event(recurrence={"rrule": rrule, "start": start}, **fields)


def test_an_event_is_told_as_it_was_declared():
    found = told(BLACK_FRIDAY_S, event(start="2026-11-27T09:00:00+01:00", probability=0.5, rampSeconds=60))

    assert found == [
        DeclaredEvent(
            name="sale",
            starts_at_s=BLACK_FRIDAY_S,
            ends_at_s=BLACK_FRIDAY_S + 600.0,
            multiplier=3.0,
            probability=0.5,
            ramp_s=60.0,
        )
    ]


@pytest.mark.parametrize(
    ("now_s", "known"),
    [
        (BLACK_FRIDAY_S - AHEAD_S - 60.0, False),
        (BLACK_FRIDAY_S - AHEAD_S + 60.0, True),
        (BLACK_FRIDAY_S + 600.0 + PAST_S - 60.0, True),
        (BLACK_FRIDAY_S + 600.0 + PAST_S + 60.0, False),
    ],
)
def test_an_event_is_known_a_day_ahead_and_until_it_has_left_the_history(now_s, known):
    assert bool(told(now_s, event())) is known


def test_the_history_of_demand_is_shorter_than_events_are_kept():
    assert PAST_S > 512 * 15.0


def test_a_recurring_event_is_told_for_yesterday_evening_and_tomorrow_morning():
    # Around midnight: yesterday's 22:30 ended less than three hours ago, today's lies ahead, tomorrow's not yet.
    midnight_s = BLACK_FRIDAY_S - 8 * 3600.0

    found = told(midnight_s, again(start="2026-01-01T22:30:00"))

    assert [occurrence.starts_at_s - midnight_s for occurrence in found] == [-5400.0, 22.5 * 3600.0]


def test_a_long_occurrence_that_began_days_ago_is_still_told():
    found = told(
        BLACK_FRIDAY_S + 2 * 86_400.0, again("FREQ=YEARLY;BYMONTH=11;BYMONTHDAY=27", durationSeconds=5 * 86_400)
    )

    assert [occurrence.starts_at_s for occurrence in found] == [BLACK_FRIDAY_S]


def test_occurrences_are_bounded_and_that_is_said():
    often = again("FREQ=DAILY;BYHOUR=0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23;BYMINUTE=0,20,40")

    (found,) = expanded(events(often), BLACK_FRIDAY_S)

    assert len(found.occurrences) <= MOST_OCCURRENCES
    assert "make it rarer" in found.dropped


def test_an_event_never_multiplies_itself():
    (found,) = expanded(events(again(durationSeconds=36 * 3600)), BLACK_FRIDAY_S + 3600.0)

    spans = [(occurrence.starts_at_s, occurrence.ends_at_s) for occurrence in found.occurrences]
    assert all(end <= start for (_, end), (start, _) in pairwise(spans))
    assert "overlap" in found.dropped


def test_the_weightiest_uncertain_events_stay_where_too_many_overlap():
    # Each doubles what the forecaster has to work out.
    declared = [event(name=f"sale-{n}", multiplier=2 + n, probability=0.5) for n in range(MOST_UNCERTAIN + 2)]

    found = expanded(events(*declared), BLACK_FRIDAY_S)

    assert [f.event.name for f in found if not f.occurrences] == ["sale-0", "sale-1"]
    assert all("probability" in f.dropped for f in found[:2])
    assert all(f.dropped is None for f in found[2:])


def test_certain_events_may_overlap_as_they_like():
    declared = [event(name=f"sale-{n}") for n in range(MOST_UNCERTAIN + 2)]

    assert len(told(BLACK_FRIDAY_S, *declared)) == MOST_UNCERTAIN + 2


def test_a_rule_that_starts_too_long_ago_is_left_out_and_said():
    every_five_minutes = ",".join(str(minute) for minute in range(0, 60, 5))
    all_day = ",".join(str(hour) for hour in range(24))
    old = again(
        f"FREQ=DAILY;BYHOUR={all_day};BYMINUTE={every_five_minutes}", start="2020-01-01T00:00:00", durationSeconds=60
    )

    (found,) = expanded(events(old), BLACK_FRIDAY_S)

    assert found.occurrences == ()
    assert "start it later" in found.dropped
