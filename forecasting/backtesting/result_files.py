"""A backtest's result as files: JSON for programs, Markdown for people and docs, a reliability plot as SVG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from forecasting.backtesting.reliability_plot import reliability_svg
from forecasting.backtesting.result_json import result_json
from forecasting.backtesting.study import ModelResult, Result
from forecasting.backtesting.summary import Estimate

#: Columns of the table: heading, figure, decimals. The best of each is bold.
COLUMNS = (
    ("WQL", "wql", 3),
    ("MASE", "mase", 3),
    ("P90", "p90", 3),
    ("P99", "p99", 3),
    ("cover 80", "cover80", 3),
    ("cover 98", "cover98", 3),
    ("peak CRPS", "peak_crps", 3),
    ("hit Brier", "hit_brier", 3),
)
#: Nominal coverage of the shares, which are best near it; the other figures are best low.
NOMINAL = {"cover80": 0.80, "cover98": 0.98}
UNKNOWN = "–"


def write_result(result: Result, folder: Path) -> tuple[Path, ...]:
    """`backtest.json`, `backtest.md` and `reliability.svg` in the folder, which is made if need be."""
    folder.mkdir(parents=True, exist_ok=True)
    contents = {
        "backtest.json": json.dumps(result_json(result), indent=1) + "\n",
        "backtest.md": markdown(result),
        "reliability.svg": reliability_svg({model.name: model.reliability for model in ranked(result)}),
    }
    written = []
    for name, text in contents.items():
        path = folder / name
        path.write_text(text, encoding="utf-8")
        written.append(path)
    return tuple(written)


def ranked(result: Result) -> tuple[ModelResult, ...]:
    """The models by their quantile loss, the best first; those without one last."""

    def loss(model: ModelResult) -> float:
        value = model.figures["wql"].value
        return float("inf") if value is None else value

    return tuple(sorted(result.models, key=loss))


def best_names(result: Result, figure: str) -> frozenset[str]:
    """The models that are best at a figure: lowest, or nearest to the nominal coverage."""
    nominal = NOMINAL.get(figure, 0.0)
    values = {model.name: model.figures[figure].value for model in result.models}
    distances = {name: abs(value - nominal) for name, value in values.items() if value is not None}
    if not distances:
        return frozenset()
    least = min(distances.values())
    return frozenset(name for name, distance in distances.items() if distance <= least + 1e-9)


def markdown(result: Result) -> str:
    """The table over all groups, the table by group, and how it was measured."""
    models = ranked(result)
    best = {figure: best_names(result, figure) for _, figure, _ in COLUMNS}
    rows = []
    for model in models:
        cells = [model.name]
        for _, figure, digits in COLUMNS:
            text = number(model.figures[figure].value, digits)
            bold = f"**{text}**" if model.name in best[figure] else text
            cells.append(f"{bold} ({interval(model.figures[figure])})")
        skill = f"{number(model.hit_skill.value, 3)} ({interval(model.hit_skill)})"
        rows.append([*cells, skill, number(model.ms_per_100, 0)])
    headings = [heading for heading, _, _ in COLUMNS]
    parts = [_table(["Model", *headings, "hit skill", "ms / 100"], rows), how_measured(result)]
    if notes(result):
        parts.append("\n".join(f"- {note}" for note in notes(result)))
    if len(result.windows_of) > 1:
        parts += ["Relative WQL by group:", _by_group(result, models)]
    return "\n\n".join(parts) + "\n"


def how_measured(result: Result) -> str:
    """What the figures mean and what they were measured on, in a few sentences."""
    reference = result.models[0].name
    windows, groups = sum(result.windows_of.values()), len(result.windows_of)
    horizons = ", ".join(str(horizon) for horizon in result.settings.conditions.horizons)
    dropped = result.plan.dropped_windows
    return (
        f"{windows} windows of {result.plan.horizon_steps} steps in {groups} group{'s' if groups > 1 else ''}. WQL, "
        f"MASE, P90, P99 and peak CRPS (maximum within {horizons} steps) are divided by {reference}'s, geometric mean "
        "over groups, lower is better; coverage and Brier scores (crossing the context's 95th percentile within 30 "
        "steps) are means over groups; hit skill is against the base rate of each context. Intervals (95 %): bootstrap "
        f"over series and windows. {dropped} windows were left out for missing data."
    )


def notes(result: Result) -> tuple[str, ...]:
    """What readers must know about single models and groups."""
    told = [f"{name} failed: {error}" for name, error in result.failed.items()]
    for model in result.models:
        if model.fell_back_share:
            told.append(f"{model.name} fell back on another model in {model.fell_back_share:.0%} of the windows")
        if model.unanswered_share:
            told.append(
                f"{model.name} had no forecast in {model.unanswered_share:.0%} of the windows; "
                f"{result.models[0].name}'s counts there"
            )
    empty = [group for group, figures in result.models[0].groups.items() if figures["wql"] is None]
    if empty:
        told.append(f"nothing moved in the windows of {', '.join(empty)}: left out of the ratios")
    if result.plan.dropped_series:
        told.append(f"{len(result.plan.dropped_series)} series are too short and were left out")
    return tuple(told)


def number(value: float | None, digits: int) -> str:
    return UNKNOWN if value is None else f"{value:,.{digits}f}"


def interval(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return UNKNOWN
    return f"{estimate.low:.2f}–{estimate.high:.2f}"


def _by_group(result: Result, models: Sequence[ModelResult]) -> str:
    rows = []
    for group, windows in result.windows_of.items():
        values = {model.name: model.groups[group]["wql"] for model in models}
        least = min((value for value in values.values() if value is not None), default=None)
        cells = [f"**{number(v, 2)}**" if v is not None and v == least else number(v, 2) for v in values.values()]
        rows.append([group, str(windows), *cells])
    return _table(["Group", "Windows", *(model.name for model in models)], rows)


def _table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = ["| " + " | ".join(headings) + " |", "|---" + "|---:" * (len(headings) - 1) + "|"]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)
