"""`foresail models`: what the registry of own models holds, and the way back."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from foresail.commands.train import REGISTRY, training_checked

app = typer.Typer(
    help="Own models: which there are, which signals they forecast, and the way back.",
    no_args_is_help=True,
    rich_markup_mode=None,
)
Folder = Annotated[Path, typer.Option("--out", help="Folder of the registry of models.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the registry as JSON and nothing else.")]


@app.command("list")
def list_models(out: Folder = REGISTRY, as_json: AsJson = False) -> None:
    """Show every model, how it did, and the signals that it forecasts now; checks all files of those in use."""
    from forecasting.own_models.registry import problems, read_registry

    with training_checked():
        manifest = read_registry(out)
        wrong = problems(out, manifest)
    if as_json:
        typer.echo(json.dumps({**asdict(manifest), "problems": wrong}))
        return
    from foresail.models_terminal import show_registry

    show_registry(manifest, wrong)


@app.command("rollback")
def rollback(
    to: Annotated[int | None, typer.Option(help="Number of a promotion set; default: the one before.")] = None,
    out: Folder = REGISTRY,
    as_json: AsJson = False,
) -> None:
    """Serve what was promoted before; with nothing before it, the default forecasts everything again."""
    from forecasting.own_models.registry import rolled_back

    with training_checked():
        manifest = rolled_back(out, to)
    if as_json:
        typer.echo(json.dumps(asdict(manifest)))
        return
    now = "the default forecasts everything" if manifest.active is None else f"set {manifest.active} is active"
    typer.echo(f"{now}: {len(manifest.promoted)} signals have models of their own")


@app.command("remove")
def remove(
    model: Annotated[str, typer.Argument(help="Name of a model, as `foresail models list` shows it.")],
    out: Folder = REGISTRY,
) -> None:
    """Delete a model that is not in use."""
    from forecasting.own_models.registry import removed

    with training_checked():
        removed(out, model)
    typer.echo(f"{model} is removed")
