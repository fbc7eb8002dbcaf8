"""`foresail backtest-failures`: how early each method foresees failures at the same number of false alarms."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import make_folder, refuse

if TYPE_CHECKING:
    from rich.table import Table

    from simulation.failure_backtest import Plan, Result

#: What --quick runs: enough to see that everything works, too little to tell methods apart.
QUICK_EPISODES, QUICK_WORKLOADS, QUICK_DAYS = 24, 6, 1.0


def backtest_failures(
    seed: Annotated[int, typer.Option(min=0, max=90, help="Another seed makes other episodes.")] = 0,
    episodes: Annotated[int, typer.Option(min=10, max=10_000, help="Episodes of each split.")] = 200,
    workloads: Annotated[int, typer.Option(min=1, max=10_000, help="Healthy workloads of each split.")] = 100,
    days: Annotated[float, typer.Option(min=0.1, max=28, help="How long healthy workloads are watched.")] = 7.0,
    models: Annotated[str | None, typer.Option(help="Methods to compare, separated by commas; all: every one.")] = None,
    false_alarms_per_week: Annotated[
        float, typer.Option(min=0.01, help="For which every method is tuned, per 100 workloads.")
    ] = 1.0,
    data: Annotated[
        Path | None, typer.Option(help="Folder of measured series: counts false alarms on them too.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="A small run: shows that it works, ranks nothing.")] = False,
    out: Annotated[Path | None, typer.Option(help="Folder for JSON, tables and the reliability picture.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as JSON and nothing else.")] = False,
    jobs: Annotated[int | None, typer.Option(min=1, help="Processes at the same time; default: one per core.")] = None,
) -> None:
    """Compare failure forecasts on labelled episodes: recall, lead time and Brier score at equal false alarms."""
    from simulation.failure_backtest import DEFAULT_METHODS, METHODS, MethodUnknown, Plan, method_named

    names = DEFAULT_METHODS if models is None else tuple(METHODS) if models == "all" else _names(models)
    try:
        for name in names:
            method_named(name)
    except MethodUnknown as error:
        refuse(str(error))
    if out is not None:
        make_folder(out, "--out")
    if quick:
        episodes, workloads, days = QUICK_EPISODES, QUICK_WORKLOADS, QUICK_DAYS
    _carry_out(Plan(names, seed, episodes, workloads, days, false_alarms_per_week, jobs, data=data), out, as_json)


def _names(models: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(comma_list(models)))
    if not names:
        refuse("--models names no method: give at least one, like --models foresail,predict-linear")
    return names


def _carry_out(plan: Plan, out: Path | None, as_json: bool) -> None:
    from rich.console import Console
    from rich.progress import Progress

    from foresail.terminal import PLAIN_WIDTH
    from simulation import failure_report
    from simulation.failure_backtest import backtest, jobs
    from simulation.failure_measured import MeasuredDataMissing

    watched = Console(stderr=True)
    with Progress(console=watched, disable=as_json or not watched.is_terminal, transient=True) as bar:
        task = bar.add_task("starting", total=jobs(plan))
        try:
            result = backtest(plan, lambda done: bar.update(task, advance=1, description=done))
        except MeasuredDataMissing as error:
            refuse(str(error))
    written = () if out is None else failure_report.write(result, out)
    if as_json:
        typer.echo(json.dumps(failure_report.as_json(result)))
        return
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(_table(result))
    for path in written:
        console.print(str(path), soft_wrap=True)


def _table(result: Result) -> Table:
    """One row per method, the most recalled first."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table

    asked = result.plan.false_alarms_per_week
    table = Table(
        title=f"{result.failing} of {result.episodes} episodes fail; {result.workload_weeks:g} healthy workload-weeks",
        caption=f"Tuned on another split to {asked:g} false alarms a week per 100 workloads. "
        "Recall: the share with an alarm at least 5 minutes ahead.",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Method", no_wrap=True)
    headings = (
        "recall",
        "of leaks",
        "precision",
        "false alarms\na week",
        "median lead\nmin",
        "lead of 9 in 10\nmin",
        "Brier\n30 min",
    )
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    for method in sorted(result.methods, key=lambda m: -(m.overall.recall.mean or 0.0)):
        overall, memory = method.overall, method.by_kind["memory"]
        lead = overall.median_lead_s.mean
        table.add_row(
            method.name + (" (fell back)" if method.fell_back else ""),
            _figure(overall.recall.mean, 2),
            _figure(memory.recall.mean, 2),
            _figure(method.precision.mean, 2),
            _figure(method.false_alarms_per_week.mean, 1),
            _figure(None if lead is None else lead / 60.0, 0),
            _figure(None if overall.p10_lead_s is None else overall.p10_lead_s / 60.0, 0),
            _figure(method.chances[0].brier if method.chances else None, 4),
        )
    return table


def _figure(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
