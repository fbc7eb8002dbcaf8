"""An experiment from scenarios to files: runs, summary, timeline, report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from simulation.reporting.files import Folder, write_json, write_runs
from simulation.reporting.report import write_report
from simulation.reporting.results_page import results_page
from simulation.reporting.run_view import RunView
from simulation.scenario import Scenario
from simulation.scoring.scoreboard import Score
from simulation.scoring.summary import Failure, Origin, Summary, summarise
from simulation.scoring.summary_json import summary_json
from simulation.studies.sweep import Backend, Done, paired_jobs, sweep


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. Several scenarios get a folder each below `out`, and the summary over all of them stands above."""

    scenarios: tuple[Scenario, ...]
    arms: tuple[str, ...]
    seeds: tuple[int, ...]
    out: Path | None = None  # None: no files
    with_timeline: bool = True
    workers: int | None = None
    backend: Backend = "local"
    scheduler: str | None = None
    origin: Origin = "simulated"

    @property
    def runs(self) -> int:
        return len(self.scenarios) * len(self.arms) * len(self.seeds)


@dataclass(frozen=True, slots=True)
class Outcome:
    summary: Summary
    written: tuple[Path, ...]


def carry_out(plan: Plan, on_done: Callable[[Done], None] = lambda _: None) -> Outcome:
    """Runs everything and writes the files; `on_done` hears of each run as it finishes."""
    jobs = paired_jobs(plan.scenarios, plan.arms, plan.seeds, with_files=plan.out is not None)
    return put_together(plan, sweep(jobs, plan.workers, plan.backend, plan.scheduler), on_done)


def put_together(plan: Plan, runs: Iterable[Done], on_done: Callable[[Done], None] = lambda _: None) -> Outcome:
    """The files of runs, wherever they were made, and the summary over them."""
    folders = _folders(plan)
    scores: list[Score] = []
    failures: list[Failure] = []
    views: dict[str, list[RunView]] = {}
    for done in runs:
        if done.failure is not None:
            failures.append(done.failure)
        if done.score is not None:
            scores.append(done.score)
            if done.files is not None:
                folders[done.score.scenario].add(done.score, done.files)
            if done.view is not None:
                views.setdefault(done.score.scenario, []).append(done.view)
        on_done(done)
    summary = summarise(plan.scenarios, plan.arms, plan.seeds, scores, failures, plan.origin)
    return Outcome(summary, _write(plan, summary, folders, views))


def _folders(plan: Plan) -> dict[str, Folder]:
    if plan.out is None:
        return {}
    alone = len(plan.scenarios) == 1
    return {
        s.name: Folder(plan.out if alone else plan.out / s.name, with_timeline=plan.with_timeline)
        for s in plan.scenarios
    }


def _write(
    plan: Plan, summary: Summary, folders: dict[str, Folder], views: dict[str, list[RunView]]
) -> tuple[Path, ...]:
    if plan.out is None:
        return ()
    written: list[Path] = []
    for scenario in plan.scenarios:
        own = summary if len(plan.scenarios) == 1 else _part(plan, summary, scenario)
        folder = folders[scenario.name]
        written += [*_summary_files(folder.path, own), *folder.written]
        ordered = sorted(views.get(scenario.name, []), key=lambda v: plan.arms.index(v.arm))
        written.append(write_report(folder.path / "report.html", scenario, own, ordered))
    if len(plan.scenarios) > 1:
        page = plan.out / "results.md"
        page.write_text(results_page(summary), encoding="utf-8")
        written = [page, *_summary_files(plan.out, summary), *(f.path for f in folders.values())]
    return tuple(written)


def _summary_files(path: Path, summary: Summary) -> Sequence[Path]:
    write_json(path / "summary.json", summary_json(summary))
    write_runs(path / "runs.csv", summary.scores)
    return path / "summary.json", path / "runs.csv"


def _part(plan: Plan, summary: Summary, scenario: Scenario) -> Summary:
    return summarise(
        [scenario],
        plan.arms,
        plan.seeds,
        [s for s in summary.scores if s.scenario == scenario.name],
        [f for f in summary.failures if f.scenario == scenario.name],
        summary.origin,
    )
