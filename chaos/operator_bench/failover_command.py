"""`python -m chaos.operator_bench.failover_command`: handovers of an operator on a cluster of this machine."""

from __future__ import annotations

import random
from typing import Annotated

import typer

from chaos.clusters.providers import BARE, running_cluster
from chaos.operator_bench.failover import FailoverFailed, Handover, How, figure, handovers
from chaos.operator_bench.live_operator import installed_operator


def measure(
    cluster: Annotated[str, typer.Option(help="Name of a running bare cluster with Foresail on it.")],
    how: Annotated[How, typer.Option(help="How the leader ends.")] = How.KILLED,
    times: Annotated[int, typer.Option(min=1)] = 10,
    namespace: Annotated[str, typer.Option(help="Where the operator is installed.")] = "foresail",
    seed: Annotated[int, typer.Option(help="Of the moments within a tick.")] = 1,
) -> None:
    """End the leader again and again, and tell how long it takes until another replica has acted."""
    kubeconfig = running_cluster(BARE, cluster, lambda _: None).kubeconfig
    if not kubeconfig.exists():
        raise typer.BadParameter(f"no cluster {cluster} is up", param_hint="--cluster")
    found: list[Handover] = []
    try:
        with installed_operator(kubeconfig, namespace) as operator:
            for one in handovers(operator, how, times, random.Random(seed)):
                typer.echo(f"{one.before} {how.value}: led after {one.led_s:.1f} s, acted after {one.acted_s:.1f} s")
                found.append(one)
    except FailoverFailed as error:
        typer.echo(f"failover: {error}", err=True)
        raise typer.Exit(1) from None
    measured = figure(found, how)
    typer.echo(f"{measured.name}: {measured.value:.2f} {measured.unit}, {measured.verdict}; {measured.detail}")


if __name__ == "__main__":
    typer.run(measure)
