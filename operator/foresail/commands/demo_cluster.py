"""`foresail demo-cluster`: a real cluster, the shop, Foresail over it, and a declared sale to look at."""

from __future__ import annotations

import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.mistakes import make_folder, refuse
from foresail.commands.stopwatch import said_with_time

if TYPE_CHECKING:
    from chaos.demo_cluster.running import Course
    from chaos.demo_cluster.sale import Sale

COULD_NOT = 3
DEFAULT_NAME = "foresail"  # of `foresail cluster` too


def demo_cluster(
    name: Annotated[str, typer.Option(help="Of the cluster, as in `foresail cluster`.")] = DEFAULT_NAME,
    rps: Annotated[float, typer.Option(min=1.0, max=200.0, help="Requests per second on an ordinary day.")] = 6.0,
    multiplier: Annotated[float, typer.Option(min=1.1, max=20.0, help="How many times that in the sale.")] = 3.0,
    sale_s: Annotated[float, typer.Option(min=60.0, max=1800.0, help="How long the sale lasts.")] = 120.0,
    out: Annotated[Path, typer.Option(help="Folder for the load's summary and ledger.")] = Path("out/demo-cluster"),
    no_sale: Annotated[bool, typer.Option("--no-sale", help="Install everything and stop there.")] = False,
) -> None:
    """Bring a cluster up with the shop and Foresail in Enforce, hold a sale, show what happens. Needs root."""
    from chaos.clusters.cluster import ClusterFailed
    from chaos.clusters.images.archive import ImageInvalid
    from chaos.clusters.plan import PlanInvalid
    from chaos.demo_cluster.sale import Sale
    from chaos.load.catalogue import CatalogueUnavailable
    from chaos.load.run import LoadFailed

    make_folder(out, "--out")
    sale = Sale(rps=rps, multiplier=multiplier, lasts_s=sale_s)
    try:
        course = _held(name, sale, out, no_sale)
    except (PlanInvalid, ImageInvalid) as error:
        refuse(str(error))
    except (ClusterFailed, CatalogueUnavailable, LoadFailed) as error:
        typer.echo(f"foresail: {error}", err=True)
        raise typer.Exit(COULD_NOT) from None
    if course is not None and course.floor_after_s is None:
        raise typer.Exit(COULD_NOT)


def _held(name: str, sale: Sale, out: Path, no_sale: bool) -> Course | None:
    from chaos.clusters.providers import folders_here
    from chaos.demo_cluster.installing import brought_up
    from chaos.demo_cluster.places import opened, where_to_look
    from chaos.demo_cluster.running import declared_and_run

    say = said_with_time()
    stop = "make cluster-down" if name == DEFAULT_NAME else f"foresail cluster down --name {name}"
    with TemporaryDirectory(prefix="foresail-demo-") as home:
        cluster, tools = brought_up(name, folders_here(os.environ), Path(home), say)
        places = opened(cluster, tools)
        say("everything runs\n")
        look = "\n".join(where_to_look(places, tools.kubectl.kubeconfig, tools.kubectl.program, stop))
        typer.echo(f"{look}\n")
        if no_sale:
            return None
        course = declared_and_run(tools, places, sale, out, say, typer.echo)
    _tell(course, sale, out)
    typer.echo(f"\nThe cluster goes on. {look}")
    return course


def _tell(course: Course, sale: Sale, out: Path) -> None:
    """What came of it, the bad as plainly as the good."""
    summary = course.summary
    typer.echo("")
    if course.floor_after_s is None:
        why = course.explanation or "nothing was decided about the gateway; see kubectl describe rp shop -n shop"
        typer.echo(f"No floor of Foresail's stood. Its last word: {why}")
    else:
        ahead_s = sale.notice_s - course.floor_after_s
        when = f"{ahead_s:.0f} s before the sale" if ahead_s > 0 else f"{-ahead_s:.0f} s into the sale"
        typer.echo(f"Foresail's floor stood {when}, at most {course.highest_floor} pods.")
    failed = sum(seen.failed for seen in summary.by_operation.values())
    typer.echo(
        f"{summary.offered} requests offered, {failed} failed, visitors saw {summary.uptime.downtime_s} s of downtime; "
        f"{summary.orders.acknowledged} orders. {out / 'summary.json'}"
    )
