"""`foresail bench-operator`: what the operator costs on this machine, without a cluster."""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import SOME_RUNS_FAILED, make_folder, refuse

if TYPE_CHECKING:
    from chaos.shop_bench.figure import Figure

_MOST_WORKLOADS = 100_000


def bench_operator(
    sizes: Annotated[str, typer.Option(help="Workloads of each run, separated by commas.")] = "100,1000",
    ticks: Annotated[int, typer.Option(min=1, help="Ticks of 15 s that are measured at each size.")] = 12,
    out: Annotated[Path, typer.Option(help="Folder for logs and figures.json.")] = Path("out/bench-operator"),
    image: Annotated[
        Path | None, typer.Option(help="Archive of the operator's image; default: the cached one.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Run the operator against stand-ins and measure it: a tick, queries, memory, CPU, requests, image."""
    from chaos.clusters.folders import ClusterFolders, cache_folder
    from chaos.operator_bench.bench import image_size, machine, measure
    from chaos.operator_bench.processes import BenchFailed

    chosen = _sizes(sizes)
    make_folder(out, "--out")
    archive = image or ClusterFolders(cache_folder(os.environ)).images / "foresail.tar"
    figures: list[Figure] = []
    failure: str | None = None

    def found(figure: Figure) -> None:
        figures.append(figure)
        if not as_json:
            typer.echo(_line(figure))

    try:
        for figure in measure(out, chosen, ticks, lambda said: None if as_json else typer.echo(said, err=True)):
            found(figure)
        found(image_size(archive))
    except BenchFailed as error:
        failure = str(error)
    told = {"machine": machine(), "figures": [_told(figure) for figure in figures], "failure": failure}
    (out / "figures.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told))
    if failure is not None:
        typer.echo(f"foresail: {failure}", err=True)
        raise typer.Exit(SOME_RUNS_FAILED)


def _sizes(text: str) -> tuple[int, ...]:
    sizes = []
    for part in comma_list(text):
        if not part.isdecimal() or not 0 < int(part) <= _MOST_WORKLOADS:
            refuse(f"--sizes: {part!r} is no number of workloads from 1 to {_MOST_WORKLOADS}")
        sizes.append(int(part))
    return tuple(sizes)


def _line(figure: Figure) -> str:
    value = "unknown" if figure.value is None else f"{figure.value:,.4g}"
    limits = (
        "" if figure.at_least == float("inf") else f"at least {figure.at_least:g}, aim {figure.aim:g}: {figure.verdict}"
    )
    return f"{figure.name:<56} {value:>9} {figure.unit:<4} {limits}".rstrip()


def _told(figure: Figure) -> dict[str, Any]:
    """JSON knows no infinity: a figure without a limit has null there, and no verdict."""
    told = {**asdict(figure), "verdict": figure.verdict}
    if figure.at_least == float("inf"):
        told |= {"at_least": None, "aim": None, "verdict": None}
    return told
