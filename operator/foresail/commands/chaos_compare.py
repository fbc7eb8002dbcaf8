"""`foresail chaos compare`: finished live runs beside the same runs in the simulator."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.chaos import mistakes
from foresail.commands.mistakes import SOME_RUNS_FAILED, make_folder, refuse

if TYPE_CHECKING:
    from chaos.comparison.table import Comparison
    from chaos.experiments.ended import FinishedRun, LeftOut
    from chaos.experiments.experiment import LoadPlayed
    from simulation.topology import Topology


def compare(
    out: Annotated[Path, typer.Argument(help="The folder of an experiment.")],
    topology: Annotated[
        str | None, typer.Option(help="What `foresail calibrate` wrote; default: each scenario's own.")
    ] = None,
    seeds: Annotated[int | None, typer.Option(min=1, help="At most so many of each arm's; default: all.")] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this one; may be given again.")] = None,
    into: Annotated[Path | None, typer.Option(help="Folder for the two files; default: the experiment's.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Runs at the same time; default: one per core.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the comparison as JSON and nothing else.")] = False,
) -> None:
    """Simulate an experiment's finished runs, same load, arms and seeds, and say how far the simulator is from them;
    writes comparison.json and comparison.md."""
    from chaos.comparison.written import comparison_json, comparison_page
    from chaos.experiments.ended import ended_runs
    from chaos.experiments.experiment import recorded_load
    from simulation.reporting.files import write_json
    from simulation.scenario import load_topology

    with mistakes():
        measured = None if topology is None else load_topology(topology)
        finished, left_out = ended_runs(out, scenario or (), arm or ())
        if not finished and not left_out:
            refuse(f"{out}: no run has begun yet: there is nothing to compare")
        folder = into or out
        make_folder(folder, "--into")
        made = _compared(_first_seeds(finished, seeds), left_out, recorded_load(out), measured, jobs, as_json)
    told = comparison_json(made)
    page = comparison_page(made)
    write_json(folder / "comparison.json", told)
    (folder / "comparison.md").write_text(page, encoding="utf-8")
    typer.echo(json.dumps(told, allow_nan=False) if as_json else page, nl=as_json)
    if made.left_out:
        raise typer.Exit(SOME_RUNS_FAILED)


def _first_seeds(finished: Sequence[FinishedRun], seeds: int | None) -> list[FinishedRun]:
    """The first so many of each scenario and arm, in their order."""
    kept: Counter[tuple[str, str]] = Counter()
    chosen = []
    for run in sorted(finished, key=lambda run: run.key.seed):
        kept[run.key.scenario, run.key.arm] += 1
        if seeds is None or kept[run.key.scenario, run.key.arm] <= seeds:
            chosen.append(run)
    return sorted(chosen, key=finished.index)


def _compared(
    finished: Sequence[FinishedRun],
    left_out: Sequence[LeftOut],
    load: LoadPlayed,
    measured: Topology | None,
    jobs: int | None,
    quiet: bool,
) -> Comparison:
    from chaos.comparison.pairs import Pair, Twin, pairs, scaled_services, twins
    from chaos.comparison.table import compared
    from chaos.experiments.ended import LeftOut
    from foresail.terminal import counter

    read = list(twins(finished, load))
    found = [one for one in read if isinstance(one, Twin)]
    made: list[Pair | LeftOut] = []
    with counter("simulating", len(found), quiet) as count:
        for one in pairs(found, measured, jobs):
            made.append(one)
            count(str(one.key))
    return compared(
        [one for one in made if isinstance(one, Pair)],
        {twin.scenario.name: scaled_services(twin.scenario.topology) for twin in found},
        [*left_out, *(one for one in (*read, *made) if isinstance(one, LeftOut))],
    )
