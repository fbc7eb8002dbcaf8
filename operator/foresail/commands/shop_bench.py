"""`foresail bench-shop`: what the demo shop does on this machine, and what its failures cost."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import SOME_RUNS_FAILED, make_folder, refuse

if TYPE_CHECKING:
    from chaos.shop_bench.figure import Figure


def bench_shop(
    parts: Annotated[
        str, typer.Option(help="Which: start,page,mix,checkout,price,replica,switchover,loss,kills; default all.")
    ] = "",
    out: Annotated[Path, typer.Option(help="Folder for ledgers, records and figures.json.")] = Path("out/bench-shop"),
    seed: Annotated[int, typer.Option(help="Of load and kills.")] = 1,
    kills: Annotated[int, typer.Option(min=1, help="How many processes are killed in `kills`.")] = 100,
    times: Annotated[int, typer.Option(min=1, help="Repetitions of switchovers and losses.")] = 3,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Start the demo shop and measure it: memory, capacity, latency, failover, and orders under kills."""
    from chaos.local_shop import ShopFailed
    from chaos.shop_bench.bench import PARTS, measure

    wanted = comma_list(parts) or PARTS
    unknown = sorted(set(wanted) - set(PARTS))
    if unknown:
        refuse(f"--parts: no part is called {unknown[0]!r}; there are {', '.join(PARTS)}")
    make_folder(out, "--out")
    figures: list[Figure] = []
    failure: str | None = None
    try:
        say = (lambda _: None) if as_json else (lambda sentence: typer.echo(sentence, err=True))
        for figure in measure(out, wanted, seed=seed, kills=kills, times=times, say=say):
            figures.append(figure)
            if not as_json:
                typer.echo(_line(figure))
    except ShopFailed as error:
        failure = str(error)
    told = {"figures": [_told(figure) for figure in figures], "failure": failure}
    (out / "figures.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    if as_json:
        typer.echo(json.dumps(told))
    if failure is not None:
        typer.echo(f"foresail: {failure}", err=True)
        raise typer.Exit(SOME_RUNS_FAILED)


def _line(figure: Figure) -> str:
    value = "unknown" if figure.value is None else f"{figure.value:,.4g}"
    limits = f"at least {figure.at_least:g}, aim {figure.aim:g}"
    return f"{figure.name:<68} {value:>9} {figure.unit:<10} {limits}: {figure.verdict}"


def _told(figure: Figure) -> dict[str, Any]:
    """JSON knows no infinity: a figure without a limit has null there."""
    told = {**asdict(figure), "verdict": figure.verdict}
    return {name: None if value == float("inf") else value for name, value in told.items()}
