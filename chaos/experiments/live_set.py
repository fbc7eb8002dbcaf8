"""The set of scenarios that fit a test cluster: files like the simulator's own, which run there and live."""

from __future__ import annotations

from pathlib import Path

from simulation.scenario import SCENARIOS, shipped_scenarios

LIVE_SCENARIOS = Path(__file__).parents[1] / "scenarios"
#: Where names of scenarios are looked up: the simulator's first.
NAMED_IN = (SCENARIOS, LIVE_SCENARIOS)


def live_scenarios() -> tuple[str, ...]:
    """Names of the set, in order."""
    return shipped_scenarios((LIVE_SCENARIOS,))
