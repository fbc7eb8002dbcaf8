"""How load changes over time. A shape is a scenario's load and crowds: simulator and live shop get the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from forecasting.forecast import Floats
from simulation.scenario import Scenario, scenario_of
from simulation.scenario import Trace as TraceSpec
from simulation.trace import read_trace
from simulation.traffic import Traffic

SURGE_S = 5.0  # a flash sale and a spike reach their height in so long
SALE_FACTOR = 10.0
SPIKE_FACTOR = 4.0
SPIKES = 4
STAIRS = 5
DAY_AMPLITUDE = 0.6
RAMP_FACTOR = 3.0


class ShapeInvalid(Exception):
    """A shape that cannot be made; the message names the field and the fix."""


@dataclass(frozen=True, slots=True)
class LoadShape:
    """The rate of requests over a run, from a scenario: `faster` compresses its time, `scale` multiplies its rate.

    `lead_in_s` is how much of the scenario's warm-up is played before its t = 0. Before that, over `settle_s`, a shop
    that nobody visited so far gets used to the rate with which the warm-up begins: it is reached, evenly, in half the
    time.
    """

    scenario: Scenario
    seed: int
    faster: float = 1.0
    scale: float = 1.0
    lead_in_s: float = 0.0
    settle_s: float = 0.0

    @property
    def zero_s(self) -> float:
        """When the scenario's t = 0 is, after the start."""
        return (self.settle_s + self.lead_in_s) / self.faster

    @property
    def duration_s(self) -> float:
        return self.zero_s + self.scenario.duration_s / self.faster

    def rates_rps(self) -> Callable[[Floats], Floats]:
        """The true rate, crowds and slow noise included, of times since the start."""
        traffic = Traffic(self.scenario, self.seed)

        def rates(times_s: Floats) -> Floats:
            at_s = (times_s - self.zero_s) * self.faster
            played = traffic.rate_rps(np.maximum(at_s, -self.lead_in_s)) * self.scale
            return np.asarray(played * self._opened(times_s * self.faster))

        return rates

    def _opened(self, after_s: Floats) -> Floats | float:
        """The share of the visitors that come already."""
        return np.clip(2.0 * after_s / self.settle_s, 0.0, 1.0) if self.settle_s > 0.0 else 1.0

    def declared_events(self, started_at: datetime) -> list[dict[str, Any]]:
        """What people announced beforehand, as records that go beside the load and to a policy."""
        records = []
        for event in Traffic(self.scenario, self.seed).declared_events():
            starts_at_s, ends_at_s = (self.zero_s + at_s / self.faster for at_s in (event.starts_at_s, event.ends_at_s))
            records.append(
                {
                    "name": event.name,
                    "starts_at": _clock(started_at, starts_at_s),
                    "ends_at": _clock(started_at, ends_at_s),
                    "starts_at_s": starts_at_s,
                    "ends_at_s": ends_at_s,
                    "ramp_s": event.ramp_s / self.faster,
                    "multiplier": event.multiplier,
                }
            )
        return records


def _clock(started_at: datetime, after_s: float) -> str:
    return (started_at.astimezone(UTC) + timedelta(seconds=after_s)).isoformat(timespec="milliseconds")


def shaped(kind: str, rps: float, duration_s: float, seed: int, announced: bool = False) -> LoadShape:
    """A shape by name at a base rate of `rps`. Raises `ShapeInvalid`, or `ScenarioInvalid` for a wrong number."""
    if kind not in SHAPES:
        raise ShapeInvalid(f"no shape is called {kind!r}: use one of {', '.join(SHAPES)}, a trace or a scenario")
    if announced and kind not in ("flash-sale", "spikes"):
        raise ShapeInvalid(f"a {kind} load has no event to announce: use flash-sale or spikes")
    load, crowds = SHAPES[kind](rps, duration_s)
    crowds = [{**crowd, "announced": announced} for crowd in crowds]
    return LoadShape(_scenario(kind, load, crowds, duration_s), seed)


def replayed(trace: TraceSpec, seed: int, duration_s: float | None = None) -> LoadShape:
    """A measured request rate, from its beginning. Raises `TraceInvalid`."""
    lasts_s = read_trace(trace).duration_s
    wanted_s = lasts_s if duration_s is None else min(duration_s, lasts_s)
    return LoadShape(_scenario("trace", {"trace": trace.model_dump()}, [], wanted_s), seed)


def _scenario(name: str, load: dict[str, Any], crowds: list[dict[str, Any]], duration_s: float) -> Scenario:
    raw = {
        "name": name,
        "duration_s": duration_s,
        "warm_up_s": 0,
        "topology": "shop",
        "load": {"roughness": 0.0, **load},
        "faults": crowds,
    }
    return scenario_of(raw, f"--shape {name}")


Parts = tuple[dict[str, Any], list[dict[str, Any]]]


def _constant(rps: float, duration_s: float) -> Parts:
    return {"rps": rps}, []


def _diurnal(rps: float, duration_s: float) -> Parts:
    """A day in the time of the run: the trough at its ends, the peak in its middle, `rps` on average."""
    day = {"period_s": max(1.0, duration_s), "amplitude": DAY_AMPLITUDE, "peak_at_s": duration_s / 2.0}
    return {"rps": rps, "diurnal": day}, []


def _flash_sale(rps: float, duration_s: float) -> Parts:
    """In the middle third ten times as many come, within 5 s."""
    return {"rps": rps}, [_crowd(duration_s / 3.0, duration_s / 3.0, SALE_FACTOR)]


def _ramp(rps: float, duration_s: float) -> Parts:
    return {"rps": rps, "knots": [[0.0, 1.0], [duration_s, RAMP_FACTOR]]}, []


def _spikes(rps: float, duration_s: float) -> Parts:
    """Four short crowds at equal distances, each a quarter of its period long."""
    period_s = duration_s / SPIKES
    return {"rps": rps}, [_crowd((i + 0.5) * period_s, period_s / 4.0, SPIKE_FACTOR) for i in range(SPIKES)]


def _staircase(rps: float, duration_s: float) -> Parts:
    return {"rps": rps, "staircase": [float(step) for step in range(1, STAIRS + 1)]}, []


def _crowd(start_s: float, duration_s: float, factor: float) -> dict[str, Any]:
    ramp_s = min(SURGE_S, duration_s)
    return {
        "kind": "flash_sale",
        "start_s": start_s,
        "duration_s": duration_s,
        "ramp_s": ramp_s,
        "magnitude": factor,
    }


SHAPES: dict[str, Callable[[float, float], Parts]] = {
    "constant": _constant,
    "diurnal": _diurnal,
    "flash-sale": _flash_sale,
    "ramp": _ramp,
    "spikes": _spikes,
    "staircase": _staircase,
}
