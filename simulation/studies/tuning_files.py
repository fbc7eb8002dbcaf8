"""What tuning leaves in the repository: tuned.yaml, and its results as CSV and Markdown."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

import yaml

from simulation.arms import TUNED, arm_settings, search_space
from simulation.studies.tuning import Choice, Trial, cost_grid, frontier_of

HEAD = "# Settings of every arm. Written by `foresail tune`; what is not named here keeps its default in arms.py.\n"


def write_tuned(choices: Sequence[Choice], path: Path = TUNED) -> Path:
    """Every chosen setting in full; arms that were not tuned keep what the file says."""
    settings = yaml.safe_load(path.read_text(encoding="utf-8")) or {} if path.is_file() else {}
    for choice in choices:
        settings[choice.arm] = full_settings(choice)
    body = yaml.safe_dump(settings, sort_keys=False, default_flow_style=False)
    path.write_text(HEAD + body, encoding="utf-8")
    return path


def full_settings(choice: Choice) -> dict[str, float]:
    """All searched settings of the choice, those that the trial left at their present value included."""
    settings = arm_settings(choice.arm, choice.trial.settings)
    values = {name: getattr(settings, name) for name in search_space(choice.arm)}
    return {name: value for name, value in values.items() if value is not None}


def write_results(
    trials: Sequence[Trial], budget: float, choices: Sequence[Choice], about: str, folder: Path
) -> tuple[Path, ...]:
    """trials.csv with every trial, README.md with the frontiers on the shared grid of costs."""
    folder.mkdir(parents=True, exist_ok=True)
    table, text = folder / "trials.csv", folder / "README.md"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("arm", "trial", "pod_hours", "bad_requests", "failed_runs", "settings"))
        for t in trials:
            rows.writerow(
                (t.arm, t.number, f"{t.pod_hours:.3f}", f"{t.bad_requests:.0f}", t.failed_runs, json.dumps(t.settings))
            )
    text.write_text("\n".join(_markdown(trials, budget, choices, about)) + "\n", encoding="utf-8")
    return table, text


def _markdown(trials: Sequence[Trial], budget: float, choices: Sequence[Choice], about: str) -> list[str]:
    arms = [choice.arm for choice in choices]
    grid = cost_grid(trials, arms)
    lines = [
        "# Tuning",
        "",
        about,
        "",
        f"Every arm may spend {budget:.1f} pod-hours, what the tuned HPA's cheapest trial costs that has at most",
        "twice the fewest bad requests it can have. It gets its trial with the fewest bad requests within that. All",
        "trials are in `trials.csv`.",
        "",
        "| arm | trial | pod-hours | bad requests | within the budget | settings |",
        "|---|---|---|---|---|---|",
    ]
    for choice in choices:
        settings = ", ".join(f"{k} {v:g}" for k, v in full_settings(choice).items())
        t = choice.trial
        fits = "yes" if choice.within_budget else "no: its cheapest"
        lines.append(f"| {choice.arm} | {t.number} | {t.pod_hours:.1f} | {t.bad_requests:,.0f} | {fits} | {settings} |")
    lines += ["", "Fewest bad requests at each cost (pod-hours), interpolated on each arm's frontier:", ""]
    lines += ["| arm | " + " | ".join(f"{c:.1f}" for c in grid) + " |", "|---|" + "---|" * len(grid)]
    for arm in arms:
        own = frontier_of(trials, arm)
        cells = ["–" if (harm := own.harm_at(c)) is None else f"{harm:,.0f}" for c in grid]
        lines.append(f"| {arm} | " + " | ".join(cells) + " |")
    return lines
