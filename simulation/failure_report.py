"""A finished failure benchmark as JSON, as a page in Markdown and as a reliability picture in SVG."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from simulation.failure_backtest import Result
from simulation.failure_judging import MethodResult
from simulation.failure_scores import USEFUL_LEAD_S, Chances, Foreseen
from simulation.scoring.statistics import Estimate

_SIDE, _MARGIN = 320, 44
_COLOURS = ("#1565c0", "#2e7d32", "#c62828", "#6a1b9a", "#ef6c00", "#455a64")


def as_json(result: Result) -> dict[str, Any]:
    """Everything, rounded to what the figures can carry; None where a figure is not known."""
    return {
        "methods": {method.name: _method(method) for method in result.methods},
        "episodes": result.episodes,
        "failing_episodes": result.failing,
        "healthy_weeks": round(result.workload_weeks, 3),
        "sources": dict(result.sources),
        "useful_lead_s": USEFUL_LEAD_S,
        "false_alarms_per_week_asked": result.plan.false_alarms_per_week,
        "seed": result.plan.seed,
    }


def write(result: Result, folder: Path) -> tuple[Path, ...]:
    """Writes failures.json, failures.md and reliability.svg."""
    texts = {
        "failures.json": json.dumps(as_json(result), indent=2) + "\n",
        "failures.md": page(result),
        "reliability.svg": reliability_picture(result),
    }
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return tuple(folder / name for name in texts)


def page(result: Result) -> str:
    """The tables, in Markdown."""
    plan = result.plan
    lines = [
        "# Failure benchmark",
        "",
        (
            f"{result.failing} failing and {result.episodes - result.failing} harmless episodes "
            f"({', '.join(f'{count} from {source}' for source, count in result.sources.items())}), "
            f"{result.workload_weeks:g} healthy workload-weeks; seed {plan.seed}. Settings were chosen on "
            f"another split for {plan.false_alarms_per_week:g} false alarms a week per 100 workloads. "
            "95 % intervals over episodes and workloads."
        ),
        "",
        (
            "| method | recall | precision | false alarms / week | median lead, min | 10 % lead, min | ≥ 10 min | "
            "near-misses alarmed | Brier 30 min (skill) | Brier 60 min (skill) |"
        ),
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for method in result.methods:
        briers = [f"{c.brier:.4f} ({_number(c.skill, 2)})" for c in method.chances] or ["–", "–"]
        cells = [
            f"{method.name}{' (fell back)' if method.fell_back else ''}",
            _spread(method.overall.recall, 2),
            _spread(method.precision, 2),
            _spread(method.false_alarms_per_week, 1),
            _minutes(method.overall.median_lead_s),
            _number(None if method.overall.p10_lead_s is None else method.overall.p10_lead_s / 60.0, 0),
            _number(method.overall.ample_share, 2),
            _spread(method.near_misses_alarmed, 2),
            *briers,
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", *(f"- {m.name}: {'; '.join(m.settings)}" for m in result.methods), ""]
    lines += _table_by("kind", result, lambda method: method.by_kind)
    lines += _table_by("source", result, lambda method: method.by_source)
    lines += _budgets(result)
    if result.plan.data is not None:
        told = "; ".join(f"{m.name} {_number(m.measured_alarms, 1)}" for m in result.methods)
        lines += ["## Measured series", "", f"False alarms per week of looks and 100 series: {told}.", ""]
    return "\n".join(lines)


def _table_by(what: str, result: Result, groups: Any) -> list[str]:
    names = list(groups(result.methods[0]))
    lines = [
        f"## By {what}: recall (median lead, min)",
        "",
        f"| {what} | episodes | {' | '.join(method.name for method in result.methods)} |",
        "|---" * (2 + len(result.methods)) + "|",
    ]
    for name in names:
        found: list[Foreseen] = [groups(method)[name] for method in result.methods]
        if found[0].episodes:
            cells = [f"{_number(f.recall.mean, 2)} ({_minutes(f.median_lead_s)})" for f in found]
            lines.append(f"| {name} | {found[0].episodes} | {' | '.join(cells)} |")
    return [*lines, ""]


def _budgets(result: Result) -> list[str]:
    lines = [
        "## Recall at other budgets (false alarms that came with it, per week and 100 workloads)",
        "",
        f"| asked for | {' | '.join(method.name for method in result.methods)} |",
        "|---" * (1 + len(result.methods)) + "|",
    ]
    for budget in result.methods[0].budgets:
        cells = [f"{recall:.2f} ({came:.1f})" for recall, came in (m.budgets[budget] for m in result.methods)]
        lines.append(f"| {budget:g} | {' | '.join(cells)} |")
    return [*lines, ""]


def reliability_picture(result: Result) -> str:
    """Said chance against the share that failed, for every method and both horizons, on the test split."""
    horizons = [chances.minutes for chances in result.methods[0].chances]
    width = len(horizons) * (_SIDE + 2 * _MARGIN)
    height = _SIDE + 2 * _MARGIN + 18 * len(result.methods)
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" font-family="sans-serif" '
            f'font-size="12"><rect width="{width}" height="{height}" fill="white"/>'
        )
    ]
    for place, minutes in enumerate(horizons):
        left = _MARGIN + place * (_SIDE + 2 * _MARGIN)
        parts += _frame(left, f"P(failure within {minutes} min)")
        for row, method in enumerate(result.methods):
            parts.append(_curve(left, method.chances[place], _COLOURS[row % len(_COLOURS)]))
    for row, method in enumerate(result.methods):
        y = _SIDE + 2 * _MARGIN + 18 * row
        parts.append(f'<circle cx="{_MARGIN}" cy="{y - 4}" r="5" fill="{_COLOURS[row % len(_COLOURS)]}"/>')
        parts.append(f'<text x="{_MARGIN + 12}" y="{y}">{method.name}</text>')
    return "\n".join([*parts, "</svg>"]) + "\n"


def _frame(left: int, title: str) -> list[str]:
    top, bottom = _MARGIN, _MARGIN + _SIDE
    return [
        f'<rect x="{left}" y="{top}" width="{_SIDE}" height="{_SIDE}" fill="none" stroke="#999"/>',
        f'<line x1="{left}" y1="{bottom}" x2="{left + _SIDE}" y2="{top}" stroke="#bbb" stroke-dasharray="4 4"/>',
        f'<text x="{left}" y="{top - 10}">{title}: said (across), came (up)</text>',
        *(
            f'<text x="{left + share * _SIDE:.0f}" y="{bottom + 16}" text-anchor="middle">{share:g}</text>'
            f'<text x="{left - 6}" y="{bottom - share * _SIDE + 4:.0f}" text-anchor="end">{share:g}</text>'
            for share in (0.0, 0.5, 1.0)
        ),
    ]


def _curve(left: int, chances: Chances, colour: str) -> str:
    bottom = _MARGIN + _SIDE
    points = [
        (left + said * _SIDE, bottom - came * _SIDE) for said, came in zip(chances.said, chances.came, strict=True)
    ]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    # The area of a dot tells how many looks it stands for, on a logarithmic scale.
    dots = "".join(
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.5 + 0.8 * len(str(count)):.1f}" fill="{colour}"/>'
        for (x, y), count in zip(points, chances.looks, strict=True)
    )
    return f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="1.5"/>{dots}'


def _method(method: MethodResult) -> dict[str, Any]:
    brier = {f"brier{'' if c.minutes == 30 else f'_{c.minutes}'}": round(c.brier, 5) for c in method.chances}
    skill = {f"brier_skill_{c.minutes}": _rounded(c.skill) for c in method.chances}
    return {
        **_foreseen(method.overall),
        "precision": _rounded(method.precision.mean),
        "precision_ci95": _interval(method.precision),
        "false_alarms_per_week": _rounded(method.false_alarms_per_week.mean),
        "false_alarms_per_week_ci95": _interval(method.false_alarms_per_week),
        "false_alarms_by_kind": dict(method.false_alarms_by_kind),
        "near_misses_alarmed": _rounded(method.near_misses_alarmed.mean),
        "measured_false_alarms_per_week": _rounded(method.measured_alarms),
        **brier,
        **skill,
        "reliability": {
            str(c.minutes): {"said": _all(c.said), "came": _all(c.came), "looks": list(c.looks)} for c in method.chances
        },
        "settings": list(method.settings),
        "fell_back": method.fell_back,
        "by_kind": {kind: _foreseen(found) for kind, found in method.by_kind.items() if found.episodes},
        "by_source": {source: _foreseen(found) for source, found in method.by_source.items() if found.episodes},
        "budgets": {
            f"{budget:g}": {"recall": _rounded(recall), "false_alarms_per_week": _rounded(came)}
            for budget, (recall, came) in method.budgets.items()
        },
    }


def _foreseen(found: Foreseen) -> dict[str, Any]:
    return {
        "episodes": found.episodes,
        "recall": _rounded(found.recall.mean),
        "recall_ci95": _interval(found.recall),
        "any_recall": _rounded(found.any_recall),
        "median_lead_s": _rounded(found.median_lead_s.mean),
        "median_lead_s_ci95": _interval(found.median_lead_s),
        "p10_lead_s": _rounded(found.p10_lead_s),
        "lead_10_min_share": _rounded(found.ample_share),
    }


def _interval(estimate: Estimate) -> list[float | None]:
    return [_rounded(estimate.low), _rounded(estimate.high)]


def _all(values: Sequence[float]) -> list[float | None]:
    return [_rounded(value) for value in values]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _number(value: float | None, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _spread(estimate: Estimate, digits: int) -> str:
    if estimate.mean is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean:.{digits}f}"
    return f"{estimate.mean:.{digits}f} [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}]"


def _minutes(estimate: Estimate) -> str:
    if estimate.mean is None:
        return "–"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.mean / 60:.0f}"
    return f"{estimate.mean / 60:.0f} [{estimate.low / 60:.0f}, {estimate.high / 60:.0f}]"
