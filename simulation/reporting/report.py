"""report.html: one file that opens without a network. Words and tables are made here, charts by its script."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from simulation.clock import clock_of
from simulation.reporting.report_tables import cards, fault_rows, score_rows
from simulation.reporting.run_view import RunView
from simulation.scenario import Scenario
from simulation.scoring.summary import Summary
from simulation.scoring.verdict import verdict

TEMPLATES = Path(__file__).parent / "templates"

#: Colours that stay apart for colour-blind readers, on light and dark ground.
COLORS = {
    "foresail": "#2f7ed8",
    "hpa-tuned": "#e08214",
    "hpa-default": "#8c8c8c",
    "hpa-tuned-fast-lane": "#a05fc4",
    "oracle": "#2a9d6e",
    "foresail-fallback": "#7fb2e5",
    "foresail-independent-samples": "#1b4f91",
    "foresail-point": "#54708c",
    "kpa": "#c2458a",
    "phpa-linear": "#b5a11f",
    "phpa-holt-winters": "#7b6a1e",
    "predict-linear": "#1fa6b8",
    "crane-fft": "#d2594b",
    "cron": "#6575c9",
    "keda": "#3d8f94",
}
SHOWN_FIRST = ("foresail", "hpa-tuned", "hpa-default")


def write_report(path: Path, scenario: Scenario, summary: Summary, views: Sequence[RunView]) -> Path:
    """Writes the report of one scenario; `views` are the runs that its charts show, one per arm."""
    path.write_text(report_html(scenario, summary, views), encoding="utf-8")
    return path


def report_html(scenario: Scenario, summary: Summary, views: Sequence[RunView]) -> str:
    return (
        _templates()
        .get_template("report.html.j2")
        .render(
            scenario=scenario,
            summary=summary,
            verdict=kept_together(verdict(summary)),
            cards=cards(summary),
            scores=score_rows(summary),
            faults=fault_rows(summary, clock_of(scenario)),
            views=views,
            colors=COLORS,
            calibrated=[view for view in views if view.calibration],
            data=embedded_json(_data(scenario, summary, views)),
        )
    )


def kept_together(text: str) -> str:
    """The text with no line break between a number and its unit."""
    return re.sub(r"(?<=\d) (?=[%s])", "\N{NO-BREAK SPACE}", text)


def embedded_json(value: Any) -> Markup:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    return Markup(json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c"))


def _data(scenario: Scenario, summary: Summary, views: Sequence[RunView]) -> dict[str, Any]:
    hours, minutes = scenario.starts_at.split(":")
    arms = [view.arm for view in views]
    first = [arm for arm in SHOWN_FIRST if arm in arms] or arms[:3]
    return {
        "duration_s": scenario.duration_s,
        "start_s": int(hours) * 3600 + int(minutes) * 60,
        "slo_ms": 1000 * scenario.slo.latency_s,
        "colors": COLORS,
        "shown": first,
        "faults": [
            {"label": f.label, "start": f.start_s, "end": min(f.end_s, scenario.duration_s), "ahead": f.predictable}
            for f in summary.faults
            if f.scenario == scenario.name
        ],
        "arms": [asdict(view) for view in views],
    }


@cache
def _templates() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
