"""`foresail explain`: why the controller did what it did at a time of a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from foresail.commands.mistakes import input_checked


def explain(
    folder: Annotated[Path, typer.Argument(help="The --out folder of a finished run.")],
    at: Annotated[str, typer.Option(help="Clock time in the run, like 12:31.")],
    arm: Annotated[str | None, typer.Option(help="Default: foresail.")] = None,
    seed: Annotated[int | None, typer.Option(help="Default: the first seed.")] = None,
) -> None:
    """Print what was decided at a time: the reasons, the forecast, what was held back and why."""
    from foresail.terminal import explanation
    from simulation.reporting.explain_run import explain_run

    with input_checked():
        found = explain_run(folder, at, arm, seed)
    typer.echo(explanation(found, at))
