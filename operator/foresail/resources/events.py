"""Declared events as a policy writes them: once, or again and again by an RRULE."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Self
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from foresail.resources.recurrence import RecurrenceInvalid, checked
from foresail.resources.sections import BROKEN_RULES, Name, Rule, Section

MOST_TARGETS = 64

_DATE = r"[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])"
_TIME = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
#: With an offset: a moment.
Moment = Annotated[str, Field(pattern=rf"^{_DATE}T{_TIME}(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$", max_length=25)]
#: Without: what the clock on the wall of `timeZone` shows.
WallTime = Annotated[str, Field(pattern=rf"^{_DATE}T{_TIME}$", max_length=19)]


class Recurrence(Section):
    """Again and again, in the wall-clock time of one place."""

    rrule: str = Field(
        min_length=9,
        max_length=512,
        pattern=r"^([A-Z]+=[-+A-Z0-9,]+;)*[A-Z]+=[-+A-Z0-9,]+$",
        description="Recurrence rule of RFC 5545 without DTSTART, like `FREQ=WEEKLY;BYDAY=FR`: FREQ DAILY, WEEKLY,"
        " MONTHLY or YEARLY with INTERVAL, COUNT or UNTIL, BYDAY, BYMONTHDAY, BYMONTH, BYHOUR, BYMINUTE, BYSETPOS,"
        " WKST.",
    )
    start: WallTime = Field(description="First occurrence on the wall clock, like `2026-01-02T18:00:00`: no offset.")
    time_zone: str = Field(
        "UTC",
        min_length=1,
        max_length=64,
        pattern=r"^[A-Za-z][A-Za-z0-9_+-]*(/[A-Za-z0-9][A-Za-z0-9_+-]*){0,2}$",
        description="IANA name of the wall clock's time zone, like `Europe/Berlin`.",
    )

    @model_validator(mode="after")
    def _usable(self) -> Self:
        broken = []
        try:
            ZoneInfo(self.time_zone)
        except (KeyError, OSError, ValueError):
            message = f"timeZone {self.time_zone!r} is not known: use an IANA name such as Europe/Berlin"
            broken.append(("timeZone", message))
        try:
            checked(self.rrule, self.start_on_the_wall)
        except RecurrenceInvalid as error:
            broken.append(("rrule", f"rrule: {error}"))
        except ValueError:
            broken.append(("start", f"start {self.start} is no date: correct the day"))
        if broken:
            text = "; ".join(message for _, message in broken)
            raise PydanticCustomError(BROKEN_RULES, "{text}", {"text": text, "broken": broken})
        return self

    @property
    def start_on_the_wall(self) -> datetime:
        return datetime.fromisoformat(self.start)


class Event(Section):
    """Something people know and history does not: a sale, a campaign, a batch import."""

    rules = (
        Rule(
            cel="has(self.start) != has(self.recurrence)",
            message="an event needs start or recurrence, not both and not neither: keep one",
            field="start",
            holds=lambda e: (e.start is None) != (e.recurrence is None),
        ),
        Rule(
            cel="self.rampSeconds <= self.durationSeconds",
            message="rampSeconds is longer than durationSeconds: shorten the ramp",
            field="rampSeconds",
            holds=lambda e: e.ramp_seconds <= e.duration_seconds,
        ),
    )

    name: Name = Field(description="Shown in decisions.")
    start: Moment | None = Field(
        None,
        description="When it begins, with offset, like `2026-11-27T08:00:00+01:00`. For an event that happens once.",
    )
    recurrence: Recurrence | None = Field(None, description="When it begins, for an event that comes again and again.")
    duration_seconds: float = Field(
        ge=60.0,
        le=2_592_000.0,
        description="How long it lasts, ramp included. Keep it declared until two hours after its end.",
    )
    multiplier: float = Field(ge=0.01, le=100.0, description="Demand is multiplied by this. Below 1: less than usual.")
    probability: float = Field(1.0, ge=0.01, le=1.0, description="Chance that it takes place as declared.")
    ramp_seconds: float = Field(0.0, ge=0.0, le=86_400.0, description="Demand rises to the multiplier over this time.")
    targets: tuple[Name, ...] = Field(
        (),
        max_length=MOST_TARGETS,
        description="Names of targets whose demand it multiplies, with all that they drive. Empty: all of role Entry.",
        json_schema_extra={"x-kubernetes-list-type": "set"},
    )

    @model_validator(mode="after")
    def _start_is_a_moment(self) -> Self:
        if self.start is not None:
            try:
                datetime.fromisoformat(self.start)
            except ValueError as error:
                text = f"start {self.start} is no date: correct the day"
                raise PydanticCustomError(
                    BROKEN_RULES, "{text}", {"text": text, "broken": [("start", text)]}
                ) from error
        return self

    @property
    def starts_at_s(self) -> float | None:
        """Unix time of an event that happens once."""
        return None if self.start is None else datetime.fromisoformat(self.start).timestamp()
