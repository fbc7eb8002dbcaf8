"""One simulated run: a scenario under one arm with one seed."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from simulation.arms import arm_settings
from simulation.result import RunResult
from simulation.scenario import Scenario
from simulation.traffic import Traffic
from simulation.wiring import assemble


class TooManyInProgress(Exception):
    """More requests were under way at once than the engine can follow, so some failed for no reason of the shop's."""


def run(
    scenario: Scenario,
    arm: str,
    seed: int,
    settings: Mapping[str, Any] | None = None,
    traffic: Traffic | None = None,
) -> RunResult:
    """What the run leaves behind. The same arguments give the same result, to the last decision.

    `settings` override the arm's tuned ones, `traffic`, not used before, the scenario's clients. Raises `ArmUnknown`,
    `ArmSettingsInvalid` and `TooManyInProgress`.
    """
    parts = assemble(scenario, arm_settings(arm, settings), seed, traffic)
    parts.schedule.run(parts.world, scenario.duration_s)
    if parts.world.engine.refused_full:
        raise TooManyInProgress(
            f"{parts.world.engine.refused_full} requests found no room among those that can be followed at once: "
            "lower the load, the patience or the queues"
        )
    return parts.recorder.result()
