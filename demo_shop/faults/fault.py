"""One fault: what is asked for, and how far it has come at a moment. Times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from demo_shop.faults.catalogue import FaultName

MOST_DURATION_S = 3_600.0


class FaultRequest(BaseModel):
    """The body of `PUT /-/faults/{name}`: reaches `magnitude` after `ramp_s`, ends by itself after `duration_s`."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)

    magnitude: float | None = Field(None, ge=0, description="unit and default: see the fault")
    ramp_s: float = Field(0.0, ge=0)
    duration_s: float = Field(gt=0, le=MOST_DURATION_S)
    seed: int = Field(0, ge=-(2**63), lt=2**63)

    @model_validator(mode="after")
    def _ramp_fits(self) -> FaultRequest:
        if self.ramp_s > self.duration_s:
            raise ValueError("ramp_s is longer than duration_s: shorten the ramp")
        return self


class Ended(StrEnum):
    DURATION = "duration"  # its time was over
    ASKED = "asked"  # somebody stopped it


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that was started."""

    name: FaultName
    magnitude: float
    ramp_s: float
    duration_s: float
    seed: int
    started_at_s: float

    @property
    def ends_at_s(self) -> float:
        return self.started_at_s + self.duration_s

    def level(self, now_s: float) -> float:
        """How far it has come, 0..1; 0 once it is over."""
        if not self.started_at_s <= now_s < self.ends_at_s:
            return 0.0
        return 1.0 if self.ramp_s == 0 else min(1.0, (now_s - self.started_at_s) / self.ramp_s)

    def level_seconds(self, now_s: float) -> float:
        """The level summed over the time since the start: what a fault that grows by the minute has grown to."""
        ran_s = min(max(0.0, now_s - self.started_at_s), self.duration_s)
        if ran_s < self.ramp_s:
            return ran_s * ran_s / (2 * self.ramp_s)
        return ran_s - self.ramp_s / 2

    def grown(self, now_s: float) -> float:
        """Magnitude per minute × time, with the ramp: MiB leaked, connections lost."""
        return self.magnitude / 60.0 * self.level_seconds(now_s)


@dataclass(frozen=True, slots=True)
class FaultState:
    """What is told about one fault. None: it never ran in this process, or has not ended."""

    name: FaultName
    meaning: str
    active: bool
    level: float
    magnitude: float | None = None
    ramp_s: float | None = None
    duration_s: float | None = None
    seed: int | None = None
    started_at: float | None = None
    ends_at: float | None = None
    stopped_at: float | None = None
    ended_because: Ended | None = None
