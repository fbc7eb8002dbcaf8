"""`foresail corpus`: training series out of simulated shops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from foresail.commands.mistakes import SOME_RUNS_FAILED, make_folder, refuse
from foresail.commands.simulate import AsJson, Jobs

FIRST_SEED = 1_000_000


def corpus(
    out: Annotated[Path, typer.Option(help="Folder for the tables and manifest.json.")],
    runs: Annotated[int, typer.Option(min=1, help="Simulated shops, a second or two each.")] = 200,
    seed: Annotated[int, typer.Option(help="The first seed; the others follow it.")] = FIRST_SEED,
    jobs: Jobs = None,
    as_json: AsJson = False,
) -> None:
    """Write training series of randomly drawn shops: CSV tables of 15 s and 60 s. Goes on where it was stopped."""
    make_folder(out, "--out")
    from foresail.terminal import counter
    from simulation.corpus import CorpusInvalid, write_corpus

    try:
        with counter("simulating", runs, quiet=as_json) as count:
            written = write_corpus(out, runs, seed, jobs, lambda run: count(f"seed {run.seed}"))
    except CorpusInvalid as error:
        refuse(str(error))
    found = sum(run.found for run in written.runs)
    new = len(written.runs) - found - len(written.failed)
    if as_json:
        failed = {str(run.seed): run.error for run in written.failed}
        typer.echo(json.dumps({"manifest": str(written.manifest), "written": new, "found": found, "failed": failed}))
    else:
        typer.echo(f"{new} runs written, {found} were there")
        typer.echo(str(written.manifest))
    for run in written.failed:
        typer.echo(f"failed: seed {run.seed}: {run.error}", err=True)
    if written.failed:
        raise typer.Exit(SOME_RUNS_FAILED)
