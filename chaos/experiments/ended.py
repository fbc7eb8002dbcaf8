"""The runs of an experiment that have ended: those that can be read, and why others cannot."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from chaos.experiments.experiment import recorded_scenarios
from chaos.experiments.jobs import RunKey
from chaos.experiments.problems import FolderInvalid
from chaos.experiments.run_folder import RunFolder, run_folder
from chaos.experiments.state import STATE, RunState, StateFile
from simulation.scenario import Scenario


@dataclass(frozen=True, slots=True)
class FinishedRun:
    """A run that ended in a result, and where its rows lie."""

    scenario: Scenario
    key: RunKey
    folder: RunFolder


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run without a result, and why."""

    key: RunKey
    why: str


def ended_runs(
    out: Path, scenarios: Collection[str] = (), arms: Collection[str] = ()
) -> tuple[Sequence[FinishedRun], Sequence[LeftOut]]:
    """All runs of the experiment in a folder, in the order of its scenarios; nothing named means all of them.

    Raises `FolderInvalid` for a scenario or an arm that it has not.
    """
    recorded = {scenario.name: scenario for scenario in recorded_scenarios(out)}
    last = StateFile(out / STATE).last()
    _all_there("--scenario", scenarios, list(recorded), out)
    _all_there("--arm", arms, sorted({key.arm for key in last}), out)
    finished: list[FinishedRun] = []
    left_out: list[LeftOut] = []
    for name, scenario in recorded.items():
        if scenarios and name not in scenarios:
            continue
        for key in sorted(key for key in last if key.scenario == name and (not arms or key.arm in arms)):
            event = last[key]
            if event.state is RunState.FINISHED:
                finished.append(FinishedRun(scenario, key, run_folder(out, key)))
            else:
                left_out.append(LeftOut(key, f"{event.state}: {event.why}" if event.why else event.state.value))
    return finished, left_out


def _all_there(option: str, asked: Collection[str], there: Collection[str], out: Path) -> None:
    missing = [name for name in asked if name not in there]
    if missing:
        known = ", ".join(there) or "none"
        raise FolderInvalid(f"{option} {missing[0]}: {out} has none of that name; there are: {known}")
