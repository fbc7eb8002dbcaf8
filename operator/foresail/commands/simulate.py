"""`foresail simulate` and `foresail demo`: who kept the shop up, at what cost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from foresail.commands.comma_list import comma_list
from foresail.commands.mistakes import SOME_RUNS_FAILED, input_checked, make_folder, refuse

if TYPE_CHECKING:
    from simulation.scenario import Scenario, Trace
    from simulation.studies.experiment import Plan

DEMO_SCENARIO = "sale-day"
DEMO_ARMS = "hpa-default,hpa-tuned,hpa-tuned-fast-lane,foresail,oracle"
DEFAULT_ARMS = "hpa-default,hpa-tuned,foresail"

Arms = Annotated[str, typer.Option(help="Arms to compare, separated by commas.")]
Seeds = Annotated[int, typer.Option(min=1, max=10_000, help="How many paired seeds.")]
FirstSeed = Annotated[int, typer.Option("--seed", min=0, help="The first seed; the others follow it.")]
Out = Annotated[Path | None, typer.Option(help="Folder for summary, report, timeline and decisions.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the summary as JSON and nothing else.")]
Jobs = Annotated[int | None, typer.Option(min=1, help="Runs at the same time; default: one per core.")]
BackendName = Annotated[str, typer.Option("--backend", help="Where runs go: local or dask.")]
Scheduler = Annotated[str | None, typer.Option(help="Address of the Dask scheduler, with --backend dask.")]
WithTimeline = Annotated[bool, typer.Option("--timeline/--no-timeline", help="Write timeline.csv (large).")]


def simulate(
    scenario: Annotated[list[str], typer.Argument(help="Scenario files, or names of shipped ones.")],
    arms: Arms = DEFAULT_ARMS,
    seeds: Seeds = 1,
    seed: FirstSeed = 1,
    out: Out = None,
    as_json: AsJson = False,
    trace: Annotated[Path | None, typer.Option(help="A measured request rate that replaces the load.")] = None,
    trace_step_s: Annotated[float | None, typer.Option(help="Seconds between two values of the trace.")] = None,
    trace_column: Annotated[str | None, typer.Option(help="CSV column of the trace.")] = None,
    trace_mean_rps: Annotated[float | None, typer.Option(help="Scale the trace to this mean.")] = None,
    trace_peak_rps: Annotated[float | None, typer.Option(help="Scale the trace to this peak.")] = None,
    duration_s: Annotated[float | None, typer.Option(help="Run for so long instead.")] = None,
    backend: BackendName = "local",
    scheduler: Scheduler = None,
    jobs: Jobs = None,
    timeline: WithTimeline = True,
) -> None:
    """Run scenarios under several arms with paired seeds; write summary, timeline and report."""
    with input_checked():
        measured = _trace(trace, trace_step_s, trace_column, trace_mean_rps, trace_peak_rps)
        chosen = tuple(scenario_named(name, measured, duration_s) for name in scenario)
        names = [s.name for s in chosen]
        if len(set(names)) < len(names):
            refuse("two of the scenarios have the same name: rename one")
        folder = out or Path("out") / (names[0] if len(names) == 1 else "several")
        plan = _plan(chosen, arms, seeds, seed, folder, backend, scheduler, jobs, timeline)
    _carry_out(plan, as_json)


def demo(
    seed: FirstSeed = 1,
    seeds: Seeds = 3,
    out: Out = None,
    as_json: AsJson = False,
    jobs: Jobs = None,
) -> None:
    """A shop's hard day under a default HPA, a tuned HPA and Foresail: who kept it up, at what cost?"""
    with input_checked():
        folder = out or Path("out/demo")
        plan = _plan((scenario_named(DEMO_SCENARIO),), DEMO_ARMS, seeds, seed, folder, "local", None, jobs, True)
    _carry_out(plan, as_json)


def _plan(
    scenarios: tuple[Scenario, ...],
    arms: str,
    seeds: int,
    first_seed: int,
    out: Path,
    backend: str,
    scheduler: str | None,
    jobs: int | None,
    timeline: bool,
) -> Plan:
    from simulation.studies.experiment import Plan

    if backend not in ("local", "dask"):
        refuse(f"--backend {backend}: use local or dask")
    if backend == "local" and scheduler is not None:
        refuse("--scheduler is only for --backend dask: add that, or leave it out")
    make_folder(out, "--out")
    return Plan(
        scenarios=scenarios,
        arms=arm_names(arms),
        seeds=tuple(range(first_seed, first_seed + seeds)),
        out=out,
        with_timeline=timeline,
        workers=jobs,
        backend="dask" if backend == "dask" else "local",
        scheduler=scheduler,
    )


def arm_names(text: str) -> tuple[str, ...]:
    """The arms in a comma-separated list, checked and each once."""
    from simulation.arms import arm_settings

    names = tuple(dict.fromkeys(comma_list(text)))
    if not names:
        refuse("--arms names no arm: give at least one, like --arms hpa-tuned,foresail")
    for name in names:
        arm_settings(name)
    return names


def scenario_named(name: str, trace: Trace | None = None, duration_s: float | None = None) -> Scenario:
    """The scenario with what the command line changes about it, checked as if it had been written so."""
    from chaos.experiments.live_set import NAMED_IN
    from simulation.scenario import ending_at, load_scenario
    from simulation.trace import read_trace, with_trace

    scenario = load_scenario(name, NAMED_IN)
    if duration_s is not None:
        scenario = ending_at(scenario, duration_s, name)
    if trace is not None:
        return with_trace(scenario, trace)
    if scenario.load.trace is not None:
        read_trace(scenario.load.trace)
    return scenario


def _trace(
    file: Path | None, step_s: float | None, column: str | None, mean_rps: float | None, peak_rps: float | None
) -> Trace | None:
    details = {"step_s": step_s, "column": column, "mean_rps": mean_rps, "peak_rps": peak_rps}
    given = {key: value for key, value in details.items() if value is not None}
    if file is None:
        if given:
            refuse(f"--trace-{next(iter(given)).replace('_', '-')} needs --trace FILE")
        return None
    from simulation.scenario import ScenarioInvalid, trace_of

    try:
        return trace_of({"file": str(file.resolve()), **given}, "--trace")
    except ScenarioInvalid as error:
        refuse(str(error))


def _carry_out(plan: Plan, as_json: bool) -> None:
    from foresail.terminal import progress, show
    from simulation.scoring.summary_json import summary_json
    from simulation.studies.experiment import carry_out
    from simulation.studies.sweep import BackendUnavailable

    try:
        with progress(plan.runs, quiet=as_json) as on_done:
            outcome = carry_out(plan, on_done)
    except BackendUnavailable as error:
        refuse(str(error))
    if as_json:
        typer.echo(json.dumps(summary_json(outcome.summary), allow_nan=False))
    else:
        show(outcome)
    if outcome.summary.failures:
        raise typer.Exit(SOME_RUNS_FAILED)
