"""What load and reconciliation show on a terminal: a live line on stderr, tables on stdout."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from chaos.load.reconcile import Mistake, Reconciliation
from chaos.load.run import Progress as LoadProgress
from chaos.load.summary import LoadSummary
from foresail.terminal import PLAIN_WIDTH


@contextmanager
def live(quiet: bool) -> Iterator[Callable[[LoadProgress], None]]:
    """A line that follows the run; silent where nobody watches."""
    console = Console(stderr=True)
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=20),
        TimeRemainingColumn(),
        console=console,
        disable=quiet or not console.is_terminal,
        transient=True,
    ) as bar:
        task = bar.add_task("starting", total=None)

        def watch(now: LoadProgress) -> None:
            p99 = "–" if now.p99_ms is None else f"{now.p99_ms:.0f} ms"
            text = f"{now.rps:5.0f}/s · p99 {p99} · in flight {now.in_flight} · ok {now.ok} · failed {now.failed}"
            if now.skipped:
                text += f" · skipped {now.skipped}"
            bar.update(task, total=now.duration_s, completed=now.elapsed_s, description=text)

        yield watch


def show_load(summary: LoadSummary, out: Path, ledger: Path) -> None:
    """Latencies by operation, then what became of requests, orders and the probe."""
    console = _console()
    ending = ", ended early" if summary.stopped_early else ""
    console.print(
        f"{summary.offered} requests offered in {summary.duration_s:.0f} s{ending}: "
        f"{summary.offered_rps:.1f}/s, {summary.achieved_rps:.1f}/s answered properly",
        style="bold",
        soft_wrap=True,
    )
    table = _table(("count", "failed", "p50\nms", "p95\nms", "p99\nms"))
    for name, seen in summary.by_operation.items():
        latencies = (_figure(value) for value in (seen.p50_ms, seen.p95_ms, seen.p99_ms))
        table.add_row(name, str(seen.count), str(seen.failed), *latencies)
    console.print(table)
    for line in _sentences(summary):
        console.print(line, soft_wrap=True)
    console.print(f"{out / 'summary.json'}, {ledger}", soft_wrap=True)


def _sentences(summary: LoadSummary) -> Iterator[str]:
    statuses = ", ".join(f"{status} × {count}" for status, count in summary.by_status.items())
    yield f"sent {summary.sent}, late {summary.late}, skipped {summary.skipped}, blocked {summary.blocked}: {statuses}"
    orders = summary.orders
    because = ", ".join(f"{reason} {count}" for reason, count in orders.rejected_because.items())
    yield (
        f"orders: {orders.attempted} attempted, {orders.acknowledged} acknowledged, {orders.rejected} rejected"
        f"{f' ({because})' if because else ''}, {orders.unknown} unknown, {orders.retries} retries"
    )
    up = summary.uptime
    yield f"clients: {up.downtime_s} s down, {up.up_s} s up, {up.unknown_s} s without traffic"
    if summary.unfinished:
        yield f"{summary.unfinished} visits were given up before they were answered"
    if summary.probe is not None:
        probe = summary.probe
        yield (
            f"probe: {probe.ok} of {probe.sent} ok, {probe.rejected} rejected, {probe.uptime.downtime_s} s down, "
            f"p50 {_figure(probe.p50_ms)} ms, p99 {_figure(probe.p99_ms)} ms"
        )


def show_reconciliation(found: Reconciliation) -> None:
    """Counts of each kind of mistake, then every mistake with its key."""
    console = _console()
    unknown = found.unknown_confirmed + found.unknown_rejected + found.unknown_absent
    console.print(
        f"{found.ledger_orders} orders in the ledger: {found.acknowledged} acknowledged, {found.rejected} rejected, "
        f"{unknown} unknown (in the books: {found.unknown_confirmed} confirmed, {found.unknown_rejected} rejected, "
        f"{found.unknown_absent} absent)\n"
        f"{found.booked_orders} orders in the books: {found.confirmed} confirmed, {found.pending} pending, "
        f"{found.not_in_ledger} not in the ledger",
        soft_wrap=True,
    )
    console.print(", ".join(f"{found.count(mistake)} {mistake.value}" for mistake in Mistake), style="bold")
    for finding in found.findings:
        console.print(f"{finding.mistake.value}: {finding.key}: {finding.detail}", soft_wrap=True, markup=False)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)


def _table(headings: tuple[str, ...]) -> Table:
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Operation", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
