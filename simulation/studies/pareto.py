"""Cost against downtime: each arm's main knob swept over its range, under paired seeds."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from simulation.arms import Knob, main_knob
from simulation.reporting.report import COLORS, TEMPLATES, embedded_json
from simulation.scenario import Scenario
from simulation.scoring.summary import Failure, baseline_of
from simulation.studies.frontier import Frontier, Point, cost_ratio, frontier
from simulation.studies.sweep import Done, Job, sweep


@dataclass(frozen=True, slots=True)
class KnobPoint:
    """One arm at one value of its main knob, means over seeds."""

    arm: str
    knob: str
    value: float
    runs: int
    pod_hours: float
    downtime_s: float
    bad_requests: float


@dataclass(frozen=True, slots=True)
class Pareto:
    scenario: str
    seeds: tuple[int, ...]
    points: tuple[KnobPoint, ...]
    failures: tuple[Failure, ...]

    def frontier(self, arm: str, harm: str = "downtime_s") -> Frontier:
        return frontier([Point(p.pod_hours, getattr(p, harm)) for p in self.points if p.arm == arm])

    @property
    def arms(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(p.arm for p in self.points))


def knob_values(knob: Knob, points: int) -> tuple[float, ...]:
    """Evenly spread values of a knob, both ends included."""
    spread = np.geomspace if knob.kind == "log" else np.linspace
    values = spread(knob.low, knob.high, points)
    if knob.kind == "int":
        return tuple(dict.fromkeys(float(round(v)) for v in values))
    return tuple(round(float(v), 4) for v in values)


def pareto_jobs(scenario: Scenario, arms: Sequence[str], points: int, seeds: Sequence[int]) -> tuple[Job, ...]:
    jobs = []
    for arm in arms:
        name, knob = main_knob(arm)
        for value in knob_values(knob, points):
            setting: float | int = int(value) if knob.kind == "int" else value
            jobs += [Job(scenario, arm, seed, {name: setting}) for seed in seeds]
    return tuple(jobs)


def pareto(
    scenario: Scenario,
    arms: Sequence[str],
    points: int,
    seeds: Sequence[int],
    workers: int | None = None,
    on_done: Callable[[Done], None] = lambda _: None,
) -> Pareto:
    """Every arm at `points` values of its main knob."""
    runs: dict[tuple[str, str, float], list[Done]] = {}
    failures: list[Failure] = []
    for done in sweep(pareto_jobs(scenario, arms, points, seeds), workers):
        on_done(done)
        if done.failure is not None:
            failures.append(done.failure)
            continue
        ((knob, value),) = (done.job.settings or {}).items()
        runs.setdefault((done.job.arm, knob, float(value)), []).append(done)
    return Pareto(
        scenario.name,
        tuple(seeds),
        tuple(_point(arm, knob, value, found) for (arm, knob, value), found in runs.items()),
        tuple(failures),
    )


def write_pareto(result: Pareto, out: Path) -> tuple[Path, ...]:
    """pareto.csv, pareto.json and pareto.html."""
    out.mkdir(parents=True, exist_ok=True)
    table, values, page = out / "pareto.csv", out / "pareto.json", out / "pareto.html"
    with table.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("arm", "knob", "value", "runs", "pod_hours", "downtime_s", "bad_requests"))
        rows.writerows(tuple(asdict(point).values()) for point in result.points)
    written = pareto_json(result)
    values.write_text(json.dumps(written, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    page.write_text(pareto_html(result), encoding="utf-8")
    return table, values, page


def pareto_json(result: Pareto) -> dict[str, Any]:
    baseline = baseline_of(result.arms) if result.points else None
    return {
        "scenario": result.scenario,
        "seeds": list(result.seeds),
        "baseline": baseline,
        "points": [asdict(point) for point in result.points],
        "frontiers": {arm: [asdict(p) for p in result.frontier(arm).points] for arm in result.arms},
        "pod_hours_ratio_at_equal_downtime": {
            arm: cost_ratio(result.frontier(arm), result.frontier(baseline))
            for arm in result.arms
            if baseline is not None and arm != baseline
        },
        "failed_runs": [asdict(failure) for failure in result.failures],
    }


def pareto_html(result: Pareto) -> str:
    pages = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined)
    data = {**pareto_json(result), "colors": COLORS}
    return pages.get_template("pareto.html.j2").render(result=result, data=embedded_json(data), ratios=data)


def _point(arm: str, knob: str, value: float, runs: Sequence[Done]) -> KnobPoint:
    figures = [done.score.figures for done in runs if done.score is not None]
    return KnobPoint(
        arm=arm,
        knob=knob,
        value=value,
        runs=len(figures),
        pod_hours=float(np.mean([f.pod_hours for f in figures])),
        downtime_s=float(np.mean([f.downtime_s for f in figures])),
        bad_requests=float(np.mean([f.bad_requests for f in figures])),
    )
