"""When recurring events begin."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from foresail.resources import recurrence
from foresail.resources.recurrence import RecurrenceInvalid, checked, parts_of, starts_between

#: The same examples in every run and no time limit: this machine may be busy.
REPEATABLE = settings(
    max_examples=60, deadline=None, derandomize=True, database=None, suppress_health_check=[HealthCheck.too_slow]
)

DAY_S = 86_400.0


def at(text, zone="UTC"):
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


def starts(rrule, start, zone, from_, until, most=100):
    return starts_between(rrule, datetime.fromisoformat(start), zone, at(from_), at(until), most)


def local(times, zone):
    return [datetime.fromtimestamp(time_s, ZoneInfo(zone)).strftime("%a %d.%m. %H:%M") for time_s in times]


def test_every_friday_evening():
    found = starts("FREQ=WEEKLY;BYDAY=FR", "2026-01-02T18:00:00", "UTC", "2026-11-20T00:00", "2026-12-05T00:00")

    assert local(found, "UTC") == ["Fri 20.11. 18:00", "Fri 27.11. 18:00", "Fri 04.12. 18:00"]


def test_stays_at_its_hour_when_clocks_change():
    # Berlin leaves summer time on 25 October 2026: 18:00 is 16:00 UTC before and 17:00 UTC after.
    found = starts("FREQ=DAILY", "2026-01-01T18:00:00", "Europe/Berlin", "2026-10-24T00:00", "2026-10-27T00:00")

    assert [datetime.fromtimestamp(time_s, UTC).hour for time_s in found] == [16, 17, 17]


def test_an_hour_that_a_change_skips_keeps_the_offset_before_it():
    # 02:30 does not exist in Berlin on 29 March 2026; with winter's offset (UTC+1) it is 01:30 UTC, 03:30 on the wall.
    found = starts("FREQ=DAILY", "2026-01-01T02:30:00", "Europe/Berlin", "2026-03-29T00:00", "2026-03-30T00:00")

    assert local(found, "Europe/Berlin") == ["Sun 29.03. 03:30"]


def test_an_hour_that_comes_twice_counts_once():
    found = starts("FREQ=DAILY", "2026-01-01T02:30:00", "Europe/Berlin", "2026-10-24T22:00", "2026-10-25T22:00")

    assert found == (at("2026-10-25T00:30"),)  # in summer time: UTC+2


def test_a_local_day_may_begin_the_day_before():
    # 03:00 in Auckland (UTC+13 in January) is 14:00 UTC of the day before.
    found = starts("FREQ=DAILY", "2026-01-01T03:00:00", "Pacific/Auckland", "2026-01-09T12:00", "2026-01-09T16:00")

    assert found == (at("2026-01-09T14:00"),)


@pytest.mark.parametrize(
    ("until", "days"),
    [
        ("20260104", [2, 3, 4]),  # a date allows its whole day
        ("20260104T090000Z", [2, 3, 4]),  # 10:00 in Berlin is 09:00 UTC
        ("20260104T085959Z", [2, 3]),
        ("20260104T100000", [2, 3, 4]),  # on the wall
        ("20260104T095959", [2, 3]),
    ],
)
def test_until_ends_it(until, days):
    found = starts(
        f"FREQ=DAILY;UNTIL={until}", "2026-01-02T10:00:00", "Europe/Berlin", "2026-01-01T00:00", "2026-02-01T00:00"
    )

    assert [datetime.fromtimestamp(time_s, UTC).day for time_s in found] == days


def test_count_counts_from_the_start_not_from_the_window():
    found = starts("FREQ=DAILY;COUNT=3", "2026-01-01T10:00:00", "UTC", "2026-01-03T00:00", "2026-02-01T00:00")

    assert found == (at("2026-01-03T10:00"),)


def test_the_last_friday_of_november():
    found = starts(
        "FREQ=YEARLY;BYMONTH=11;BYDAY=-1FR", "2026-01-01T00:00:00", "UTC", "2026-01-01T00:00", "2029-01-01T00:00"
    )

    assert local(found, "UTC") == ["Fri 27.11. 00:00", "Fri 26.11. 00:00", "Fri 24.11. 00:00"]


def test_leap_days_are_found_where_they_are():
    found = starts(
        "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=29", "2024-02-29T12:00:00", "UTC", "2026-01-01T00:00", "2029-01-01T00:00"
    )

    assert found == (at("2028-02-29T12:00"),)


def test_at_most_as_many_as_asked_for():
    found = starts("FREQ=DAILY", "2026-01-01T10:00:00", "UTC", "2026-01-01T00:00", "2027-01-01T00:00", most=5)

    assert len(found) == 5


@pytest.mark.parametrize(
    "rrule",
    ["FREQ=DAILY;BYMONTH=2;BYMONTHDAY=30", "FREQ=DAILY;INTERVAL=7;BYDAY=MO", "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2"],
)
def test_a_rule_that_never_matches_is_refused(rrule):
    # 6 January 2026 is a Tuesday.
    with pytest.raises(RecurrenceInvalid, match="never happens"):
        checked(rrule, datetime(2026, 1, 6))  # noqa: DTZ001


def test_too_many_occurrences_before_the_window_are_refused(monkeypatch):
    monkeypatch.setattr(recurrence, "MOST_PASSED", 100)

    with pytest.raises(RecurrenceInvalid, match="start it later"):
        starts("FREQ=DAILY", "2025-01-01T00:00:00", "UTC", "2026-01-01T00:00", "2026-01-02T00:00")


@pytest.mark.parametrize(
    ("rrule", "words"),
    [
        ("FREQ=SECONDLY", "use one of DAILY, WEEKLY, MONTHLY, YEARLY"),
        ("BYDAY=FR", "FREQ is missing"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY;BYSECOND=1", "BYSECOND is not supported"),
        ("FREQ=DAILY;BYEASTER=0", "BYEASTER is not supported"),
        ("FREQ=DAILY;COUNT=0", "no value for COUNT"),
        ("FREQ=DAILY;INTERVAL=99999", "no value for INTERVAL"),
        ("FREQ=DAILY;BYHOUR=24", "no value for BYHOUR"),
        ("FREQ=WEEKLY;BYDAY=1FR", "needs FREQ=MONTHLY or YEARLY"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20270101", "exclude each other"),
        ("FREQ=DAILY;UNTIL=20269901", "cannot be read"),
        ("FREQ=DAILY;DTSTART=20260101", "DTSTART is not supported"),
        ("", "not supported"),
    ],
)
def test_a_wrong_rule_names_the_part(rrule, words):
    with pytest.raises(RecurrenceInvalid, match=words):
        checked(rrule, datetime(2026, 1, 1))  # noqa: DTZ001


@pytest.mark.parametrize("year", [1969, 2301])
def test_a_start_far_away_is_refused(year):
    with pytest.raises(RecurrenceInvalid, match="start between 1970 and 2300"):
        checked("FREQ=DAILY", datetime(year, 1, 1))  # noqa: DTZ001


@REPEATABLE
@given(st.text(alphabet="FREQ=DAILYWKMOTH;BUNTIL0123456789,-+", max_size=60))
def test_any_text_is_read_or_refused(text):
    try:
        checked(text, datetime(2026, 1, 1))  # noqa: DTZ001
    except RecurrenceInvalid:
        return
    assert "FREQ" in parts_of(text)


_DAYS = st.lists(st.sampled_from(["MO", "WE", "SA", "SU"]), min_size=1, max_size=3, unique=True).map(",".join)
_RULES = st.one_of(
    st.builds("FREQ=DAILY;INTERVAL={}".format, st.integers(1, 9)),
    st.builds("FREQ=WEEKLY;INTERVAL={};BYDAY={}".format, st.integers(1, 3), _DAYS),
    st.builds("FREQ=MONTHLY;BYMONTHDAY={}".format, st.integers(1, 31)),
    st.builds("FREQ=MONTHLY;BYDAY={}SU".format, st.integers(-2, 2).filter(bool)),
)


@REPEATABLE
@given(_RULES, st.datetimes(datetime(2020, 1, 1), datetime(2026, 12, 31)), st.integers(0, 400))  # noqa: DTZ001
def test_the_last_cycle_of_the_calendar_answers_like_this_one(rule, start, days):
    start = start.replace(microsecond=0)
    begin = start + timedelta(days=days)
    expected = rrulestr(rule, dtstart=start).between(begin, begin + timedelta(days=90), inc=True)

    from_s = begin.replace(tzinfo=UTC).timestamp()
    found = starts_between(rule, start, "UTC", from_s, from_s + 90 * DAY_S + 1.0, 100)

    assert [datetime.fromtimestamp(time_s, UTC).replace(tzinfo=None) for time_s in found] == expected
