"""`foresail crd`: the definition of ResiliencePolicy, as the chart holds it."""

from __future__ import annotations

from typing import Annotated

import typer


def crd(
    reference: Annotated[bool, typer.Option("--reference", help="Print all fields as Markdown instead.")] = False,
) -> None:
    """Print the CustomResourceDefinition of ResiliencePolicy as YAML."""
    from foresail.resources.crd import crd_yaml
    from foresail.resources.reference import reference_markdown

    typer.echo(reference_markdown() if reference else crd_yaml(), nl=False)
