"""results.md: an experiment over several scenarios as a page that can be read beside the code."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from simulation.scoring.statistics import Comparison, Estimate
from simulation.scoring.summary import Summary
from simulation.scoring.verdict import verdict

Pairs = Mapping[tuple[str, str], Mapping[str, Comparison]]

#: Shown of every arm: figure, heading, digits.
_FIGURES = (
    ("downtime_s", "downtime, s", 0),
    ("mttr_s", "MTTR, s", 0),
    ("failed_requests", "failed requests", 0),
    ("p99_ms", "p99, ms", 0),
    ("orders_lost", "orders lost", 1),
    ("pod_hours", "pod-hours", 2),
    ("disruptive_acts", "disruptive acts", 1),
)


def results_page(summary: Summary) -> str:
    """Verdict, all arms over all scenarios, the ratios by group of scenarios, then scenario by scenario."""
    arms = list(summary.arms)
    lines = [
        "# Results",
        "",
        verdict(summary),
        "",
        _about(summary),
        "",
        *_arms_table(summary.arms),
        "",
        f"## Ratios against {summary.baseline} and the fast lane",
        "",
        *_ratio_rows(summary, arms),
        "",
        "## Scenario by scenario",
        "",
        "Mean seconds of downtime / pod-hours.",
        "",
        *_scenario_rows(summary, arms),
    ]
    return "\n".join(lines) + "\n"


def _about(summary: Summary) -> str:
    first, last = summary.seeds[0], summary.seeds[-1]
    return (
        f"{len(summary.scenarios)} scenarios × {len(summary.seeds)} paired seeds ({first} to {last}), "
        f"{summary.origin}. Means over runs with 95 % intervals, bootstrapped over scenarios and then seeds; "
        "a ratio is a sum over a sum."
    )


def _arms_table(arms: Mapping[str, Mapping[str, Estimate]]) -> list[str]:
    lines = _head(["arm", *(heading for _, heading, _ in _FIGURES)])
    for arm, figures in arms.items():
        lines.append(_row([arm, *(_estimate(figures[name], digits) for name, _, digits in _FIGURES)]))
    return lines


def _ratio_rows(summary: Summary, arms: Sequence[str]) -> list[str]:
    references = [a for a in dict.fromkeys((summary.baseline, "hpa-tuned-fast-lane")) if a in arms]
    groups: dict[str, Pairs] = {"all": summary.paired}
    groups.update({name: group.paired for name, group in summary.groups.items()})
    lines = _head(["scenarios", "arm", "against", "downtime", "MTTR", "failed requests", "pod-hours"])
    for group, paired in groups.items():
        for reference in references:
            for arm in arms:
                if arm == reference:
                    continue
                found = paired[arm, reference]
                names = ("downtime_s", "mttr_s", "failed_requests", "pod_hours")
                lines.append(_row([group, arm, reference, *(_ratio(found[name]) for name in names)]))
    return lines


def _scenario_rows(summary: Summary, arms: Sequence[str]) -> list[str]:
    lines = _head(["scenario", *arms])
    for scenario in summary.scenarios:
        cells = []
        for arm in arms:
            figures = [s.figures for s in summary.scores if s.scenario == scenario and s.arm == arm]
            if figures:
                down, cost = np.mean([f.downtime_s for f in figures]), np.mean([f.pod_hours for f in figures])
                cells.append(f"{down:.0f} / {cost:.2f}")
            else:
                cells.append("–")
        lines.append(_row([scenario, *cells]))
    return lines


def _head(cells: Sequence[str]) -> list[str]:
    return [_row(cells), "|" + "---|" * len(cells)]


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _estimate(value: Estimate, digits: int) -> str:
    if value.mean is None:
        return "–"
    interval = "" if value.low is None or value.high is None else f" ({value.low:,.{digits}f}–{value.high:,.{digits}f})"
    return f"{value.mean:,.{digits}f}{interval}"


def _ratio(value: Comparison) -> str:
    if value.ratio is None:
        return "–"
    bounded = value.ratio_low is not None and value.ratio_high is not None
    interval = f" ({value.ratio_low:.2f}–{value.ratio_high:.2f})" if bounded else ""
    return f"{value.ratio:.2f}{interval}"
