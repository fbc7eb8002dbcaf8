"""`foresail calibrate`: what live runs say about the simulator's shop."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.chaos import mistakes
from foresail.commands.mistakes import make_folder, refuse

if TYPE_CHECKING:
    from chaos.calibration.observed import Observed
    from chaos.experiments.ended import FinishedRun
    from chaos.experiments.jobs import RunKey
    from simulation.topology import Topology


def calibrate(
    out: Annotated[Path, typer.Argument(help="The folder of a live experiment.")],
    to: Annotated[Path, typer.Option("--out", help="The topology file to write.")],
    topology: Annotated[
        str | None, typer.Option(help="A file or a shipped topology to start from; default: the experiment's own.")
    ] = None,
    scenario: Annotated[list[str] | None, typer.Option(help="Only this one's runs; may be given again.")] = None,
    arm: Annotated[list[str] | None, typer.Option(help="Only this one's runs; may be given again.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the fits as JSON and nothing else.")] = False,
) -> None:
    """Measure what requests cost, how fast pods come and go and how long requests take on finished live runs, and write
    a topology with it for the simulator. What rows cannot tell stays as it was, and is named."""
    from chaos.calibration.calibrated import calibrated
    from chaos.calibration.written import fit_line, fits_json, topology_file
    from chaos.experiments.ended import ended_runs

    with mistakes():
        finished, left_out = ended_runs(out, scenario or (), arm or ())
        start = _start(topology, finished, out)
        runs, unread = _read(finished)
        if not runs:
            refuse(f"{out}: no finished run can be read: there is nothing to measure{_first_reason(unread)}")
        make_folder(to.parent, "--out")
        found = calibrated(start, runs)
    keys = [run.key for run in runs]
    to.write_text(topology_file(found, keys), encoding="utf-8")
    if as_json:
        reasons = [*((left.key, left.why) for left in left_out), *unread]
        typer.echo(json.dumps(fits_json(found, keys, reasons), allow_nan=False))
        return
    for fit in found.fits:
        said = "measured" if fit.used else "told" if fit.told else "as it was"
        typer.echo(f"{said:>10}  {fit_line(fit)}")
    for key, why in [*((left.key, left.why) for left in left_out), *unread]:
        typer.echo(f"{'not used':>10}  {key}: {why}")
    typer.echo(f"{len(found.used)} parameters of {len(runs)} runs: {to}")


def _start(topology: str | None, finished: Sequence[FinishedRun], out: Path) -> Topology:
    from simulation.scenario import load_topology

    if topology is not None:
        return load_topology(topology)
    own = [run.scenario.topology for run in finished]
    if not own:
        refuse(f"{out}: no run has finished: there is nothing to measure")
    if any(one != own[0] for one in own):
        refuse(f"{out}: its scenarios are of different topologies: give the one to start from with --topology")
    return own[0]


def _read(finished: Sequence[FinishedRun]) -> tuple[list[Observed], list[tuple[RunKey, str]]]:
    from chaos.calibration.observed import observed
    from chaos.experiments.problems import ExperimentError

    runs, unread = [], []
    for one in finished:
        try:
            runs.append(observed(one))
        except (ExperimentError, OSError) as error:
            unread.append((one.key, f"unreadable: {error}"))
    return runs, unread


def _first_reason(unread: Sequence[tuple[RunKey, str]]) -> str:
    return f" ({unread[0][0]}: {unread[0][1]})" if unread else ""
