"""What `foresail train` and `foresail models` show on a terminal."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from forecasting.own_models.gate import SignalScore
from forecasting.own_models.manifest import Manifest
from forecasting.own_models.promotion import Promotion
from foresail.terminal import PLAIN_WIDTH


def show_promotion(done: Promotion, folder: Path) -> None:
    """Every judged model and signal, and what came of it."""
    console = _console()
    table = Table(
        title="Pinball loss against the default, on history that no model was trained on",
        caption="Negative is better. Promoted: the whole 95 % interval lies below zero.",
        box=SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    for heading in ("Signal", "Model"):
        table.add_column(heading, overflow="fold")
    for heading in ("Difference", "95 % interval", "Origins"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    rows = [(one.signal, name, one) for name, scores in done.scores.items() for one in scores]
    for signal, name, one in sorted(rows, key=lambda row: row[:2]):
        won = done.won.get(signal) == name
        table.add_row(Text(signal), name, *_figures(one), "promoted" if won else "", style="bold" if won else None)
    console.print(table)
    count = len(done.manifest.promoted)
    console.print(Text(f"{count} of your signals now have a model of their own; the default forecasts all others."))
    console.print(Text(str(folder)), soft_wrap=True)


def show_registry(manifest: Manifest, problems: Mapping[str, str]) -> None:
    """Models with the signals they forecast, sets that can be gone back to, and files that are not right."""
    console = _console()
    table = Table(box=SIMPLE_HEAD)
    table.add_column("Model", no_wrap=True)
    table.add_column("Trained", no_wrap=True)
    table.add_column("Series", justify="right")
    table.add_column("Better on", justify="right")
    table.add_column("Forecasts now", overflow="fold")
    for model in manifest.models:
        signals = sorted(signal for signal, name in manifest.promoted.items() if name == model.id)
        better = sum(one.is_better for one in model.scores)
        table.add_row(model.id, model.created_at, str(model.series), str(better), Text(", ".join(signals) or "–"))
    console.print(table)
    for one in manifest.sets:
        mark = "active" if one.number == manifest.active else ""
        console.print(Text(f"set {one.number} of {one.made_at}: {len(one.signals)} signals {mark}".rstrip()))
    for problem in problems.values():
        console.print(Text(problem, style="red"), soft_wrap=True)


def _figures(one: SignalScore) -> tuple[str, str, str]:
    if one.difference is None or one.low is None or one.high is None:
        return "–", "–", str(one.origins)
    return f"{one.difference:+.1%}", f"{one.low:+.1%} … {one.high:+.1%}", str(one.origins)


def _console() -> Console:
    return Console(width=None if sys.stdout.isatty() else PLAIN_WIDTH, highlight=False)
