"""What commands show on a terminal: progress on stderr, scoreboards and explanations on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from simulation.experiment import Outcome
from simulation.explain_run import Explanation
from simulation.summary import Summary
from simulation.sweep import Done
from simulation.verdict import best_arm, verdict

#: Figure, heading, unit, decimals, higher is better.
COLUMNS = (
    ("downtime_s", "Downtime", " s", 0, False),
    ("mttr_s", "MTTR", " s", 0, False),
    ("failed_requests", "Failed", "", 0, False),
    ("p99_ms", "p99", " ms", 0, False),
    ("orders_lost", "Lost orders", "", 1, False),
    ("pod_hours", "Pod-hours", "", 1, False),
    ("disruptive_acts", "Disruptive acts", "", 1, False),
)
WITH_RATIO = ("downtime_s", "pod_hours")
PLAIN_WIDTH = 120  # where there is no terminal to ask


@contextmanager
def progress(runs: int, quiet: bool) -> Iterator[Callable[[Done], None]]:
    """A bar on stderr that counts finished runs; silent where nobody watches."""
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
        task = bar.add_task("simulating", total=runs)

        def on_done(done: Done) -> None:
            bar.update(task, advance=1, description=f"{done.job.scenario.name} · {done.job.arm} · {done.job.seed}")

        yield on_done


def show(outcome: Outcome) -> None:
    """The scoreboard, the verdict and where everything was written."""
    console = Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
    summary = outcome.summary
    console.print(scoreboard(summary))
    console.print(Text(verdict(summary), style="bold"))
    for failure in summary.failures:
        line = f"failed: {failure.scenario} · {failure.arm} · seed {failure.seed}: {failure.error}"
        console.print(Text(line, style="red"))
    for path in outcome.written:
        console.print(Text(str(path)), soft_wrap=True)


def scoreboard(summary: Summary) -> Table:
    """One row per arm: means over all runs, the best marked with a star."""
    seeds = f"{len(summary.seeds)} seed{'s' if len(summary.seeds) > 1 else ''}"
    table = Table(
        title=f"{', '.join(summary.scenarios)} · {seeds}",
        caption=f"Means over runs; × against {summary.baseline}; * is best (the oracle knows the future: not ranked).",
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("Arm")
    for _, heading, *_ in COLUMNS:
        table.add_column(heading, justify="right")
    best = {figure: best_arm(summary, figure, higher) for figure, *_, higher in COLUMNS}
    for arm in summary.arms:
        cells = [
            Text(_cell(summary, arm, figure, unit, decimals) + (" *" if best[figure] == arm else ""))
            for figure, _, unit, decimals, _ in COLUMNS
        ]
        table.add_row(arm, *cells, style="bold" if best["downtime_s"] == arm else None)
    return table


def _cell(summary: Summary, arm: str, figure: str, unit: str, decimals: int) -> str:
    mean = summary.mean(arm, figure)
    if mean is None:
        return "–"
    text = f"{mean:,.{decimals}f}{unit}"
    if figure in WITH_RATIO and arm != summary.baseline:
        ratio = summary.comparison(arm, summary.baseline, figure).ratio
        text += f" ({ratio:.2f}×)" if ratio is not None else ""
    return text


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
