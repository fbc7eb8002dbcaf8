"""The status of a ResiliencePolicy: for people. The operator itself never reads decisions or floors from it."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from foresail.resources.sections import list_map
from policies.model import Mode

MOST_DECISIONS = 10
MOST_FLOORS = MOST_FORECASTS = 20
MOST_TEXT = 700
MOST_CODES = 12

Text = Annotated[str, Field(max_length=MOST_TEXT)]
Code = Annotated[str, Field(max_length=512)]
Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class ConditionType(StrEnum):
    READY = "Ready"
    CONTESTED = "Contested"
    DEMAND_ABOVE_MAX = "DemandAboveMax"
    METRICS_MISSING = "MetricsMissing"
    CALIBRATION_POOR = "CalibrationPoor"
    PAUSED = "Paused"
    CONFLICT = "Conflict"


class Truth(StrEnum):
    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class Verdict(StrEnum):
    """What the measured calibration of the forecasts allows."""

    LEARNING = "Learning"  # nothing measured yet
    GOOD = "Good"
    POOR = "Poor"


class Part(BaseModel):
    """A part of the status. What an older or newer operator wrote beside it is passed over."""

    model_config = ConfigDict(
        alias_generator=to_camel, validate_by_name=True, validate_by_alias=True, frozen=True, allow_inf_nan=False
    )


class Condition(Part):
    """As `metav1.Condition`."""

    type: ConditionType = Field(description="What it is about.")
    status: Truth = Field(description="Whether it is so.")
    reason: str = Field(
        min_length=1,
        max_length=1024,
        pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
        description="Why, for programs.",
    )
    message: Annotated[str, Field(max_length=2048)] = Field(
        "", description="Why, for people, with the field and the fix."
    )
    observed_generation: int | None = Field(None, ge=0, description="Generation of the policy that it was read from.")
    last_transition_time: Time = Field(description="When `status` last changed.")


class FloorShown(Part):
    """A floor that stands now."""

    workload: str = Field(max_length=317, description="namespace/name")
    original: int | None = Field(None, description="What stood there before, and returns.")
    written: int = Field(description="What Foresail wrote.")
    expires_at: Time = Field(description="When the value before it returns unless the floor is renewed.")


class ForecastShown(Part):
    """Demand ahead, rounded; written anew when it has moved by more than a tenth, at most once a minute."""

    workload: str = Field(max_length=317, description="namespace/name")
    likely_requests_per_second: float = Field(description="Median of the highest demand within the horizon.")
    high_requests_per_second: float = Field(description="0.95 quantile of the highest demand within the horizon.")
    horizon_seconds: int = Field(description="How far ahead.")
    at: Time = Field(description="When it was forecast.")
    model: str = Field(max_length=63, description="What forecast it.")


class CalibrationShown(Part):
    """How good forecasts have been."""

    verdict: Verdict = Field(Verdict.LEARNING, description="Poor: disruptive acts that rest on forecasts are not done.")
    coverage_ratio: float | None = Field(
        None, description="Share of outcomes within the 80 % band, mean over demand forecasts."
    )
    skill: float | None = Field(
        None, description="1 - pinball loss / that of seasonal naive, mean over demand forecasts."
    )
    doubted: tuple[Code, ...] = Field((), max_length=MOST_CODES, description="Forecasts that are not trusted.")


class DecisionShown(Part):
    """A decision that said something new."""

    id: str = Field(max_length=128, description="As in logs and Events.")
    at: Time = Field(description="When it was first decided so.")
    workload: str = Field(max_length=317, description="namespace/name")
    mode: Mode = Field(description="Mode that it was decided under.")
    explanation: Text = Field(description="What was done, why, and what was held back.")
    acts: tuple[Code, ...] = Field((), max_length=MOST_CODES, description="What was done.")
    withheld: tuple[Code, ...] = Field((), max_length=MOST_CODES, description="What the mode did not let through.")
    reasons: tuple[Code, ...] = Field((), max_length=MOST_CODES, description="Why, and why not, for programs.")


class ModeShown(Part):
    """What is in force, and why."""

    in_force: Mode = Field(description="What is done now.")
    reason: str = Field(max_length=63, description="Why, for programs.")
    message: Text = Field("", description="Why, for people.")


class Status(Part):
    """What Foresail makes of the policy."""

    observed_generation: int | None = Field(None, ge=0, description="Generation of the policy that this is about.")
    mode: ModeShown | None = Field(None, description="Mode in force and why.")
    workloads: int | None = Field(None, ge=0, description="Workloads under this policy.")
    floor: str = Field("", max_length=317, description="Floors in short, for the list of policies.")
    floors: tuple[FloorShown, ...] = Field(
        (), max_length=MOST_FLOORS, description="Floors that stand now.", json_schema_extra=list_map("workload")
    )
    forecasts: tuple[ForecastShown, ...] = Field(
        (), max_length=MOST_FORECASTS, description="Demand ahead.", json_schema_extra=list_map("workload")
    )
    calibration: CalibrationShown | None = Field(None, description="How good forecasts have been.")
    decisions: tuple[DecisionShown, ...] = Field(
        (), max_length=MOST_DECISIONS, description="Last decisions that said something new, newest first."
    )
    conditions: tuple[Condition, ...] = Field(
        (), max_length=16, description="State in the usual form.", json_schema_extra=list_map("type")
    )

    def body(self) -> dict[str, object]:
        """As JSON, for the status subresource; unknown values are left out."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)
