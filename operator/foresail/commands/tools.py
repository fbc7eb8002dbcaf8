"""Small commands: shipped scenarios, their schema, HPA replays and benchmarks."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.commands.mistakes import refuse

BENCHES = ("sim", "tick", "forecast", "serving", "all")


def scenarios() -> None:
    """List the shipped scenarios, one line each. Those called live-… fit a test cluster (`foresail chaos run`)."""
    from chaos.experiments.live_set import NAMED_IN
    from simulation.scenario import load_scenario, shipped_scenarios

    for name in shipped_scenarios(NAMED_IN):
        first = load_scenario(name, NAMED_IN).description.partition(". ")[0].rstrip(".")
        typer.echo(f"{name:<28} {' '.join(first.split())}")


def schema() -> None:
    """Print the JSON Schema of scenario files, for editors."""
    from simulation.scenario import scenario_json_schema

    typer.echo(scenario_json_schema(), nl=False)


def hpa_replay(cases: Annotated[Path, typer.Argument(help="A JSON file of HPA cases.")]) -> None:
    """Answer HPA cases with our HPA: one JSON line per case."""
    from simulation.hpa.cases import HpaCasesInvalid
    from simulation.hpa.replay import replay_file

    try:
        for answer in replay_file(cases):
            typer.echo(json.dumps(answer))
    except HpaCasesInvalid as error:
        refuse(str(error))


def bench(
    what: Annotated[str, typer.Argument(help="sim, tick, forecast, serving or all.")] = "all",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON and nothing else.")] = False,
) -> None:
    """Measure this machine: simulation speed, a control tick, a forecast, how it is served."""
    if what not in BENCHES:
        refuse(f"no benchmark is called {what!r}: use one of {', '.join(BENCHES)}")
    import simulation.studies.benchmark as benchmark

    measured: dict[str, Any] = {}
    for name, measure in (
        ("sim", benchmark.bench_sim),
        ("tick", benchmark.bench_tick),
        ("forecast", benchmark.bench_forecast),
        ("serving", benchmark.bench_serving),
    ):
        if what in (name, "all"):
            measured.update(measure())
    if as_json:
        typer.echo(json.dumps(measured))
        return
    for group, figures in measured.items():
        for name, value in figures.items():
            typer.echo(
                f"{group:<10} {name:<36} {value:,.6g}"
                if isinstance(value, int | float)
                else f"{group:<10} {name:<36} {value}"
            )
