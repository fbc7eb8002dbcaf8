"""Mistakes in what people gave us: one clear message and exit code 2, never a traceback."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import NoReturn

import typer

WRONG_INPUT = 2
SOME_RUNS_FAILED = 1


def refuse(message: str) -> NoReturn:
    """Ends the command: the input is wrong, `message` says how and what to do."""
    typer.echo(f"foresail: {message}", err=True)
    raise typer.Exit(WRONG_INPUT)


def make_folder(path: Path, option: str) -> None:
    """Makes the folder before any work is done, and tries to write in it."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=path):
            pass
    except OSError as error:
        refuse(f"{option} {path}: cannot be made a folder to write in: {error.strerror}")


@contextmanager
def input_checked() -> Iterator[None]:
    """Turns the errors that name a mistake in the input into a refusal; anything else is a bug and shows itself."""
    from simulation.arms import ArmSettingsInvalid, ArmUnknown
    from simulation.clock import TimeInvalid
    from simulation.reporting.explain_run import ExplanationUnavailable
    from simulation.scenario import ScenarioInvalid
    from simulation.trace import TraceInvalid

    try:
        yield
    except (
        ScenarioInvalid,
        ArmUnknown,
        ArmSettingsInvalid,
        TimeInvalid,
        ExplanationUnavailable,
        TraceInvalid,
    ) as error:
        refuse(str(error))
