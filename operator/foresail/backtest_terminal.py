"""What `foresail backtest` shows: a bar while it runs, then the table of all models."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from forecasting.backtesting.result_files import COLUMNS, best_names, how_measured, interval, notes, number, ranked
from forecasting.backtesting.study import ModelResult, Result
from foresail.terminal import PLAIN_WIDTH

#: Shorter headings stay on one line.
SHORT = 6


@contextmanager
def progress(models: int, quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A bar on stderr, silent where nobody watches. It takes a model, origins just done, and origins of each model."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("reading", total=None)

        def on_progress(model: str, done: int, each: int) -> None:
            bar.update(task, total=models * each, advance=done, description=f"asking {model}")

        yield on_progress


def show(result: Result) -> None:
    """The table, what it means, and who failed."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    console.print(_table(result))
    console.print(Text(how_measured(result)))
    for note in notes(result):
        console.print(Text(note, style="yellow"))


def _table(result: Result) -> Table:
    table = Table(box=SIMPLE_HEAD, title=f"Relative to {result.models[0].name}", title_justify="left")
    table.add_column("Model", no_wrap=True)
    for heading in (COLUMNS[0][0], "95 %", *(heading for heading, _, _ in COLUMNS[1:]), "hit skill", "ms / 100"):
        table.add_column(heading if len(heading) < SHORT else heading.replace(" ", "\n"), justify="right", no_wrap=True)
    best = {figure: best_names(result, figure) for _, figure, _ in COLUMNS}
    for model in ranked(result):
        table.add_row(*_cells(model, best))
    return table


def _cells(model: ModelResult, best: dict[str, frozenset[str]]) -> list[Text]:
    cells = [Text(model.name)]
    for _, figure, digits in COLUMNS:
        bold = "bold" if model.name in best[figure] else ""
        cells.append(Text(number(model.figures[figure].value, digits), style=bold))
    cells.insert(2, Text(interval(model.figures["wql"]), style="dim"))
    return [*cells, Text(number(model.hit_skill.value, 3)), Text(number(model.ms_per_100, 0))]
