"""What commands show on a terminal: progress on stderr, scoreboards and explanations on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from simulation.reporting.explain_run import Explanation
from simulation.reporting.report_tables import Cell, score_rows
from simulation.scoring.summary import Summary
from simulation.scoring.verdict import best_arm, verdict

if TYPE_CHECKING:
    # Where load is sent from there are no sweeps, and nothing that they need.
    from simulation.studies.experiment import Outcome
    from simulation.studies.sweep import Done

SHOWN = ("downtime_s", "mttr_s", "failed_requests", "p99_ms", "orders_lost", "pod_hours", "disruptive_acts")
SHOWN_NARROW = ("downtime_s", "mttr_s", "failed_requests", "pod_hours")
WIDE = 106
PLAIN_WIDTH = 120  # where there is no terminal to ask


@contextmanager
def progress(runs: int, quiet: bool) -> Iterator[Callable[[Done], None]]:
    """A bar on stderr that counts finished runs; silent where nobody watches."""
    with counter("simulating", runs, quiet) as count:
        yield lambda done: count(f"{done.job.scenario.name} · {done.job.arm} · {done.job.seed}")


@contextmanager
def counter(description: str, total: int, quiet: bool) -> Iterator[Callable[[str], None]]:
    """A bar on stderr; each call counts one piece and says which. Silent where nobody watches."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task(description, total=total)
        yield lambda piece: bar.update(task, advance=1, description=piece)


def show(outcome: Outcome) -> None:
    """The scoreboard, the verdict and where everything was written."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    summary = outcome.summary
    console.print(scoreboard(summary, SHOWN if console.width >= WIDE else SHOWN_NARROW))
    console.print(Text(verdict(summary), style="bold"))
    for failure in summary.failures:
        line = f"failed: {failure.scenario} · {failure.arm} · seed {failure.seed}: {failure.error}"
        console.print(Text(line, style="red"))
    for path in outcome.written:
        console.print(Text(str(path)), soft_wrap=True)


def scoreboard(summary: Summary, figures: Sequence[str] = SHOWN) -> Table:
    """One row per arm: means over all runs, the best marked with a star."""
    seeds = f"{len(summary.seeds)} seed{'s' if len(summary.seeds) > 1 else ''}"
    table = Table(
        title=f"{', '.join(summary.scenarios)} · {seeds}",
        caption=f"Means over runs; × against {summary.baseline}; * is best (the oracle knows the future: not ranked).",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Arm", no_wrap=True)
    scores = score_rows(summary, figures)
    for column in scores.columns:
        table.add_column(column.heading.replace(" ", "\n"), justify="right", no_wrap=True)
    leader = best_arm(summary, "downtime_s")
    for arm, cells in scores.rows:
        table.add_row(arm, *map(_cell, cells), style="bold" if arm == leader else None)
    return table


def _cell(cell: Cell) -> Text:
    return Text(cell.text + (f" ({cell.ratio.replace(' ', '')})" if cell.ratio else "") + (" *" if cell.best else ""))


def explanation(found: Explanation, at: str) -> str:
    """The decisions of a moment as text."""
    lines = [f"{found.arm}, seed {found.seed}, at {at}:"]
    if not found.lines:
        return f"{lines[0]} nothing was decided in this run."
    if found.nearest:
        lines.append("Nothing changed in the minute before; the closest decisions are:")
    for line in found.lines:
        lines += ["", *_explained(line)]
    return "\n".join(lines)


def _explained(line: dict[str, Any]) -> Iterator[str]:
    yield f"{line['clock']}  {line['workload']}: {line['sentence']}"
    for quote in line.get("forecast", ()):
        yield (
            f"    forecast in {quote['in_s'] / 60:.0f} min: {quote['q50_rps']:.0f} req/s, "
            f"9 in 10 between {quote['q05_rps']:.0f} and {quote['q95_rps']:.0f}"
        )
    for veto in line.get("vetoes", ()):
        yield f"    held back: {veto['action']['sentence']} – {veto['because']['sentence']}"
    for action in line.get("withheld", ()):
        yield f"    not done in mode {line['mode']}: {action['sentence']}"
    refused = [a["sentence"] for a in line.get("actions", ()) if not a["took_effect"]]
    for sentence in refused:
        yield f"    did not take effect: {sentence}"
    if line["event"] == "decision":
        details = [f"decision {line['id']}", f"mode {line['mode']}"]
        if line["confidence"] is not None:
            details.append(f"confidence {line['confidence']:.2f}")
        if line["model"]:
            details.append(f"forecast by {line['model']}")
        yield f"    ({', '.join(details)})"
