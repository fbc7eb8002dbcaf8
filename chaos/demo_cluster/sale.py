"""A sale that people know of beforehand: the load that it brings, and how a policy is told."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from chaos.load.shapes import LoadShape
from simulation.scenario import scenario_of

RAMP_S = 15.0
LEAST_S = 60.0  # the policy allows no shorter event
_KEPT_EVENTS = 8


@dataclass(frozen=True, slots=True)
class Sale:
    """`rps` on an ordinary day, `multiplier` times that in the sale, which begins `notice_s` after the load."""

    rps: float = 6.0
    multiplier: float = 3.0
    notice_s: float = 180.0  # two minutes of demand are seen before anything is forecast
    lasts_s: float = 120.0
    after_s: float = 60.0

    @property
    def duration_s(self) -> float:
        return self.notice_s + self.lasts_s + self.after_s

    def shape(self, seed: int) -> LoadShape:
        """Of the load, from its first second to its last."""
        crowd = {
            "kind": "flash_sale",
            "start_s": self.notice_s,
            "duration_s": self.lasts_s,
            "ramp_s": RAMP_S,
            "magnitude": self.multiplier,
            "announced": True,
        }
        raw = {
            "name": "demo-sale",
            "duration_s": self.duration_s,
            "warm_up_s": 0,
            "topology": "shop",
            "load": {"rps": self.rps, "roughness": 0.0},
            "faults": [crowd],
        }
        return LoadShape(scenario_of(raw, "demo sale"), seed)

    def event(self, load_begins_at: datetime) -> dict[str, Any]:
        """For `spec.events` of a ResiliencePolicy."""
        start = load_begins_at.astimezone(UTC) + timedelta(seconds=self.notice_s)
        return {
            "name": f"sale-{start:%H%M%S}",
            "start": start.isoformat(timespec="seconds"),
            "durationSeconds": round(max(LEAST_S, self.lasts_s)),
            "rampSeconds": RAMP_S,
            "multiplier": self.multiplier,
        }

    def phase(self, elapsed_s: float) -> str:
        """Where in the run a moment lies, as people say it."""
        if elapsed_s < self.notice_s:
            return f"sale in {self.notice_s - elapsed_s:.0f} s"
        left_s = self.notice_s + self.lasts_s - elapsed_s
        return f"sale, {left_s:.0f} s left" if left_s > 0.0 else "after it"


def with_event(events: list[dict[str, Any]], event: dict[str, Any]) -> list[dict[str, Any]]:
    """Declared ones stay until they have left the history of demand; of many the oldest go."""
    return [*(kept for kept in events if kept["name"] != event["name"]), event][-_KEPT_EVENTS:]
