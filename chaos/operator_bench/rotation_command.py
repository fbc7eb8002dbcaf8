"""`python -m chaos.operator_bench.rotation_command`: silent pods on a cluster of this machine, until they have left."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from chaos.clusters.cluster import Cluster
from chaos.clusters.providers import BARE, running_cluster
from chaos.operator_bench.failover import Clocks
from chaos.operator_bench.live_shop import LiveShop, live_shop
from chaos.operator_bench.rotation import Departure, How, RotationFailed, departures, figure, hung_one, settled
from chaos.operator_bench.silencing import powerless, stopped, victim


def measure(
    cluster: Annotated[str, typer.Option(help="Name of a running bare cluster with both charts on it.")],
    out: Annotated[Path, typer.Option(help="File of one JSON line per pod, appended to.")],
    how: Annotated[How, typer.Option(help="How pods fall silent.")] = How.HUNG,
    times: Annotated[int, typer.Option(min=1)] = 10,
    node: Annotated[str | None, typer.Option(help="That dies; default: one without Redis, primary or leader.")] = None,
    seed: Annotated[int, typer.Option(help="Of pods and moments.")] = 1,
) -> None:
    """Silence pods again and again, and tell how long clients are still sent to them."""
    running = running_cluster(BARE, cluster, lambda _: None)
    if not running.kubeconfig.exists():
        raise typer.BadParameter(f"no cluster {cluster} is up", param_hint="--cluster")
    rng, found = random.Random(seed), []
    out.parent.mkdir(parents=True, exist_ok=True)
    try:
        with live_shop(running.kubeconfig) as shop, out.open("a", encoding="utf-8") as lines:
            for _ in range(times):
                settled(shop, Clocks())
                for one in _silenced(shop, running, how, node, rng):
                    typer.echo(f"{one.service} {one.pod} on {one.node}: {_told(one)}")
                    lines.write(json.dumps(asdict(one)) + "\n")
                    lines.flush()
                    found.append(one)
    except RotationFailed as error:
        typer.echo(f"rotation: {error}", err=True)
        raise typer.Exit(1) from None
    measured = figure(found, how)
    typer.echo(f"{measured.name}: {measured.value} {measured.unit}, {measured.verdict}; {measured.detail}")


def _silenced(shop: LiveShop, cluster: Cluster, how: How, node: str | None, rng: random.Random) -> Iterator[Departure]:
    if how is How.HUNG:
        one = hung_one(shop, rng)
        uid = shop.uid(one.pod)
        yield from departures(shop, how, frozenset({one}), lambda: stopped(uid), rng, Clocks())
        return
    dead = node or victim(shop)
    failing = frozenset(one for one in shop.endpoints() if one.node == dead)
    yield from departures(shop, how, failing, lambda: powerless(cluster, dead), rng, Clocks())


def _told(one: Departure) -> str:
    left = "still there at the limit" if one.left_s is None else f"left after {one.left_s:.2f} s"
    return f"{left} (the last one)" if one.last else left


if __name__ == "__main__":
    typer.run(measure)
