"""The figures of an experiment, from its folder: the simulator's summary, report and timeline, marked live."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from chaos.experiments.jobs import RunKey
from chaos.experiments.problems import ExperimentError, FolderInvalid
from chaos.experiments.run_folder import read_run, run_folder
from chaos.experiments.state import STATE, RunEvent, RunState, StateFile
from chaos.load.ledger import LedgerInvalid
from simulation.reporting.files import run_files
from simulation.reporting.run_view import run_view
from simulation.scenario import Scenario
from simulation.scoring.scoreboard import score
from simulation.scoring.summary import BASELINES, Failure
from simulation.studies.experiment import Outcome, Plan, put_together
from simulation.studies.sweep import Done, Job


def scored(out: Path, scenarios: Sequence[Scenario], arms: Sequence[str], name_of: Callable[[str], str]) -> Outcome:
    """Everything that has ended so far. `arms` gives their order; a run that failed or was aborted stands in the
    summary with its reason. Raises `FolderInvalid` when nothing has ended."""
    last = {
        key: event
        for key, event in StateFile(out / STATE).last().items()
        if event.state is not RunState.BEGAN and key.scenario in {s.name for s in scenarios}
    }
    if not last:
        raise FolderInvalid(f"{out}: no run has ended yet: there is nothing to score")
    there = [s for s in scenarios if any(key.scenario == s.name for key in last)]
    found = list(dict.fromkeys((*arms, *BASELINES, *sorted(key.arm for key in last))))
    plan = Plan(
        scenarios=tuple(there),
        arms=tuple(arm for arm in found if any(key.arm == arm for key in last)),
        seeds=tuple(sorted({key.seed for key in last})),
        out=out,
        origin="live",
    )
    return put_together(plan, _done(out, plan, last, name_of))


def _done(out: Path, plan: Plan, last: Mapping[RunKey, RunEvent], name_of: Callable[[str], str]) -> Iterator[Done]:
    shown: set[tuple[str, str]] = set()
    for scenario in plan.scenarios:
        for key in sorted(key for key in last if key.scenario == scenario.name):
            done = _one(out, scenario, key, last[key], name_of)
            # The first seed that an arm has is the one that its charts show.
            if done.view is not None and (scenario.name, key.arm) in shown:
                done = replace(done, view=None)
            shown.add((scenario.name, key.arm))
            yield done


def _one(out: Path, scenario: Scenario, key: RunKey, event: RunEvent, name_of: Callable[[str], str]) -> Done:
    job = Job(scenario, key.arm, key.seed, with_files=True, with_view=True)
    if event.state is not RunState.FINISHED:
        return Done(job, failure=Failure(scenario.name, key.arm, key.seed, f"{event.state}: {event.why}"))
    try:
        result = read_run(run_folder(out, key), scenario, key, name_of)
    except (ExperimentError, LedgerInvalid, OSError) as error:
        return Done(job, failure=Failure(scenario.name, key.arm, key.seed, f"unreadable: {error}"))
    return Done(job, score=score(result), files=run_files(result), view=run_view(result))
