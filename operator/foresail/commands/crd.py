"""`foresail crd`: the definition of ResiliencePolicy, as the chart holds it."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Annotated

import typer

from foresail.commands.mistakes import refuse


def crd(
    reference: Annotated[bool, typer.Option("--reference", help="Print all fields as Markdown instead.")] = False,
) -> None:
    """Print the CustomResourceDefinition of ResiliencePolicy as YAML."""
    if find_spec("dateutil") is None:
        refuse("dateutil is not installed: install foresail with the extra `operator`")
    from foresail.resources.crd import crd_yaml
    from foresail.resources.reference import reference_markdown

    typer.echo(reference_markdown() if reference else crd_yaml(), nl=False)
