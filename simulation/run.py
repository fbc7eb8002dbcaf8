"""One simulated run: a scenario under one arm with one seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.arms import arm_settings
from simulation.result import RunResult
from simulation.scenario import Scenario
from simulation.wiring import assemble


def run(scenario: Scenario, arm: str, seed: int, settings: Mapping[str, Any] | None = None) -> RunResult:
    """What the run leaves behind. The same arguments give the same result, to the last decision.

    `settings` override the arm's tuned ones. Raises `ArmUnknown` and `ArmSettingsInvalid`.
    """
    parts = assemble(scenario, arm_settings(arm, settings), seed)
    parts.schedule.run(parts.world, scenario.duration_s)
    return parts.recorder.result()
